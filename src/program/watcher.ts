// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Reads the counters of a device again and again, with one bpftool process each time. The
 * maps are found once. The list of destinations is read anew only when the generation of
 * the tables says that somebody filled them.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { BpftoolFailure, valueOf } from '../system/bpftool-text.js';
import { ZERO, addCounters } from '../abi/counter.js';
import type { Counter } from '../abi/counter.js';
import type { Destination } from '../abi/destination.js';
import { decodeDestination, hadDestination } from '../abi/destination.js';
import { decodeDevice, isCounting } from '../abi/device.js';
import { decodeKey } from '../abi/bytes.js';
import type { Mode } from '../text/mode.js';
import { dpdkOf } from '../system/dpdk.js';
import { MODE_NAMES } from '../text/mode.js';
import type { Tools } from './tools.js';
import type { Ports } from '../plan/port-use.js';
import type { UsedPool } from '../plan/pools.js';
import { usedPools } from '../plan/pools.js';
import type { Records } from '../plan/records.js';
import { at, must } from '../text/must.js';
import { formatEndpoint } from '../wire/endpoint.js';
import { answersAreCounted, answersComeBack } from '../wire/forward.js';
import type { Asking, CountedSlots } from './asking.js';
import { startAsking } from './asking.js';
import { readCounters } from './counters.js';
import type { Attached, Maps } from './find.js';
import { findAttached } from './find.js';
import { readPorts } from './port-use.js';
import type { Reading, Returned, Subject } from './reading.js';
import { totalOf } from './reading.js';
import { readRecords } from './records.js';
import { Failure } from '../text/failure.js';
import { elapsedSeconds } from '../system/clock.js';
import { decodeCells, sizesOf } from './read.js';
import { loadSums } from './sums.js';
import { Pins, sweepPins } from './pins.js';
import type { Service } from '../plan/services.js';
import { servicesIn } from '../plan/services.js';
import { reachable } from '../plan/cells.js';
import type { Entry } from '../system/entries.js';
import { EntriesFailure } from '../system/entries.js';

export interface Observation {
  subject: Subject;
  reading: Reading;
  /** The counters are not those of the last observation: the program is another. */
  isNew: boolean;
  /** By id; only those that have a service. */
  entries: ReadonlyMap<number, Destination>;
  /** Undefined unless slots are wanted. */
  services: readonly Service[] | undefined;
  slots: CountedSlots | undefined;
}

export interface WatcherOptions {
  /** Has a program add up counters, where it can be; otherwise bpftool prints them all. */
  adds?: boolean;
  /** Counts the slots of each service and destination too. */
  wantsSlots?: boolean;
}

/** The program was removed or replaced since the last reading. */
class Gone extends Error {}

interface NetJson {
  xdp: { id?: number; multi_attachments?: { id: number }[] }[];
}

interface Watched extends Attached {
  subject: Subject;
  generation: number;
  /** What was counted for ids that are free now. */
  freed: Counter;
  /** Whose answers are counted; undefined where nobody's are. */
  answering: Answering | undefined;
  /** Whose ports services send from. */
  pools: UsedPool[];
  entries: ReadonlyMap<number, Destination>;
  services: readonly Service[] | undefined;
  asking: Asking;
}

interface Answering {
  ids: readonly number[];
  /** What was counted for ids that are free now. */
  freed: Counter;
  /** Whether answers have to come back here: by link they do only where routes say so. */
  areExpected: boolean;
}

/** How often the tables are read anew while they change. */
const TRIES = 20;
/**
 * Milliseconds that a move of counters may take, unless its tool was killed meanwhile.
 */
const LONGEST_MOVE = 1000;
const PAUSE = 50;

export class Watcher {
  readonly #tools: Tools;
  readonly #device: string;
  readonly #mode: Mode | undefined;
  readonly #options: WatcherOptions;
  #watched: Watched | undefined;
  #counters: number | undefined;
  /** The program that adds up the counters of this program; no pin: there can be none. */
  #sums: { program: number; pin: string | undefined } | undefined;
  readonly #pins = new Pins();
  readonly #release = (): void => {
    process.off('exit', this.#release);
    this.#pins.release();
  };

  constructor(
    tools: Tools,
    device: string,
    mode: Mode | undefined,
    options: WatcherOptions = {},
  ) {
    this.#tools = tools;
    this.#device = device;
    this.#mode = mode;
    this.#options = options;
  }

  /**
   * Reads the counters now. The tables may be filled or the program replaced at any
   * moment; then it tries again with what is there by then.
   */
  async observe(): Promise<Observation> {
    for (let tries = 1; ; tries++) {
      const watched = this.#watched ?? (await this.#find());
      this.#watched = undefined;
      try {
        const { reading, generations, slots } = await this.#read(watched);
        if (generations.every((one) => one === watched.generation)) {
          const isNew = this.#counters !== watched.maps.counters.id;
          this.#counters = watched.maps.counters.id;
          this.#watched = watched;
          const { subject, entries, services } = watched;
          return { subject, reading, isNew, entries, services, slots };
        }
        watched.asking.close();
      } catch (error) {
        watched.asking.close();
        const passing = [Gone, BpftoolFailure, EntriesFailure];
        const isPassing = passing.some((kind) => error instanceof kind);
        if (!isPassing || tries >= 3) throw asFailure(error, this.#device);
      }
      if (tries >= TRIES) {
        throw new Failure(
          `the tables of ${this.#device} change faster than they can be read`,
          {
            next: 'run this command again when whoever fills them has finished',
          },
        );
      }
    }
  }

  /** Reads whether records have room, of the program that was observed last. */
  async records(): Promise<Records> {
    return this.#watched && readRecords(this.#tools.bpftool, this.#watched.maps);
  }

  /** Reads how many ports of full-nat are taken, of the program that was observed last. */
  async ports(): Promise<Ports> {
    const watched = this.#watched;
    return watched && readPorts(this.#tools.bpftool, watched.maps, watched.pools);
  }

  /** Ends the watching. */
  close(): void {
    this.#watched?.asking.close();
    this.#watched = undefined;
    this.#sums = undefined;
    this.#release();
  }

  #freshPins(): Pins {
    this.#release();
    sweepPins();
    process.once('exit', this.#release);
    return this.#pins;
  }

  async #find(): Promise<Watched> {
    const attached = await findAttached(this.#tools, this.#device, this.#mode);
    const { maps } = attached;
    const { generation, destinations, services } = await this.#readDestinations(maps);
    const all = destinations.map(
      (one) => [decodeKey(one.key), decodeDestination(valueOf(one))] as const,
    );
    const entries = new Map(all.filter(([, { service }]) => service !== 0));
    const { freed, answering } = await this.#readFreed(maps, all);
    const ids = [...entries.keys()];
    const asked = { maps, ids, answering: answering?.ids ?? [], services };
    const asking = await startAsking(
      { device: this.#device, ...asked },
      await this.#sumsOf(attached),
    );
    return {
      ...attached,
      ...{ asking, answering, entries, services, freed, generation },
      pools: usedPools(all.map(([, entry]) => entry)),
      subject: {
        interface: this.#device,
        mode: MODE_NAMES[attached.mode],
        destinations: new Map(
          Array.from(entries, ([id, entry]) => [id, formatEndpoint(entry)]),
        ),
        loadedAt: elapsedSeconds() - (Date.now() / 1000 - attached.loadedAt),
      },
    };
  }

  /** The pin of the program that adds up counters; undefined: there can be none. */
  async #sumsOf(attached: Attached): Promise<string | undefined> {
    if (!this.#options.adds) return undefined;
    const { program } = attached;
    if (this.#sums?.program !== program) {
      const pins = this.#freshPins();
      this.#sums = {
        program,
        pin: await loadSums(this.#tools.bpftool, pins, attached),
      };
    }
    return this.#sums.pin;
  }

  /**
   * Reads what was counted for ids that are free now, and returns whose answers are
   * counted. If counters move meanwhile, the generation is another by the time of the first
   * reading, and all is read anew.
   */
  async #readFreed(
    { counters, returned }: Maps,
    entries: readonly (readonly [id: number, entry: Destination])[],
  ): Promise<Pick<Watched, 'freed' | 'answering'>> {
    const idsOf = (some: typeof entries): number[] => some.map(([id]) => id);
    const answers = ([, { forward }]: (typeof entries)[number]): boolean =>
      answersAreCounted(forward);
    const used = entries.filter(([, { service }]) => service !== 0);
    const free = entries.filter(
      ([, entry]) => entry.service === 0 && hadDestination(entry),
    );
    const ids = returned ? idsOf(used.filter(answers)) : [];
    const gone = idsOf(free);
    const goneAnswering = ids.length > 0 ? idsOf(free.filter(answers)) : [];
    const counted = await readCounters(this.#tools.bpftool, [
      { map: counters, ids: gone },
      ...(returned ? [{ map: returned, ids: goneAnswering }] : []),
    ]);
    const areExpected = used.some(([, { forward }]) => answersComeBack(forward));
    const sum = (freed: readonly number[], index: number): Counter =>
      freed.map((id) => counterOf(at(counted, index), id)).reduce(addCounters, ZERO);
    return {
      freed: sum(gone, 0),
      answering:
        ids.length > 0 ? { ids, freed: sum(goneAnswering, 1), areExpected } : undefined,
    };
  }

  /**
   * Waits while counters move. If a tool was killed during the move it never ends, so the
   * wait has a limit.
   */
  async #readDestinations(maps: Maps): Promise<{
    generation: number;
    destinations: Entry[];
    services: Service[] | undefined;
  }> {
    const { wantsSlots } = this.#options;
    const { device, destinations, services } = maps;
    const sizes = sizesOf(maps);
    const sparse = [destinations, ...(wantsSlots ? [services] : [])].map(({ id }) => id);
    for (let waited = 0; ; waited += PAUSE) {
      const dumps = await this.#tools.bpftool.dumps([device.id, ...sparse], sparse);
      const read = decodeDevice(valueOf(at(at(dumps, 0), 0)));
      const { generation } = read;
      if (isCounting(generation) || waited >= LONGEST_MOVE) {
        const cells = dumps[2] && decodeCells(dumps[2]);
        return {
          ...{ generation, destinations: at(dumps, 1) },
          services: cells && [
            ...servicesIn(reachable({ cells, device: read, sizes })).values(),
          ],
        };
      }
      await sleep(PAUSE);
    }
  }

  async #read({ subject, program, freed, answering, asking }: Watched): Promise<{
    reading: Reading;
    /** Before and after the counters were read. */
    generations: number[];
    slots: CountedSlots | undefined;
  }> {
    const answered = await asking.ask();
    const at = elapsedSeconds();
    const { net, generations, counters, returned, verdicts, slots } = answered;
    if (!stillRuns(net, subject.interface, program)) throw new Gone();
    return {
      ...{ generations, slots },
      reading: {
        ...{ time: new Date(), at, verdicts },
        ...sumsOf(counters, subject.destinations.keys(), freed),
        returned: answering && returnedOf(returned, answering),
      },
    };
  }
}

/** The counters of these ids, and what was counted for ids without a destination. */
function sumsOf(
  counted: ReadonlyMap<number, Counter>,
  ids: Iterable<number>,
  freed: Counter,
): Returned {
  return {
    destinations: new Map(Array.from(ids, (id) => [id, counterOf(counted, id)])),
    retired: addCounters(counterOf(counted, 0), freed),
  };
}

/** By link alone nothing is said of answers before the first one has come. */
function returnedOf(
  counted: ReadonlyMap<number, Counter>,
  { ids, freed, areExpected }: Answering,
): Returned | undefined {
  const sums = sumsOf(counted, ids, freed);
  return areExpected || totalOf(sums).packets > 0n ? sums : undefined;
}

function counterOf(counted: ReadonlyMap<number, Counter>, id: number): Counter {
  return must(counted.get(id), `the counter of id ${id}`);
}

/**
 * Whether a device still has this program, by what bpftool prints for `net show dev`; or a
 * process of DPDK's, which the kernel does not know of.
 */
export function stillRuns(net: unknown, device: string, program: number): boolean {
  return programsOf(net).includes(program) || dpdkOf(device)?.program === program;
}

/** The ids in what bpftool prints for `net show dev`. */
function programsOf(net: unknown): number[] {
  return at(net as NetJson[], 0).xdp.flatMap(({ id, multi_attachments: several }) => [
    ...(id === undefined ? [] : [id]),
    ...(several ?? []).map((one) => one.id),
  ]);
}

function asFailure(error: unknown, device: string): unknown {
  if (!(error instanceof Gone)) return error;
  return new Failure(`the program on ${device} was replaced again and again`, {
    next: 'run this command again',
  });
}
