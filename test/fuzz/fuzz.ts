// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The same chunks through a build and through the model; every difference is told. */
import { setTimeout as sleep } from 'node:timers/promises';

import type { VerdictName } from '../../src/abi.js';
import { VERDICTS, encodeKey } from '../../src/abi.js';
import type { Build } from '../../src/attached.js';
import { DECAP_VERDICTS } from '../../src/decap.js';
import { describeFrame } from '../../src/explain/text.js';
import { decap } from '../../src/model/decap.js';
import { model } from '../../src/model/model.js';
import type { Answer, FlowRecord, State, Tables } from '../../src/model/tables.js';
import type { ChunkResult, SmallMap } from './harness.js';
import { Loaded, clock, counted } from './harness.js';
import { makeFrames, makeTunnels } from './packets.js';
import { Random } from './random.js';
import type { Scenario } from './scenario.js';
import {
  DESTINATIONS,
  LOG2_SETS,
  SLOTS,
  begin,
  encodeRecords,
  encodeTables,
  makeScenario,
} from './scenario.js';

export const CHUNK = 1000;
/** Of the program that answers too much: l4lb.h, L4LB_MOST_ANSWERS and its window. */
const MOST_ANSWERS = 1000n;
const WINDOW_SHIFT = 30n;
const OBJECTS: Record<Build, string> = {
  host: 'l4lb_xdp_host.o',
  portable: 'l4lb_xdp.o',
};

export interface Difference {
  /** How the chunk can be run again. */
  seed: number;
  chunk: number;
  program: Build | 'decap';
  packet?: number;
  frame?: Buffer;
  what: string;
}

export interface Target {
  readonly name: Build | 'decap';
  chunk(seed: number, chunk: number, count: number): Promise<Difference[]>;
  close(): void;
}

function smallMaps(build: Build): Record<string, SmallMap> {
  const counters = build === 'host' ? 'percpu_array' : 'array';
  return {
    slots: { kind: 'array', value: 8, entries: SLOTS },
    destinations: { kind: 'array', value: 48, entries: DESTINATIONS },
    counters: { kind: counters, value: 16, entries: DESTINATIONS },
    ...(build === 'host' && {
      flows: { kind: 'array', value: 64, entries: 2 ** LOG2_SETS },
      kept: { kind: 'array', value: 4, entries: SLOTS },
    }),
  };
}

/** Each chunk has a chance of its own, so that one alone can be run again. */
function randomOf(seed: number, chunk: number): Random {
  return new Random(Math.imul(seed, 0x9e3779b1) ^ Math.imul(chunk + 1, 0x85ebca77));
}

export class BalancerTarget implements Target {
  readonly name: Build;
  readonly #loaded: Loaded;

  private constructor(build: Build, loaded: Loaded) {
    this.name = build;
    this.#loaded = loaded;
  }

  static async load(build: Build): Promise<BalancerTarget> {
    return new BalancerTarget(build, await Loaded.load(OBJECTS[build], smallMaps(build)));
  }

  close(): void {
    this.#loaded.close();
  }

  async chunk(seed: number, chunk: number, count: number): Promise<Difference[]> {
    const random = randomOf(seed, chunk);
    const scenario = makeScenario(random);
    const frames = makeFrames(random, scenario, count);
    const differences = await this.#compare(scenario, frames);
    if (differences.length === 0) return [];
    // Which packet was counted otherwise is seen by counting after each.
    const exact = differences.some(({ packet }) => packet === undefined)
      ? await this.#oneByOne(scenario, frames)
      : [];
    return [...exact, ...differences].map((one) => ({
      ...one,
      seed,
      chunk,
      program: this.name,
      ...(one.packet !== undefined && { frame: frames[one.packet] as Buffer }),
    }));
  }

  async #compare(scenario: Scenario, frames: readonly Buffer[]): Promise<Found[]> {
    const { result, expected, tables } = await this.#run(scenario, frames, false);
    const found: Found[] = [];
    expected.answers.forEach((answer, packet) => {
      const ran = result.ran[packet];
      if (ran?.action === answer.action && ran.frame.equals(answer.frame)) return;
      found.push({
        packet,
        what: [
          `the model says ${describe(answer)}`,
          `  ${answer.frame.toString('hex')}`,
          ...describeFrame(answer.frame),
          `the program says ${ran?.action ?? 'nothing'}`,
          `  ${ran?.frame.toString('hex') ?? ''}`,
          ...describeFrame(ran?.frame ?? Buffer.alloc(0)),
          `tables: ${describeTables(tables)}`,
        ].join('\n'),
      });
    });
    return [...found, ...compareMaps(result, expected)];
  }

  /** Runs a chunk within one second, and one window of the rate. */
  async #run(
    scenario: Scenario,
    frames: readonly Buffer[],
    isSlow: boolean,
  ): Promise<{ result: ChunkResult; expected: Expected; tables: Tables }> {
    const isHost = this.name === 'host';
    for (;;) {
      const start = clock();
      const { slots, records } = begin(scenario, start.seconds);
      const before = this.#prepare(scenario, slots, records, start.now);
      const need = isSlow ? 0.05 : 0.2 + frames.length * 0.0001;
      if (isHost && start.left < need) {
        await sleep(start.left * 1000 + 1);
        continue;
      }
      const dumps = ['verdicts', 'counters', ...(isHost ? ['flows', 'kept'] : [])];
      const result = await this.#loaded.chunk(before, frames, dumps);
      const end = clock();
      const isSame =
        end.seconds === start.seconds &&
        end.now >> WINDOW_SHIFT === start.now >> WINDOW_SHIFT;
      if (isHost && !isSame) continue;
      const tables: Tables = { ...scenario.tables, slots, build: this.name };
      const state = { now: start.now, mayTell: scenario.mayTell };
      return { result, expected: expect(tables, state, records, frames), tables };
    }
  }

  #prepare(
    scenario: Scenario,
    slots: Tables['slots'],
    records: ReadonlyMap<number, FlowRecord[]>,
    now: bigint,
  ): string[] {
    const loaded = this.#loaded;
    const content = encodeTables(scenario, slots, loaded.entries('services'));
    const lines = ['services', 'counters', 'verdicts'].flatMap((name) =>
      loaded.zeros(name),
    );
    for (const [name, values] of content) lines.push(...loaded.writes(name, values));
    if (this.name === 'portable') return lines;
    const sets = new Map([...records].map(([set, all]) => [set, encodeRecords(all)]));
    const answers = Buffer.alloc(16);
    if (!scenario.mayTell) {
      answers.writeBigUInt64LE(now >> WINDOW_SHIFT, 0);
      answers.writeBigUInt64LE(MOST_ANSWERS, 8);
    }
    lines.push(...loaded.writes('flows', sets), ...loaded.zeros('kept'));
    lines.push(...loaded.writes('answers', new Map([[0, answers]])));
    return lines;
  }

  /** Longer and longer starts of the chunk, halved until the first that differs. */
  async #oneByOne(scenario: Scenario, frames: readonly Buffer[]): Promise<Found[]> {
    let [good, bad] = [0, frames.length];
    while (bad - good > 1) {
      const middle = (good + bad) >> 1;
      const { result, expected } = await this.#run(
        scenario,
        frames.slice(0, middle),
        false,
      );
      if (compareMaps(result, expected).length === 0) good = middle;
      else bad = middle;
    }
    const { result, expected, tables } = await this.#run(
      scenario,
      frames.slice(0, bad),
      false,
    );
    const answer = expected.answers[bad - 1];
    if (!answer) return [];
    const what = compareMaps(result, expected).map((one) => one.what);
    return [
      {
        packet: bad - 1,
        what: [
          `from this packet on the maps differ; the model says ${describe(answer)}`,
          ...what,
          `tables: ${describeTables(tables)}`,
        ].join('\n'),
      },
    ];
  }
}

interface Found {
  packet?: number;
  what: string;
}

interface Expected {
  answers: Answer[];
  verdicts: Map<number, string>;
  counters: Map<number, string>;
  records: Map<number, FlowRecord[]>;
  kept: Map<number, number>;
}

const NUMBERS = new Map<VerdictName, number>(
  VERDICTS.map(({ name, number }) => [name, number]),
);

function expect(
  tables: Tables,
  state: Omit<State, 'flows'>,
  records: ReadonlyMap<number, readonly FlowRecord[]>,
  frames: readonly Buffer[],
): Expected {
  const flows = new Map([...records].map(([set, all]) => [set, [...all]]));
  const kept = new Map<number, number>();
  const verdicts = new Sums();
  const counters = new Sums();
  const answers = frames.map((frame) => {
    const answer = model(tables, { ...state, flows }, frame);
    if (answer.id === undefined)
      verdicts.add(NUMBERS.get(answer.verdict) ?? -1, answer.bytes);
    else counters.add(answer.id, answer.bytes);
    const set = answer.record && flows.get(answer.record.set);
    if (set && answer.record) set[answer.record.place] = answer.record.record;
    if (answer.kept) kept.set(answer.kept.slot, answer.kept.seconds);
    return answer;
  });
  return {
    answers,
    verdicts: verdicts.text(),
    counters: counters.text(),
    records: flows,
    kept,
  };
}

class Sums {
  readonly #sums = new Map<number, [number, number]>();

  add(key: number, bytes: number): void {
    const [packets, all] = this.#sums.get(key) ?? [0, 0];
    this.#sums.set(key, [packets + 1, all + bytes]);
  }

  text(): Map<number, string> {
    return new Map(
      [...this.#sums].map(([key, [packets, all]]) => [
        key,
        `${packets} packets, ${all} bytes`,
      ]),
    );
  }
}

function compareMaps({ after }: ChunkResult, expected: Expected): Found[] {
  const found = [
    ...compareSums('verdict', counted(after.get('verdicts')), expected.verdicts),
    ...compareSums('destination', counted(after.get('counters')), expected.counters),
  ];
  for (const [set, [value]] of after.get('flows') ?? []) {
    const wanted = encodeRecords(expected.records.get(set) ?? []);
    if (!value || value.equals(wanted)) continue;
    found.push(
      `records of set ${set}: model ${hexWords(wanted)}, program ${hexWords(value)}`,
    );
  }
  for (const [slot, [value]] of after.get('kept') ?? []) {
    const wanted = encodeKey(expected.kept.get(slot) ?? 0);
    if (!value || value.equals(wanted)) continue;
    found.push(
      `kept of slot ${slot}: model ${wanted.readUInt32LE()}, program ${value.readUInt32LE()}`,
    );
  }
  return found.map((what) => ({ what }));
}

function hexWords(bytes: Buffer): string {
  return bytes.toString('hex').replaceAll(/.{16}(?!$)/g, '$& ');
}

function compareSums(
  kind: string,
  program: ReadonlyMap<number, string>,
  wanted: ReadonlyMap<number, string>,
): string[] {
  const keys = [...new Set([...program.keys(), ...wanted.keys()])];
  return keys.flatMap((key) => {
    const [ours, theirs] = [wanted.get(key) ?? 'none', program.get(key) ?? 'none'];
    return ours === theirs ? [] : [`${kind} ${key}: model ${ours}, program ${theirs}`];
  });
}

function describe({ action, verdict, id, reasons }: Answer): string {
  const { slotNumber, slot, hot } = reasons;
  return [
    `${action}, ${verdict}`,
    id === undefined ? '' : `, destination ${id}`,
    slot ? `, slot ${slotNumber} ${JSON.stringify(slot)}` : '',
    hot === undefined ? '' : `, ${hot}`,
  ].join('');
}

function describeTables({ device, cells }: Tables): string {
  const ways = cells.map(
    ({ address, port, protocol, service, flags }) =>
      `${address.toString('hex')}:${port}/${protocol} → ${service} flags ${flags}`,
  );
  return [
    `mac ${device.mac.toString('hex')}, session ${device.sessionPort}, flags ${device.flags}`,
    ...ways,
  ].join('\n  ');
}

/** The destination's end. */
export class DecapTarget implements Target {
  readonly name = 'decap';
  readonly #loaded: Loaded;
  readonly #own: readonly Buffer[];

  private constructor(loaded: Loaded, own: readonly Buffer[]) {
    this.#loaded = loaded;
    this.#own = own;
  }

  static async load(): Promise<DecapTarget> {
    const loaded = await Loaded.load('l4lb_decap.o');
    const own = [
      '00000000000000000000ffff0a00010f',
      '00000000000000000000ffff0a000110',
      '20010db800020000000000000000000f',
    ].map((text) => Buffer.from(text, 'hex'));
    await loaded.query([
      ...own.map((address) => loaded.writeKey('addresses', address, encodeKey(1))),
      loaded.writeKey(
        'host',
        encodeKey(0),
        Buffer.concat([encodeKey(1), Buffer.alloc(4)]),
      ),
    ]);
    return new DecapTarget(loaded, own);
  }

  close(): void {
    this.#loaded.close();
  }

  async chunk(seed: number, chunk: number, count: number): Promise<Difference[]> {
    const random = randomOf(seed, chunk);
    const onWire = this.#own.map((one) =>
      one.subarray(0, 12).toString('hex').endsWith('ffff') ? one.subarray(12) : one,
    );
    const frames = makeTunnels(random, onWire, count);
    const { ran, after } = await this.#loaded.chunk(
      this.#loaded.zeros('verdicts'),
      frames,
      ['verdicts'],
    );
    const sums = new Sums();
    const head = { seed, chunk, program: this.name } as const;
    const found: Difference[] = frames.flatMap((frame, packet) => {
      const answer = decap(this.#own, frame);
      const number = DECAP_VERDICTS.find(({ name }) => name === answer.verdict)?.number;
      sums.add(number ?? -1, frame.length);
      const there = ran[packet];
      if (there?.action === answer.action && there.frame.equals(answer.frame)) return [];
      const what = [
        `the model says ${answer.action}, ${answer.verdict}`,
        `  ${answer.frame.toString('hex')}`,
        `the program says ${there?.action ?? 'nothing'}`,
        `  ${there?.frame.toString('hex') ?? ''}`,
        ...describeFrame(there?.frame ?? Buffer.alloc(0)),
      ].join('\n');
      return [{ ...head, packet, frame, what }];
    });
    const differences = compareSums(
      'verdict',
      counted(after.get('verdicts')),
      sums.text(),
    );
    if (differences.length > 0) {
      found.push(...(await this.#countEach(head, frames)));
      found.push({ ...head, what: differences.join('\n') });
    }
    return found;
  }

  async #countEach(
    head: Pick<Difference, 'seed' | 'chunk' | 'program'>,
    frames: readonly Buffer[],
  ): Promise<Difference[]> {
    for (const [packet, frame] of frames.entries()) {
      const sums = new Sums();
      const { verdict } = decap(this.#own, frame);
      const number = DECAP_VERDICTS.find(({ name }) => name === verdict)?.number;
      sums.add(number ?? -1, frame.length);
      const { after } = await this.#loaded.chunk(
        this.#loaded.zeros('verdicts'),
        [frame],
        ['verdicts'],
      );
      const wrong = compareSums('verdict', counted(after.get('verdicts')), sums.text());
      if (wrong.length > 0) return [{ ...head, packet, frame, what: wrong.join('\n') }];
    }
    return [];
  }
}

export const TARGETS: Record<Target['name'], () => Promise<Target>> = {
  host: () => BalancerTarget.load('host'),
  portable: () => BalancerTarget.load('portable'),
  decap: () => DecapTarget.load(),
};

export interface Wanted {
  count: number;
  seed: number;
  /** Of a difference that is looked at again. */
  only?: number | undefined;
  progress?: (done: number) => void;
}

/** Stops at the first chunk with differences. */
export async function fuzz(
  target: Target,
  { count, seed, only, progress }: Wanted,
): Promise<{ packets: number; differences: Difference[] }> {
  let packets = 0;
  for (let chunk = only ?? 0; packets < count; chunk++) {
    const size = Math.min(CHUNK, count - packets);
    const differences = await target.chunk(seed, chunk, size);
    packets += size;
    if (differences.length > 0) return { packets, differences };
    progress?.(packets);
    if (only !== undefined) break;
  }
  return { packets, differences: [] };
}

export function describeDifference(one: Difference): string {
  const { seed, chunk, program, packet, frame, what } = one;
  return [
    `${program}: seed ${seed}, chunk ${chunk}${packet === undefined ? '' : `, packet ${packet}`}`,
    ...(frame
      ? [
          `packet of ${frame.length} bytes: ${frame.toString('hex')}`,
          ...describeFrame(frame),
        ]
      : []),
    what,
  ].join('\n');
}
