// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The balancer in one of its builds. */
import { setTimeout as sleep } from 'node:timers/promises';

import type { Build } from '../../src/abi/maps.js';
import type { FlowRecord } from '../../src/abi/record.js';
import { QUAD } from '../../src/abi/slot.js';
import { encodeKey } from '../../src/abi/bytes.js';
import { VERDICTS } from '../../src/abi/verdicts.js';
import type { VerdictName } from '../../src/abi/verdicts.js';
import { describeFrame } from '../../src/explain/text.js';
import { model } from '../../src/model/model.js';
import { wrongSums } from '../../src/model/sums.js';
import type { Answer, State, Tables } from '../../src/model/types.js';
import type { ExpectedMaps, Found } from './compare.js';
import { Sums, compareMaps } from './compare.js';
import type { ChunkResult, SmallMap } from './harness.js';
import { Loaded, clock } from './harness.js';
import { makeFrames } from './packets.js';
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
import type { Difference, Program, Target } from './target.js';
import { PROGRAMS, randomOf } from './target.js';

/** L4LB_MOST_ANSWERS and so on in l4lb.h, by their places in `limits`. */
const MOST = [1000, 1 << 15, 10_000];
/** The program's clock is the coarse one, which is behind by so much at the most. */
const TICK_MS = 20;

function smallMaps(build: Build): Record<string, SmallMap> {
  const counters = build === 'host' ? 'percpu_array' : 'array';
  return {
    slots: { kind: 'array', value: 8, entries: SLOTS / QUAD },
    destinations: { kind: 'array', value: 48, entries: DESTINATIONS },
    counters: { kind: counters, value: 16, entries: DESTINATIONS },
    ...(build === 'host' && {
      memories: { kind: 'array', value: 8, entries: SLOTS },
      flows: { kind: 'array', value: 64, entries: 2 ** LOG2_SETS },
      kept: { kind: 'array', value: 4, entries: SLOTS },
    }),
  };
}

export class BalancerTarget implements Target {
  readonly name: Program;
  readonly #build: Build;
  readonly #loaded: Loaded;

  private constructor(name: Program, build: Build, loaded: Loaded) {
    this.name = name;
    this.#build = build;
    this.#loaded = loaded;
  }

  static async load(name: Program): Promise<BalancerTarget> {
    const build = name === 'portable' ? 'portable' : 'host';
    const loaded = await Loaded.load(PROGRAMS[name].object, smallMaps(build));
    return new BalancerTarget(name, build, loaded);
  }

  close(): void {
    this.#loaded.close();
  }

  async chunk(seed: number, chunk: number, count: number): Promise<Difference[]> {
    const random = randomOf(seed, chunk);
    const scenario = makeScenario(random);
    const frames = makeFrames(random, scenario, count, PROGRAMS[this.name].longest);
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
      const sums = wrongSums(
        frames[packet] as Buffer,
        ran?.frame ?? answer.frame,
        answer.verdict,
      );
      if (
        ran?.action === answer.action &&
        ran.frame.equals(answer.frame) &&
        sums.length === 0
      )
        return;
      found.push({
        packet,
        what: [
          `the model says ${describe(answer)}`,
          `  ${answer.frame.toString('hex')}`,
          ...describeFrame(answer.frame),
          `the program says ${ran?.action ?? 'nothing'}`,
          `  ${ran?.frame.toString('hex') ?? ''}`,
          ...describeFrame(ran?.frame ?? Buffer.alloc(0)),
          ...sums,
          `tables: ${describeTables(tables)}`,
        ].join('\n'),
      });
    });
    return [...found, ...compareMaps(result, expected)];
  }

  /** Runs a chunk within one second. */
  async #run(
    scenario: Scenario,
    frames: readonly Buffer[],
    isSlow: boolean,
  ): Promise<{ result: ChunkResult; expected: Expected; tables: Tables }> {
    const isHost = this.#build === 'host';
    for (;;) {
      const start = clock();
      const { slots, records } = begin(scenario, start.seconds);
      const before = this.#prepare(scenario, slots, records, start.seconds);
      const need = isSlow ? 0.05 : 0.2 + frames.length * 0.0001;
      if (isHost && start.left < need) {
        await sleep(start.left * 1000 + TICK_MS);
        continue;
      }
      const dumps = ['verdicts', 'counters', ...(isHost ? ['flows', 'kept'] : [])];
      const result = await this.#loaded.chunk(before, frames, dumps);
      if (isHost && clock().seconds !== start.seconds) continue;
      const tables: Tables = { ...scenario.tables, slots, build: this.#build };
      const { mayTell, mayRecord, mayEcho } = scenario;
      const state = { now: start.now, mayTell, mayRecord, mayEcho };
      return { result, expected: expect(tables, state, records, frames), tables };
    }
  }

  #prepare(
    scenario: Scenario,
    slots: Tables['slots'],
    records: ReadonlyMap<number, FlowRecord[]>,
    seconds: number,
  ): string[] {
    const loaded = this.#loaded;
    const content = encodeTables(scenario, slots, loaded.entries('services'));
    const lines = ['services', 'counters', 'verdicts'].flatMap((name) =>
      loaded.zeros(name),
    );
    if (this.#build === 'portable') content.delete('memories');
    for (const [name, values] of content) lines.push(...loaded.writes(name, values));
    if (this.#build === 'portable') return lines;
    const sets = new Map([...records].map(([set, all]) => [set, encodeRecords(all)]));
    const allowed = [scenario.mayTell, scenario.mayRecord, scenario.mayEcho];
    const limits = allowed.map((may, key) => {
      const done = may ? [0, 0] : [seconds, MOST[key] ?? 0];
      return [key, Buffer.concat(done.map(encodeKey))] as const;
    });
    lines.push(...loaded.writes('flows', sets), ...loaded.zeros('kept'));
    lines.push(...loaded.writes('limits', new Map(limits)));
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

interface Expected extends ExpectedMaps {
  answers: Answer[];
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
