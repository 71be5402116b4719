// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The folder of a store. Each file is written beside its place and renamed into it, values
 * before the index that names them: whoever is killed leaves what was there, or what will be.
 *
 * The processes share one lock to write. To read takes none.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';

import { withOpenLock } from '../../system/lock.js';
import type { Run } from '../../system/run.js';
import { Fault } from '../../text/fault.js';
import { codeOf, fileFault } from '../../text/file-fault.js';
import { Failure } from '../../text/failure.js';
import { printableLine } from '../../text/printable.js';
import type { Leases } from './file-leases.js';
import { formatLeases, parseLeases } from './file-leases.js';
import type { Kept, State } from './file-state.js';
import { filesOf, formatState, parseState } from './file-state.js';
import { MOST_ANSWER } from './store.js';

export const INDEX = 'index.json';
const LEASES = 'leases.json';
const VALUES = 'values';
/** What a store's folder holds, and its values. */
const OWN = new Set([
  'lock',
  VALUES,
  ...[INDEX, LEASES].flatMap((name) => [name, `${name}.next`]),
]);
const OWN_VALUE = /^\d{1,16}-\d{1,6}$/;
/** Seconds that another may write. */
const PATIENCE = 5;

/** What the index had, and how to see that it is another file now. */
interface Index {
  seen: string | undefined;
  state: State | undefined;
}

export class Folder {
  readonly path: string;
  readonly #run: Run;
  #index: Index = { seen: undefined, state: undefined };
  /** The work that this process does here; the lock is for the others. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(path: string, run: Run) {
    this.path = path;
    this.#run = run;
  }

  /** Does work that nobody else does at the same time. It makes the folder if it is missing. */
  locked<T>(work: () => T): Promise<T> {
    const turn = this.#turn.then(() => this.#underLock(work));
    // Whoever waits for this turn is told of its error, and not who comes next.
    this.#turn = turn.then(undefined, () => {});
    return turn;
  }

  async #underLock<T>(work: () => T): Promise<T> {
    const path = `${this.path}/lock`;
    const lock = this.#doing('use', () => {
      this.#checkOwn();
      this.#make();
      return openSync(
        path,
        constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW,
        0o600,
      );
    });
    return withOpenLock(this.#run, { path, lock, seconds: PATIENCE }, () =>
      Promise.resolve(this.#doing('write in', work)),
    );
  }

  /** A folder that is no store yet has nothing of anybody else's, or its name is mistyped. */
  #checkOwn(): void {
    if (this.#list('').includes(INDEX)) return;
    const foreign =
      this.#list('').find((name) => !OWN.has(name)) ??
      this.#list(VALUES).find((name) => !OWN_VALUE.test(name));
    if (foreign === undefined) return;
    const path = printableLine(this.path);
    throw new Failure(
      `${path} is no store, and not empty: it holds ${printableLine(foreign)}`,
      {
        cause: '--store names another folder than it should',
        next: `name the fleet's folder, or a new one for a new fleet; ls ${path}`,
      },
    );
  }

  #list(name: string): string[] {
    try {
      return readdirSync(`${this.path}/${name}`);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    }
  }

  #make(): void {
    for (const path of [this.path, `${this.path}/${VALUES}`]) {
      try {
        mkdirSync(path, { mode: 0o700 });
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
      }
      const { uid, mode } = lstatSync(path);
      if (uid === process.geteuid?.() && (mode & 0o022) === 0) continue;
      throw new Failure(`others may write to ${printableLine(path)}`, {
        next: `look at it with ls -ld ${printableLine(path)}; chown, chmod go-w`,
      });
    }
  }

  /** The state, the same object as long as it does not change; undefined if there is none. */
  readState(): State | undefined {
    const { state } = (this.#index = this.#readIndex());
    return state;
  }

  #readIndex(): Index {
    const stat = this.#doing('read', () =>
      statSync(`${this.path}/${INDEX}`, { bigint: true, throwIfNoEntry: false }),
    );
    const seen = stat && [stat.ino, stat.size, stat.mtimeNs].join(' ');
    if (seen === this.#index.seen) return this.#index;
    const text = this.#read(INDEX);
    return {
      seen,
      state: text === undefined ? undefined : this.#parse(INDEX, text, parseState),
    };
  }

  readLeases(): Leases {
    const text = this.#read(LEASES);
    return text === undefined ? new Map() : this.#parse(LEASES, text, parseLeases);
  }

  /** The bytes of a value; undefined: a later state does not need it any more. */
  readValue({ file }: Kept): Buffer | undefined {
    return this.#readBytes(`${VALUES}/${file}`);
  }

  /** Only under the lock. */
  writeState(state: State, files: ReadonlyMap<string, Buffer>): void {
    for (const [file, content] of files) {
      writeFileSync(`${this.path}/${VALUES}/${file}`, content, { mode: 0o600 });
    }
    this.#write(INDEX, formatState(state));
  }

  /** Only under the lock. */
  writeLeases(leases: Leases): void {
    this.#write(LEASES, formatLeases(leases));
  }

  /** Removes values that no state needs, such as those of a killed writer. Under the lock. */
  sweep(
    state: State,
    candidates: Iterable<string> = readdirSync(`${this.path}/${VALUES}`),
  ): void {
    const needed = filesOf(state);
    for (const file of candidates) {
      if (OWN_VALUE.test(file) && !needed.has(file))
        rmSync(`${this.path}/${VALUES}/${file}`, { force: true });
    }
  }

  #write(name: string, text: string): void {
    const next = `${this.path}/${name}.next`;
    rmSync(next, { force: true });
    writeFileSync(next, text, { mode: 0o600, flag: 'wx' });
    renameSync(next, `${this.path}/${name}`);
  }

  #read(name: string): string | undefined {
    return this.#readBytes(name)?.toString();
  }

  #readBytes(name: string): Buffer | undefined {
    return this.#doing('read', () => {
      try {
        return readWhole(`${this.path}/${name}`);
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return undefined;
        throw error;
      }
    });
  }

  #parse<T>(name: string, text: string, parse: (text: string) => T): T {
    try {
      return parse(text);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const path = printableLine(`${this.path}/${name}`);
      throw new Failure(`${path} is no file of a store: ${error.message}`, {
        cause:
          '--store names another folder than it should, or the disk lost a part of the file',
        next: `ls -l ${printableLine(this.path)}; if it is the fleet's, stop the fleet, mv the folder away and apply the configuration again`,
      });
    }
  }

  #doing<T>(what: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof Failure || codeOf(error) === undefined) throw error;
      throw new Failure(`cannot ${what} the store ${printableLine(this.path)}`, {
        cause: fileFault(error),
        next: `ls -ld ${printableLine(this.path)}; df ${printableLine(this.path)}`,
      });
    }
  }
}

/** Reads a file of ours: no link, no pipe, and not too large. */
function readWhole(path: string): Buffer {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = openSync(path, flags);
  try {
    const stat = fstatSync(file);
    if (!stat.isFile() || stat.size > MOST_ANSWER) {
      throw new Failure(`${printableLine(path)} is no file of a store`, {
        next: `look at it with ls -l ${printableLine(path)}`,
      });
    }
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}
