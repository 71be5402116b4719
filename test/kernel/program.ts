// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A loaded program without a device: `bpftool prog run` takes frames in, and returns the
 * action, the verdict and the frame.
 */
import { readdirSync, rmSync, writeFileSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { changesOf } from '../../src/program/write.js';
import {
  decodeEntries,
  decodeEntry,
  hex,
  lookupLine,
  valueOf,
} from '../../src/system/bpftool-text.js';
import type { MapInfo } from '../../src/system/bpftool-text.js';
import type { Build } from '../../src/abi/maps.js';
import { sumCounters } from '../../src/abi/counter.js';
import { decodeKey, encodeKey } from '../../src/abi/bytes.js';
import { VERDICTS } from '../../src/abi/verdicts.js';
import type { VerdictName } from '../../src/abi/verdicts.js';
import { encodeAnswer, encodeAnswerKey } from '../../src/abi/answer.js';
import { encodeDestination } from '../../src/abi/destination.js';
import {
  DEVICE_ANSWERS,
  DEVICE_POOLS,
  decodeDevice,
  encodeDevice,
} from '../../src/abi/device.js';
import { encodePools } from '../../src/abi/pool.js';
import { QUAD, encodeQuad } from '../../src/abi/slot.js';
import { must } from '../../src/text/must.js';
import { parseAddress, parseMac } from '../../src/wire/address.js';
import { parseEndpoint } from '../../src/wire/endpoint.js';
import type { Maps } from '../../src/program/find.js';
import { asMaps } from '../../src/program/find.js';
import { untouchedTables } from '../../src/program/read.js';
import { Bpftool } from '../../src/system/bpftool.js';
import type { Prepared } from '../../src/fill/from-rows.js';
import { applyPlan, planFill } from '../../src/fill/from-rows.js';
import { withLock } from '../../src/system/lock.js';
import type { Write } from '../../src/plan/state.js';
import { run } from '../../src/system/run.js';
import { joinSources, parseSource } from '../../src/wire/outer-source.js';
import { parseWays } from '../../src/wire/way.js';
import type { Change as EntryChange } from '../../src/system/entries.js';
import { update } from '../../src/system/entries.js';

const ROOT = new URL('../../', import.meta.url).pathname;
const OBJECTS: Record<Build, string> = {
  host: 'l4lb_xdp_host.o',
  portable: 'l4lb_xdp.o',
};
/** The path of the object of a build. */
export const objectOf = (build: Build): string => join(ROOT, OBJECTS[build]);
const ACTIONS = ['ABORTED', 'DROP', 'PASS', 'TX', 'REDIRECT'] as const;
/** As many as the portable build has; to fill a table of 65,536 takes a second. */
const SLOTS = 512;
/** struct l4lb_set. */
const SET_SIZE = 64;
const PIN_PREFIX = 'l4lb-test-';

interface Ran {
  action: (typeof ACTIONS)[number];
  frame: Buffer;
}

export interface Outcome extends Ran {
  verdict: VerdictName;
  /** The bytes that were counted for the verdict. */
  bytes: number;
}

/** What became of frames that were run together. */
export interface Together {
  ran: Ran[];
  /** How many packets each verdict has counted; without those that have counted none. */
  verdicts: Partial<Record<VerdictName, number>>;
}

interface End {
  address: string;
  port: number;
}

const addressOf = ({ address }: End): Buffer => must(parseAddress(address), address);

export interface Fill {
  /** The MAC of each destination by its name; one on this host has none. */
  destinations: Record<string, string>;
  /** Names of those that no packet goes to any more. */
  forgotten?: string[];
  vips?: string[];
  takeSsh?: boolean;
  /** One source, or one for each family; ADDR[/LENGTH]. */
  source: string | string[];
  echo?: boolean;
  mac: string;
  mtu?: number;
  sessionPort?: number;
  slots?: number;
}

export class Program {
  readonly bpftool = new Bpftool(run);
  readonly #pin: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'l4lb-test-'));
  /** Nobody else writes to these maps. */
  readonly #lock = `test-${process.pid}`;
  readonly maps: Maps;
  /** As many ids, from 0 on, may have counted something. */
  #ids = 1;

  #isFilled = false;
  /** Whether nothing was written to its maps yet, so that they need not be read. */
  #isUntouched = true;
  /** The counters after the last frame; undefined if something was written since. */
  #last: Counts | undefined;

  /** The lines that make what fills have written zero again. */
  /** By map and entry. */
  readonly #zeros = new Map<string, EntryChange>();

  readonly mapIds: number[];

  private constructor(pin: string, maps: Maps, mapIds: number[]) {
    this.#pin = pin;
    this.maps = maps;
    this.mapIds = mapIds;
  }

  /** Loads the object, with so many sets of records instead of the usual number. */
  static async load(build: Build, { sets }: { sets?: number } = {}): Promise<Program> {
    sweepPins();
    const bpftool = new Bpftool(run);
    const pin = `/sys/fs/bpf/${PIN_PREFIX}${process.pid}-${build}-${Date.now()}`;
    const reuse =
      sets === undefined ? [] : [await flowsOf(bpftool, `${pin}-flows`, sets)];
    await bpftool.load(objectOf(build), pin, { reuse });
    rmSync(`${pin}-flows`, { force: true });
    const { mapIds } = await bpftool.program('pinned', pin);
    const maps = asMaps(await bpftool.maps(mapIds));
    if (!maps) throw new Error('the object has not the maps that the tools know');
    return new Program(pin, maps, mapIds);
  }

  close(): void {
    rmSync(this.#pin, { force: true });
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async fill(fill: Fill): Promise<void> {
    this.#last = undefined;
    const prepared: Prepared = {
      destinations: Object.entries(fill.destinations).map(([to, mac]) => ({
        ...parseEndpoint(to),
        mac: parseMac(mac) ?? Buffer.alloc(6),
        weight: fill.forgotten?.includes(to) ? 0 : 1,
        isForgotten: fill.forgotten?.includes(to),
      })),
      history: undefined,
      source: joinSources([fill.source].flat().map(parseSource)) ?? {},
      ownSources: { sources: {}, missing: new Map() },
      chosenAddresses: () => Promise.resolve([]),
      echo: fill.echo,
      ways: fill.vips?.flatMap(parseWays),
      takeSsh: fill.takeSsh,
      slots: fill.slots ?? (this.#isFilled ? undefined : SLOTS),
      sessionPort: fill.sessionPort ?? 0,
      mac: parseMac(fill.mac) ?? Buffer.alloc(6),
      mtu: fill.mtu ?? 1500,
      deviceName: 'eth0',
    };
    await withLock(run, this.#lock, async (lock) => {
      const known = this.#isUntouched ? untouchedTables(this.maps) : undefined;
      const planned = await planFill(this, this.maps, prepared, known);
      this.#isUntouched = false;
      for (const write of planned.plan.writes) {
        if (write.map === 'slots') {
          for (const key of write.slots.keys()) this.#addZero('slots', key);
        } else if (write.map !== 'counters') this.#addZero(write.map, write.key);
        if (write.map === 'destinations') this.#ids = Math.max(this.#ids, write.key + 1);
      }
      await applyPlan(this, this.maps, planned, lock);
    });
    this.#isFilled = true;
  }

  /**
   * Empties the tables again, for a test that needs some of its own: to load the program
   * takes much longer. Counters go on, and so does what else the program itself has
   * written. What write() and the others below have written is not undone.
   */
  async empty(): Promise<void> {
    this.#last = undefined;
    await withLock(run, this.#lock, (lock) =>
      this.bpftool.write(this.#zeros.values(), lock),
    );
    this.#zeros.clear();
    this.#isFilled = false;
    this.#isUntouched = true;
  }

  #addZero(map: Write['map'], key: number | string): void {
    if (typeof key !== 'number') throw new Error(`no test empties ${map}`);
    const { id, valueSize } = must(this.maps[map], map);
    const entry = map === 'slots' ? Math.floor(key / QUAD) : key;
    const change = update({ id }, encodeKey(entry), Buffer.alloc(valueSize));
    this.#zeros.set(`${map} ${entry}`, change);
  }

  /**
   * Writes to maps directly, to bring about the state that a test needs; slots go by
   * quads.
   */
  async write(...writes: Write[]): Promise<void> {
    this.#last = undefined;
    this.#isUntouched = false;
    await withLock(run, this.#lock, (lock) =>
      this.bpftool.write(changesOf(this.maps, writes, new Map()), lock),
    );
  }

  /** Writes one nat destination into all slots, and its answers. */
  async makeNat(vip: End, to: End, mac: string): Promise<void> {
    this.#last = undefined;
    this.#isUntouched = false;
    this.#ids = Math.max(this.#ids, 2);
    const { device, destinations, slots, answers } = this.maps;
    const [entry] = await this.bpftool.queries([lookupLine(device, encodeKey(0))]);
    const value = decodeDevice(valueOf(decodeEntry(entry)));
    const flags = value.flags | DEVICE_ANSWERS;
    const address = addressOf(to);
    const destination = encodeDestination({
      ...{ address, port: to.port, forward: 'nat', mac: parseMac(mac) ?? address },
      ...{ service: 1, weight: 1, spread: 0, source: Buffer.alloc(16), headerSum: 0 },
      ...{ largestPacket: 1500, isFound: false, isForgotten: false, exit: 0, block: 0 },
    });
    const ones = Array.from({ length: QUAD }, () => ({ current: 1, isHot: false }));
    const lines = [
      update(destinations, encodeKey(1), destination),
      ...Array.from({ length: SLOTS / QUAD }, (_, quad) =>
        update(slots, encodeKey(quad), encodeQuad(ones)),
      ),
      ...[6, 17].map((protocol) =>
        update(
          must(answers, 'answers'),
          encodeAnswerKey({ address, port: to.port, protocol }),
          encodeAnswer({
            address: addressOf(vip),
            port: vip.port,
            isForFragments: false,
            isByLink: false,
            id: 1,
          }),
        ),
      ),
      update(device, encodeKey(0), encodeDevice({ ...value, flags })),
    ];
    await withLock(run, this.#lock, (lock) => this.bpftool.write(lines, lock));
  }

  /** Writes destinations of full-nat, by their ids from 1, and leads all slots to one. */
  async makeFullNat(
    ends: readonly (End & { weight: number; isForgotten: boolean })[],
    { pool, current, mac }: { pool: string; current: number; mac: string },
  ): Promise<void> {
    this.#last = undefined;
    this.#isUntouched = false;
    this.#ids = Math.max(this.#ids, ends.length + 1);
    const { device, destinations, slots, pools } = this.maps;
    const [entry] = await this.bpftool.queries([lookupLine(device, encodeKey(0))]);
    const value = decodeDevice(valueOf(decodeEntry(entry)));
    const flags = value.flags | DEVICE_POOLS;
    const source = addressOf({ address: pool, port: 0 });
    const entries = ends.map((end) =>
      encodeDestination({
        ...{ address: addressOf(end), port: end.port, weight: end.weight, source },
        ...{ forward: 'full-nat', mac: must(parseMac(mac), mac), service: 1 },
        ...{ spread: 0, headerSum: 0, largestPacket: 1500, isFound: false },
        ...{ isForgotten: end.isForgotten, exit: 0, block: 0 },
      }),
    );
    const quad = Array.from({ length: QUAD }, () => ({ current, isHot: false }));
    const own = encodePools([{ address: source, hostBits: 0, firstBlock: 0 }]);
    const lines = [
      ...entries.map((one, index) => update(destinations, encodeKey(index + 1), one)),
      ...Array.from({ length: SLOTS / QUAD }, (_, key) =>
        update(slots, encodeKey(key), encodeQuad(quad)),
      ),
      update(must(pools, 'pools'), encodeKey(0), own),
      update(device, encodeKey(0), encodeDevice({ ...value, flags })),
    ];
    await withLock(run, this.#lock, (lock) => this.bpftool.write(lines, lock));
  }

  /** Runs one frame, and looks at what has been counted. */
  async send(frame: Buffer, context?: Buffer): Promise<Outcome> {
    const [outcome] = await this.sendAll([frame], context);
    if (!outcome) throw new Error('bpftool ran nothing');
    return outcome;
  }

  /** Does the same with many frames, and looks after each. */
  async sendAll(frames: readonly Buffer[], context?: Buffer): Promise<Outcome[]> {
    const before = this.#last ?? (await this.#counted());
    const contextFile = context ? this.#file('context', context) : undefined;
    const lines = frames.flatMap((frame, number) => [
      this.#runLine(frame, number) + (contextFile ? ` ctx_in ${contextFile}` : ''),
      ...this.#countLines(),
    ]);
    const answers = await this.bpftool.queries(lines);
    const each = answers.length / frames.length;
    let last = before;
    const outcomes = frames.map((_, number) => {
      const [result, ...counts] = answers.slice(number * each, (number + 1) * each);
      const now = decodeCounts(counts);
      const [verdict, bytes] = difference(last, now);
      last = now;
      return { ...ranOf(result), verdict, bytes };
    });
    this.#last = last;
    return outcomes;
  }

  /**
   * Runs many frames, and looks only once at what has been counted, since to read all
   * counters takes longer than to run a hundred frames.
   */
  async runAll(frames: readonly Buffer[]): Promise<Together> {
    const before = this.#last ?? (await this.#counted());
    const answers = await this.bpftool.queries([
      ...frames.map((frame, number) => this.#runLine(frame, number)),
      ...this.#countLines(),
    ]);
    const now = decodeCounts(answers.slice(frames.length));
    this.#last = now;
    const verdicts = changes(before, now).map(({ name, packets }) => [name, packets]);
    return {
      ran: answers.slice(0, frames.length).map(ranOf),
      verdicts: Object.fromEntries(verdicts) as Together['verdicts'],
    };
  }

  #runLine(frame: Buffer, number: number): string {
    const path = this.#file(`frame-${number}`, frame);
    return `prog run pinned ${this.#pin} data_in ${path} data_out -`;
  }

  /** The sums over all destinations stand for the verdict that has no counter. */
  #countLines(): string[] {
    const ids = Array.from({ length: this.#ids }, (_, id) => hex(encodeKey(id)));
    return [
      `map dump id ${this.maps.verdicts.id}`,
      ...ids.map((id) => `map lookup id ${this.maps.counters.id} key hex ${id}`),
    ];
  }

  async #counted(): Promise<Counts> {
    return decodeCounts(await this.bpftool.queries(this.#countLines()));
  }

  #file(name: string, content: Buffer): string {
    const path = join(this.#folder, name);
    writeFileSync(path, content);
    return path;
  }
}

async function flowsOf(bpftool: Bpftool, pin: string, sets: number): Promise<MapInfo> {
  await bpftool.createArray(pin, 'flows', SET_SIZE, sets);
  return bpftool.mapPinned(pin);
}

type Counts = Map<VerdictName, { packets: number; bytes: number }>;

function decodeCounts([verdicts, ...counters]: unknown[]): Counts {
  const counts: Counts = new Map();
  const names = new Map<number, VerdictName>(
    VERDICTS.map(({ number, name }) => [number, name]),
  );
  const balanced = { packets: 0, bytes: 0 };
  for (const counter of counters) {
    const { packets, bytes } = sumCounters(decodeEntry(counter).values);
    balanced.packets += Number(packets);
    balanced.bytes += Number(bytes);
  }
  for (const { key, values } of decodeEntries(verdicts)) {
    const { packets, bytes } = sumCounters(values);
    const name = names.get(decodeKey(key));
    if (packets > 0n && (!name || name === 'balanced')) {
      throw new Error(`the program counted under ${decodeKey(key)}, which is no verdict`);
    }
    if (name) counts.set(name, { packets: Number(packets), bytes: Number(bytes) });
  }
  const local = counts.get('local server') ?? { packets: 0, bytes: 0 };
  balanced.packets -= local.packets;
  balanced.bytes -= local.bytes;
  counts.set('balanced', balanced);
  return counts;
}

function ranOf(result: unknown): Ran {
  const { retval, data_out: data } = result as { retval: number; data_out: number[] };
  return { action: ACTIONS[retval] ?? 'ABORTED', frame: Buffer.from(data) };
}

interface Change {
  name: VerdictName;
  packets: number;
  bytes: number;
}

/** The verdicts that have counted packets, and how many. */
function changes(before: Counts, now: Counts): Change[] {
  return [...now].flatMap(([name, count]) => {
    const was = before.get(name) ?? { packets: 0, bytes: 0 };
    const packets = count.packets - was.packets;
    return packets === 0 ? [] : [{ name, packets, bytes: count.bytes - was.bytes }];
  });
}

/** Expects that exactly one verdict has counted exactly one packet, and returns it. */
function difference(before: Counts, now: Counts): [VerdictName, number] {
  const changed = changes(before, now);
  const [only] = changed;
  if (!only || changed.length !== 1 || only.packets !== 1) {
    throw new Error(`one packet was counted as ${JSON.stringify(changed)}`);
  }
  return [only.name, only.bytes];
}

/** Removes the pins of tests that were killed. */
function sweepPins(): void {
  for (const name of readdirSync('/sys/fs/bpf')) {
    const pid = new RegExp(`^${PIN_PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(`/sys/fs/bpf/${name}`);
  }
}

function isAlive(pid: number): boolean {
  return readdirSync('/proc').includes(String(pid));
}
