// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What `bpftool` knows and does: programs and maps. Their entries are left to a helper of
 * our own, see entries.ts.
 */
import { closeSync, fstatSync, openSync } from 'node:fs';

import {
  BpftoolFailure,
  answersOf,
  outputsOf,
  decodeProgram,
  decodeMap,
  hasError,
} from './bpftool-text.js';
import type { ProgramInfo, MapInfo } from './bpftool-text.js';
import type { Change, Entry } from './entries.js';
import { changeEntries, dumpMaps, lookUp } from './entries.js';
import type { Mode } from '../text/mode.js';
import { at } from '../text/must.js';
import type { Run, RunResult } from './run.js';
import { withScratch } from './scratch.js';

/** A pinned program, the frame to run it on, and how often. */
export interface RepeatedRun {
  pin: string;
  frame: Buffer;
  repeat: number;
}

export class Bpftool {
  readonly #run: Run;

  constructor(run: Run) {
    this.#run = run;
  }

  async #bpftool(args: string[], held?: number): Promise<string> {
    const result = await this.#run('bpftool', args, { held });
    if (result.exitCode !== 0) {
      throw new BpftoolFailure(`bpftool ${args.join(' ')}`, result);
    }
    return result.stdout;
  }

  async program(by: 'id' | 'pinned', what: string | number): Promise<ProgramInfo> {
    const text = await this.#bpftool(['-j', 'prog', 'show', by, String(what)]);
    return decodeProgram(JSON.parse(text));
  }

  /**
   * A program and its maps. Only the program says which maps are its own, so one process
   * lists all maps too, which is faster than a second process. If the map of any removed
   * card ends that list early, each map is asked for separately.
   */
  async programWithMaps(
    by: 'id' | 'pinned',
    what: string | number,
  ): Promise<ProgramInfo & { maps: MapInfo[] }> {
    const asked = [`prog show ${by} ${what}`, 'map show'];
    const [shown, listed] = await this.#tryQueries(asked);
    const program =
      shown === undefined || hasError(shown)
        ? await this.program(by, what)
        : decodeProgram(shown);
    const all = Array.isArray(listed) ? listed.map(decodeMap) : [];
    const own = program.mapIds.flatMap((one) => all.find((map) => map.id === one) ?? []);
    const isWhole = own.length === program.mapIds.length;
    return { ...program, maps: isWhole ? own : await this.maps(program.mapIds) };
  }

  async maps(ids: number[]): Promise<MapInfo[]> {
    const answers = await this.queries(ids.map((id) => `map show id ${id}`));
    return answers.map(decodeMap);
  }

  /** Asks several questions in one process, and gets one answer for each. */
  async queries(lines: string[]): Promise<unknown[]> {
    if (lines.length === 0) return [];
    return answersOf(await this.#batch(['-j'], lines), lines.length);
  }

  /** The answers up to the first question that failed. */
  async #tryQueries(lines: string[]): Promise<unknown[]> {
    return outputsOf(await this.#batch(['-j'], lines));
  }

  /**
   * All entries of each map, read in one process; of the maps in `sparse` without those
   * that are all 0, which takes less time.
   */
  async dumps(
    ids: readonly number[],
    sparse: readonly number[] = [],
  ): Promise<Entry[][]> {
    return dumpMaps(this.#run, ids, new Set(sparse));
  }

  async dump(id: number): Promise<Entry[]> {
    return at(await this.dumps([id]), 0);
  }

  /** The values of these keys in one map. */
  async lookup(id: number, keys: readonly Buffer[]): Promise<Buffer[]> {
    return lookUp(this.#run, id, keys);
  }

  /**
   * Changes entries in their order. With a lock this goes on to its end even if this process
   * is killed or interrupted, and holds the lock until then. Without a lock it writes to
   * maps that nobody else has, and ends with this process.
   */
  async write(changes: Iterable<Change>, lock: number | undefined): Promise<void> {
    await changeEntries(this.#run, changes, lock);
  }

  /** Makes an array map; no loader gives a map of an object another size. */
  async createArray(
    pin: string,
    name: string,
    valueSize: number,
    entries: number,
  ): Promise<void> {
    await this.#create(pin, 'array', name, valueSize, entries);
  }

  /** Makes a hash map of keys as an array has them, for a few entries of a large one. */
  async createHash(
    pin: string,
    name: string,
    valueSize: number,
    entries: number,
  ): Promise<void> {
    await this.#create(pin, 'hash', name, valueSize, entries);
  }

  async #create(
    pin: string,
    type: 'array' | 'hash',
    name: string,
    valueSize: number,
    entries: number,
  ): Promise<void> {
    const sizes = ['key', '4', 'value', String(valueSize), 'entries', String(entries)];
    await this.#bpftool(['map', 'create', pin, 'type', type, ...sizes, 'name', name]);
  }

  async mapPinned(pin: string): Promise<MapInfo> {
    return decodeMap(
      JSON.parse(await this.#bpftool(['-j', 'map', 'show', 'pinned', pin])),
    );
  }

  /** Loads a program without attaching it. Maps that are given keep their content. */
  async load(
    object: string,
    pin: string,
    options: {
      device?: string | undefined;
      reuse?: MapInfo[];
      /**
       * Held until the program is loaded, so that nobody sweeps pins while one is being
       * made.
       */
      lock?: number | undefined;
      type?: 'xdp' | 'sk_lookup' | 'classifier';
    } = {},
  ): Promise<void> {
    const { type = 'xdp' } = options;
    const device = options.device === undefined ? [] : ['dev', options.device];
    const maps = (options.reuse ?? []).flatMap(({ name, id }) => [
      'map',
      'name',
      name,
      'id',
      String(id),
    ]);
    await this.#bpftool(
      ['prog', 'load', object, pin, 'type', type, ...maps, ...device],
      options.lock,
    );
  }

  async attach(
    mode: Mode,
    pin: string,
    device: string,
    options: { overwrite?: boolean } = {},
  ): Promise<void> {
    const overwrite = options.overwrite ? ['overwrite'] : [];
    await this.#bpftool([
      'net',
      'attach',
      mode,
      'pinned',
      pin,
      'dev',
      device,
      ...overwrite,
    ]);
  }

  /** The program that a pinned link attaches, and the inode of its network namespace. */
  async link(path: string): Promise<{ program: number; namespace: number }> {
    const text = await this.#bpftool(['-j', 'link', 'show', 'pinned', path]);
    const link = JSON.parse(text) as { prog_id: number; netns_ino: number };
    return { program: link.prog_id, namespace: link.netns_ino };
  }

  async pin(program: number, path: string): Promise<void> {
    await this.#bpftool(['prog', 'pin', 'id', String(program), path]);
  }

  /** Runs a pinned program once on each frame, without a device. */
  async runOn(pin: string, frames: readonly Buffer[]): Promise<void> {
    await withFiles(frames, (paths) =>
      this.queries(paths.map((path) => `prog run pinned ${pin} data_in ${path}`)),
    );
  }

  /** Runs a pinned program repeatedly on one frame, and returns what became of it. */
  async runOnce(pin: string, frame: Buffer): Promise<{ action: number; frame: Buffer }> {
    return withFiles([frame], async (paths) => {
      const line = `prog run pinned ${pin} data_in ${at(paths, 0)} data_out -`;
      const [answer] = await this.queries([line]);
      const { retval, data_out: out } = answer as { retval: number; data_out: number[] };
      return { action: retval, frame: Buffer.from(out) };
    });
  }

  async runRepeated({ pin, frame, repeat }: RepeatedRun): Promise<Buffer> {
    return withFiles([frame], async (paths) => {
      const line = `prog run pinned ${pin} data_in ${at(paths, 0)} data_out - repeat ${repeat}`;
      const [answer] = await this.queries([line]);
      return Buffer.from((answer as { data_out: number[] }).data_out);
    });
  }

  /** Attaches a program in place of another, and runs a third before and after that. */
  async attachBetween(
    mode: Mode,
    pin: string,
    device: string,
    run: RepeatedRun,
    lock: number,
  ): Promise<void> {
    await withFiles([run.frame], async (paths) => {
      const around = `prog run pinned ${run.pin} data_in ${at(paths, 0)} repeat ${run.repeat}`;
      const attach = `net attach ${mode} pinned ${pin} dev ${device} overwrite`;
      const result = await this.#batch([], [around, attach, around], lock);
      if (result.exitCode !== 0) throw new BpftoolFailure(`bpftool ${attach}`, result);
    });
  }

  /**
   * Runs a batch from a file that is complete by then, and already removed from its
   * folder. Through a pipe, the last number of a writer that is killed could be cut short
   * and read as another.
   */
  async #batch(
    flags: string[],
    lines: Iterable<string>,
    lock?: number,
  ): Promise<RunResult> {
    const file = await withScratch((scratch) =>
      openSync(scratch.writeLines('batch', lines), 'r'),
    );
    try {
      if (fstatSync(file).size === 0) return NOTHING_DONE;
      return await this.#run('bpftool', [...flags, 'batch', 'file', '-'], {
        stdin: file,
        held: lock,
        detached: lock !== undefined,
      });
    } finally {
      closeSync(file);
    }
  }
}

const NOTHING_DONE: RunResult = { exitCode: 0, stdout: '', stderr: '' };

/** Runs work on files with these contents, and removes them afterwards. */
async function withFiles<T>(
  contents: readonly Buffer[],
  work: (paths: string[]) => Promise<T>,
): Promise<T> {
  return withScratch((scratch) =>
    work(contents.map((content, number) => scratch.write(String(number), content))),
  );
}
