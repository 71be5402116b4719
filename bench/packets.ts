// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Measures all cases in rounds: each case after its floor in the same moment, so that
 * what else the machine does meets both.
 */
import { mkdirSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';

import type { Run } from '../src/system/run.js';
import type { Case } from './cases.js';
import type { Hardware } from './inside.js';
import { perfArguments, readPerf, statisticsOf, withStatistics } from './inside.js';
import type { PacketsResult } from './result.js';
import { spreadBeside, spreadOf } from './result.js';
import type { SubjectName } from './subjects.js';
import { SUBJECTS, came } from './subjects.js';
import type { Traffic } from './traffic.js';
import { floodArguments } from './traffic.js';
import { ROOT } from './started.js';
import { Wire } from './wire.js';

/** The last one, since the first has most of the machine's own work. */
const PROCESSOR = cpus().length - 1;

export interface Effort {
  rounds: number;
  /** Of a case, in all rounds. */
  packets: number;
}

interface Sent {
  /** That the far end took. */
  packets: number;
  came: number;
  nanoseconds: number;
}

/** The last line of flood/flood. */
interface EndJson {
  sent: number;
  lost: number;
  busy_ns: number;
}

interface Measured {
  one: Case;
  /** Packets of a round: at least one of each flow. */
  count: number;
  floor: number[];
  own: number[];
  /** Of all rounds. */
  packets: number;
  lost: number;
}

export class Packets {
  readonly #run: Run;
  readonly #folder: string;
  readonly #cases: readonly Case[];
  readonly #wires = new Map<SubjectName, Wire>();

  constructor(run: Run, folder: string, cases: readonly Case[]) {
    this.#run = run;
    this.#folder = folder;
    this.#cases = cases;
  }

  async up(tell: (line: string) => void, stop: AbortSignal): Promise<void> {
    const names = new Set(
      this.#cases.flatMap(({ subject, floor }) => (floor ? [floor, subject] : [subject])),
    );
    for (const name of names) {
      stop.throwIfAborted();
      tell(`setting up: ${name}`);
      const folder = join(this.#folder, String(this.#wires.size));
      mkdirSync(folder);
      const wire = new Wire(this.#run, String(this.#wires.size));
      this.#wires.set(name, wire);
      await wire.up();
      await SUBJECTS[name](wire, folder);
    }
  }

  async down(): Promise<void> {
    // One that cannot be taken down must not keep the others.
    const all = [...this.#wires.values()].map((wire) => wire.down());
    const failed = (await Promise.allSettled(all)).find(
      ({ status }) => status === 'rejected',
    );
    if (failed) throw (failed as PromiseRejectedResult).reason;
  }

  async measure(
    { rounds, packets }: Effort,
    tell: (line: string) => void,
    stop: AbortSignal,
  ): Promise<PacketsResult[]> {
    const least = Math.ceil(packets / rounds);
    const all = this.#cases.map((one): Measured => ({
      ...{ one, count: Math.max(least, one.traffic.flows ?? 0) },
      ...{ floor: [], own: [], packets: 0, lost: 0 },
    }));
    for (let round = 1; round <= rounds; round++) {
      tell(`packets: round ${round} of ${rounds}`);
      for (const measured of all) {
        stop.throwIfAborted();
        await this.#measureOnce(measured);
      }
    }
    tell('packets: what the programs take by themselves');
    const results: PacketsResult[] = [];
    for (const measured of all) {
      stop.throwIfAborted();
      const { one, own, floor, packets: sent, lost } = measured;
      results.push({
        ...{ group: one.group, name: one.name, packets: sent, lost, path: spreadOf(own) },
        over: one.floor && spreadBeside(own, floor, (mine, theirs) => mine - theirs),
        ratio: one.floor && spreadBeside(own, floor, (mine, theirs) => mine / theirs),
        ...(await this.#lookInside(measured)),
      });
    }
    return results;
  }

  async #measureOnce(measured: Measured): Promise<void> {
    const { one, count } = measured;
    await this.#begin(one);
    if (one.floor) {
      measured.floor.push(perPacket(await this.#send(one.floor, one.traffic, count)));
    }
    const sent = await this.#send(one.subject, one.traffic, count);
    measured.own.push(perPacket(sent));
    measured.packets += sent.packets;
    // More may have come: the kernel says something of its own on a device now and then.
    measured.lost += Math.max(0, sent.packets - sent.came);
  }

  /** Each time anew, since other cases may have ousted what has to be on record. */
  async #begin({ subject, before }: Case): Promise<void> {
    if (before?.flows) await this.#send(subject, before, before.flows);
  }

  async #send(name: SubjectName, traffic: Traffic, count: number): Promise<Sent> {
    const wire = this.#wireOf(name);
    const before = await came(name, wire);
    const end = await this.#flood(wire, floodArguments(traffic, count));
    return {
      packets: end.sent - end.lost,
      came: (await came(name, wire)) - before,
      nanoseconds: end.busy_ns,
    };
  }

  #wireOf(name: SubjectName): Wire {
    const wire = this.#wires.get(name);
    if (!wire) throw new Error(`${name} is not set up`);
    return wire;
  }

  async #flood(wire: Wire, args: readonly string[]): Promise<EndJson> {
    const flood = join(ROOT, 'flood/flood');
    return readEnd(await wire.near('taskset', ['-c', String(PROCESSOR), flood, ...args]));
  }

  /** What the program at the far end is, and what it and the processor do for a packet. */
  async #lookInside({
    one,
    count,
  }: Measured): Promise<Pick<PacketsResult, 'run' | 'instructions' | 'hardware'>> {
    const wire = this.#wireOf(one.subject);
    const args = floodArguments(one.traffic, count);
    await this.#begin(one);
    const hardware = await this.#count(wire, args);
    const program = await wire.program('far');
    if (!program) return { run: undefined, instructions: undefined, hardware };
    return withStatistics(async () => {
      const before = await statisticsOf(this.#run, program.id);
      await this.#flood(wire, args);
      const { runs, nanoseconds, instructions } = await statisticsOf(
        this.#run,
        program.id,
      );
      const run = (nanoseconds - before.nanoseconds) / (runs - before.runs);
      return { run, instructions, hardware };
    });
  }

  async #count(wire: Wire, args: readonly string[]): Promise<Hardware | undefined> {
    const flood = join(ROOT, 'flood/flood');
    const { exitCode, stdout, stderr } = await wire.tryNear('perf', [
      ...perfArguments(PROCESSOR),
      ...['taskset', '-c', String(PROCESSOR), flood, ...args],
    ]);
    return exitCode === 0 ? readPerf(stderr, readEnd(stdout).sent) : undefined;
  }
}

function readEnd(text: string): EndJson {
  return JSON.parse(text.trim().split('\n').at(-1) ?? '') as EndJson;
}

/** Nanoseconds of the whole path, for each packet that the far end took. */
function perPacket({ packets, nanoseconds }: Sent): number {
  return nanoseconds / packets;
}
