// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Frames through the loaded program and through the model, a chunk at a time: one
 * bpftool batch sets all maps, runs all frames and reads all maps.
 */
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { sumCounters } from '../../src/abi/counter.js';
import { encodeKey } from '../../src/abi/bytes.js';
import type { MapInfo } from '../../src/system/bpftool.js';
import { Bpftool, decodeEntries, hex } from '../../src/system/bpftool.js';
import { run } from '../../src/system/run.js';

const ROOT = new URL(import.meta.url).pathname.replace(
  /\/(\.make\/fuzz\/)?test\/fuzz\/.*$/,
  '/',
);
const ACTIONS = ['ABORTED', 'DROP', 'PASS', 'TX', 'REDIRECT'] as const;

/** Frames lie in memory: a million of them are written and read. */
const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const PREFIX = 'l4lb-fuzz-';

/**
 * In front of each frame, as metadata. When the head of the frame grows the kernel
 * moves them out of the way and leaves a copy behind, so that what the program did
 * not write is seen: elsewhere `bpftool prog run` gives it zeros.
 */
const DIRT = Buffer.alloc(64, 0xa5);
/** What one page holds beside them and what the kernel needs of it. */
export const LONGEST_IN_ONE_BUFFER = 3456;
/** Of a jumbo frame, in several pages. */
export const LONGEST_IN_SEVERAL = 9018;

/** Takes away what runs that were killed left behind. */
function sweep(folder: string): void {
  for (const name of readdirSync(folder)) {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) {
      rmSync(join(folder, name), { recursive: true, force: true });
    }
  }
}

export interface SmallMap {
  kind: string;
  value: number;
  entries: number;
}

export interface Ran {
  action: (typeof ACTIONS)[number];
  frame: Buffer;
}

export interface ChunkResult {
  ran: Ran[];
  /** By map, by key: the values after the chunk, those of all CPUs. */
  after: Map<string, Map<number, Buffer[]>>;
}

export class Loaded {
  readonly #bpftool = new Bpftool(run);
  readonly #folder: string;
  readonly #pins: string[] = [];
  readonly #contexts = new Map<number, string>();
  readonly #program: string;
  #maps: MapInfo[] = [];

  private constructor(name: string) {
    for (const folder of ['/sys/fs/bpf', MEMORY]) sweep(folder);
    this.#folder = mkdtempSync(join(MEMORY, `${PREFIX}${process.pid}-`));
    this.#program = this.#pin(name);
  }

  /** Some maps of the object are replaced by smaller ones, that can be read whole. */
  static async load(
    object: string,
    small: Record<string, SmallMap> = {},
  ): Promise<Loaded> {
    const loaded = new Loaded('program');
    try {
      const reuse: MapInfo[] = [];
      for (const [name, { kind, value, entries }] of Object.entries(small)) {
        const pin = loaded.#pin(name);
        const sizes = ['key', '4', 'value', String(value), 'entries', String(entries)];
        const made = await run('bpftool', [
          'map',
          'create',
          pin,
          'type',
          kind,
          ...sizes,
          'name',
          name,
        ]);
        if (made.exitCode !== 0) throw new Error(`no map ${name}: ${made.stderr}`);
        reuse.push(await loaded.#bpftool.mapPinned(pin));
      }
      await loaded.#bpftool.load(join(ROOT, object), loaded.#program, { reuse });
      const { mapIds } = await loaded.#bpftool.program('pinned', loaded.#program);
      loaded.#maps = await loaded.#bpftool.maps(mapIds);
      return loaded;
    } catch (error) {
      loaded.close();
      throw error;
    }
  }

  #pin(name: string): string {
    const path = `/sys/fs/bpf/${PREFIX}${process.pid}-${Math.random().toString(36).slice(2, 8)}-${name}`;
    this.#pins.push(path);
    return path;
  }

  close(): void {
    for (const pin of this.#pins) rmSync(pin, { force: true });
    rmSync(this.#folder, { recursive: true, force: true });
  }

  has(name: string): boolean {
    return this.#maps.some((map) => map.name === name);
  }

  entries(name: string): number {
    return this.#map(name).entries;
  }

  #map(name: string): MapInfo {
    const map = this.#maps.find((one) => one.name === name);
    if (!map) throw new Error(`the program has no map ${name}`);
    return map;
  }

  /** The lines of a batch that put these values into a map. */
  writes(name: string, values: ReadonlyMap<number, Buffer>): string[] {
    const { id } = this.#map(name);
    return [...values].map(
      ([key, value]) =>
        `map update id ${id} key hex ${hex(encodeKey(key))} value hex ${hex(value)}`,
    );
  }

  zeros(name: string): string[] {
    const { entries, valueSize } = this.#map(name);
    const zero = Buffer.alloc(valueSize);
    return this.writes(
      name,
      new Map(Array.from({ length: entries }, (_, key) => [key, zero])),
    );
  }

  /** A hash's key is no number. */
  writeKey(name: string, key: Buffer, value: Buffer): string {
    return `map update id ${this.#map(name).id} key hex ${hex(key)} value hex ${hex(value)}`;
  }

  async query(lines: string[]): Promise<void> {
    await this.#bpftool.queries(lines);
  }

  async chunk(
    before: string[],
    frames: readonly Buffer[],
    dumps: string[],
  ): Promise<ChunkResult> {
    const runs = frames.map((frame, number) => {
      const input = join(this.#folder, `in-${number}`);
      writeFileSync(input, Buffer.concat([DIRT, frame]));
      const context = this.#context(frame.length);
      return `prog run pinned ${this.#program} data_in ${input} data_out ${this.#output(number)} ctx_in ${context}`;
    });
    const reads = dumps.map((name) => `map dump id ${this.#map(name).id}`);
    const answers = await this.#bpftool.queries([...before, ...runs, ...reads]);
    const ran = frames.map((_, number) => {
      const { retval } = answers[before.length + number] as { retval: number };
      return {
        action: ACTIONS[retval] ?? 'ABORTED',
        frame: readFileSync(this.#output(number)).subarray(DIRT.length),
      };
    });
    const after = new Map(
      dumps.map((name, number) => [
        name,
        new Map(
          decodeEntries(answers[before.length + runs.length + number]).map(
            ({ key, values }) => [key.readUInt32LE(), values],
          ),
        ),
      ]),
    );
    return { ran, after };
  }

  /** A struct xdp_md that says where the frame begins and ends. */
  #context(length: number): string {
    const known = this.#contexts.get(length);
    if (known !== undefined) return known;
    const context = Buffer.alloc(24);
    context.writeUInt32LE(DIRT.length, 0);
    context.writeUInt32LE(DIRT.length + length, 4);
    const path = join(this.#folder, `context-${length}`);
    writeFileSync(path, context);
    this.#contexts.set(length, path);
    return path;
  }

  #output(number: number): string {
    return join(this.#folder, `out-${number}`);
  }
}

/** Counters that are not zero, as text that can be compared. */
export function counted(
  values: ReadonlyMap<number, Buffer[]> | undefined,
): Map<number, string> {
  const sums = new Map<number, string>();
  for (const [key, all] of values ?? []) {
    const { packets, bytes } = sumCounters(all);
    if (packets > 0n) sums.set(key, `${packets} packets, ${bytes} bytes`);
  }
  return sums;
}

/** The seconds of the clock that is never set, and what is left of this one. */
export function clock(): { now: bigint; seconds: number; left: number } {
  const now = process.hrtime.bigint();
  const seconds = Number(now / 1_000_000_000n);
  return { now, seconds, left: 1 - Number(now % 1_000_000_000n) / 1e9 };
}
