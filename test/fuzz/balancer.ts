// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The balancer in one of its builds. */
import type { Build } from '../../src/abi/maps.js';
import { BLOCK_PORTS } from '../../src/abi/pool.js';
import { CLAIMS } from '../../src/abi/port.js';
import type { Claim, Port } from '../../src/abi/port.js';
import type { FlowRecord } from '../../src/abi/record.js';
import { PAIR, QUAD } from '../../src/abi/slot.js';
import { encodeKey } from '../../src/abi/bytes.js';
import { VERDICTS } from '../../src/abi/verdicts.js';
import type { VerdictName } from '../../src/abi/verdicts.js';
import { model } from '../../src/model/model.js';
import { FREE } from '../../src/model/ports.js';
import { wrongSums } from '../../src/model/sums.js';
import type { Answer, ProgramState, Tables } from '../../src/model/types.js';
import { DESTINATIONS, LOG2_SETS, SLOTS } from './choices.js';
import type { ExpectedMaps } from './compare.js';
import { Sums, compareMaps } from './compare.js';
import type { Expected, Prepared, Time } from './engines.js';
import { makeFrames } from './packets.js';
import { CLAIM_SETS } from '../../src/abi/pool.js';
import { BLOCKS } from './ports.js';
import type { Random } from './random.js';
import { encodeRecords } from './records.js';
import type { Scenario } from './scenario.js';
import { begin, makeScenario } from './scenario.js';
import {
  encodeAnswers,
  encodeClaims,
  encodePools,
  encodePort,
  encodeSecret,
  encodeTables,
} from './tables.js';
import type { Program } from './target.js';
import { PROGRAMS } from './target.js';
import { Request } from './worker.js';

/** L4LB_MOST_ANSWERS and so on in l4lb.h, by their places in `limits`. */
const MOST = [1000, 1 << 15, 10_000];
/** L4LB_CELLS of both builds. */
const CELLS: Record<Build, number> = { host: 1024, portable: 16 };

/** So small that they can be read whole after each chunk. */
export const SIZES: Record<string, number> = {
  slots: SLOTS / QUAD,
  destinations: DESTINATIONS,
  counters: DESTINATIONS,
  memories: SLOTS,
  names: SLOTS / PAIR,
  flows: 2 ** LOG2_SETS,
  kept: SLOTS,
  returned: DESTINATIONS,
  claims: BLOCKS * CLAIM_SETS,
  ports: BLOCKS * BLOCK_PORTS,
};

export function prepareBalancer(
  program: Program,
  random: Random,
  count: number,
): Prepared {
  const build = program === 'portable' ? 'portable' : 'host';
  const scenario = makeScenario(random);
  const frames = makeFrames(random, scenario, count, PROGRAMS[program].longest);
  return {
    frames,
    tables: (time) => request(build, scenario, time),
    dumps: ['verdicts', 'counters', ...(build === 'host' ? OWN_OF_HOST : [])],
    sparse: build === 'host' ? ['claims', 'ports'] : [],
    expect: (time, some) => expectation(build, scenario, time, some),
    about: `tables: ${describeTables(scenario.tables)}`,
  };
}

/** What only the host build writes. */
const OWN_OF_HOST = ['flows', 'kept', 'returned'];
/** Tables that the portable build has not. */
const OF_HOST = new Set(['exits', 'exit_devices']);

function request(build: Build, scenario: Scenario, { seconds }: Time): Request {
  const { slots, records, claims } = begin(scenario, seconds);
  const content = encodeTables(scenario, slots, CELLS[build]);
  const made = new Request();
  for (const name of ['services', 'counters', 'verdicts']) made.zeros(name);
  for (const [name, values] of content) {
    if (build === 'portable' && OF_HOST.has(name)) continue;
    made.writeNumbered(name, values);
  }
  if (build === 'portable') return made;
  const sets = new Map([...records].map(([set, all]) => [set, encodeRecords(all)]));
  const allowed = [scenario.mayTell, scenario.mayRecord, scenario.mayEcho];
  const limits = allowed.map((may, key) => {
    const done = may ? [0, 0] : [seconds, MOST[key] ?? 0];
    return [key, Buffer.concat(done.map(encodeKey))] as const;
  });
  return made
    .empty('answers')
    .write('answers', encodeAnswers(scenario.tables))
    .zeros('kept')
    .zeros('returned')
    .zeros('claims')
    .zeros('ports')
    .writeNumbered('pools', new Map([[0, encodePools(scenario.tables.pools ?? [])]]))
    .writeNumbered('claims', encodeEach(claims, encodeClaims))
    .writeNumbered('ports', encodeEach(scenario.ports, encodePort))
    .writeNumbered('secret', new Map([[0, encodeSecret(scenario.tables.secret)]]))
    .writeNumbered('flows', sets)
    .writeNumbered('limits', new Map(limits));
}

function encodeEach<T>(
  values: ReadonlyMap<number, T>,
  encode: (value: T) => Buffer,
): Map<number, Buffer> {
  return new Map([...values].map(([key, value]) => [key, encode(value)]));
}

function expectation(
  build: Build,
  scenario: Scenario,
  { now, seconds }: Time,
  frames: readonly Buffer[],
): Expected {
  const { slots, records, claims } = begin(scenario, seconds);
  const { exits, answers, senders, pools, claimSets, ...others } = scenario.tables;
  const ofHost = { exits, answers, senders, pools, claimSets };
  const tables: Tables = { ...others, slots, build, ...(build === 'host' && ofHost) };
  const { mayTell, mayRecord, mayEcho } = scenario;
  const modelled = askModel(
    tables,
    { now, mayTell, mayRecord, mayEcho },
    { records, claims, ports: scenario.ports },
    frames,
  );
  return {
    answers: modelled.answers.map((answer) => ({ ran: answer, says: describe(answer) })),
    judge: (packet, ran) =>
      wrongSums(
        frames[packet] as Buffer,
        ran.frame,
        modelled.answers[packet]?.verdict ?? 'not ours',
      ),
    compareMaps: (dumped) => compareMaps(dumped, modelled),
  };
}

interface Begun {
  records: ReadonlyMap<number, readonly FlowRecord[]>;
  claims: ReadonlyMap<number, readonly Claim[]>;
  ports: ReadonlyMap<number, Port>;
}

interface Modelled extends ExpectedMaps {
  answers: Answer[];
}

const NUMBERS = new Map<VerdictName, number>(
  VERDICTS.map(({ name, number }) => [name, number]),
);

function askModel(
  tables: Tables,
  state: Omit<ProgramState, 'flows'>,
  begun: Begun,
  frames: readonly Buffer[],
): Modelled {
  const flows = new Map([...begun.records].map(([set, all]) => [set, [...all]]));
  const claims = new Map([...begun.claims].map(([set, all]) => [set, [...all]]));
  const ports = new Map(begun.ports);
  const returned = new Sums();
  const isHost = tables.build === 'host';
  const none = new Map<number, Buffer>();
  const kept = new Map<number, number>();
  const verdicts = new Sums();
  const counters = new Sums();
  const answers = frames.map((frame) => {
    const answer = model(tables, { ...state, flows, claims, ports }, frame);
    if (answer.verdict !== 'balanced')
      verdicts.add(NUMBERS.get(answer.verdict) ?? -1, answer.bytes);
    if (answer.id !== undefined) counters.add(answer.id, answer.bytes);
    for (const { set, place, record } of answer.records ?? []) {
      const there = flows.get(set);
      if (there) there[place] = record;
    }
    for (const { number, claim, port } of answer.ports ?? []) {
      const set = Math.floor(number / CLAIMS);
      const there = claims.get(set) ?? Array.from({ length: CLAIMS }, () => FREE);
      if (claim) there[number % CLAIMS] = claim;
      claims.set(set, there);
      if (port) ports.set(number, port);
    }
    if (answer.returned !== undefined) returned.add(answer.returned, answer.bytes);
    if (answer.kept) kept.set(answer.kept.slot, answer.kept.seconds);
    return answer;
  });
  return {
    answers,
    verdicts: verdicts.text(),
    counters: counters.text(),
    records: flows,
    kept,
    returned: returned.text(),
    claims: isHost ? encodeEach(claims, encodeClaims) : none,
    ports: isHost ? encodeEach(ports, encodePort) : none,
  };
}

function describe({ action, verdict, id, reasons }: Answer): string {
  const { slotNumber, slot, hot, port, noPort } = reasons;
  return [
    `${action}, ${verdict}`,
    id === undefined ? '' : `, destination ${id}`,
    slot ? `, slot ${slotNumber} ${JSON.stringify(slot)}` : '',
    hot === undefined ? '' : `, ${hot}`,
    port ? `, port ${port.number}: ${port.why}` : '',
    noPort === undefined ? '' : `, ${noPort}`,
  ].join('');
}

function describeTables({ device, cells }: Scenario['tables']): string {
  const ways = cells.map(
    ({ address, port, protocol, service, flags }) =>
      `${address.toString('hex')}:${port}/${protocol} → ${service} flags ${flags}`,
  );
  return [
    `mac ${device.mac.toString('hex')}, session ${device.sessionPort}, flags ${device.flags}`,
    ...ways,
  ].join('\n  ');
}
