// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A store in a folder, for the processes of one host: to try a fleet, and for tests. */
import { randomBytes } from 'node:crypto';

import { elapsedSeconds } from '../../system/clock.js';
import type { Run } from '../../system/run.js';
import { Failure } from '../../text/failure.js';
import { printableLine } from '../../text/printable.js';
import { Bell } from './bell.js';
import {
  checkPlace,
  checkSeconds,
  checkWrite,
  entryOf,
  isInPlace,
  leasesOf,
} from './check.js';
import { Folder, INDEX } from './file-folder.js';
import type { Leases } from './file-leases.js';
import { alive, kept, untilNext } from './file-leases.js';
import type { Kept, State } from './file-state.js';
import { emptyState, filesOf, written } from './file-state.js';
import type {
  Batch,
  Compare,
  Entry,
  Event,
  Lease,
  Put,
  Snapshot,
  Store,
} from './store.js';
import { LeaseGone, TooOld } from './store.js';

/** Milliseconds between two looks at what no bell tells of: the end of a process. */
const LOOK = 250;
/** And where there is no bell at all. */
const LOOK_OFTEN = 40;

export class FileStore implements Store {
  readonly name: string;
  readonly warnings: readonly string[] = [];
  readonly #folder: Folder;
  readonly #silence: number;
  readonly #bells = new Set<Bell>();
  #isSwept = false;
  #isClosed = false;

  /** Milliseconds after which a watch says that nothing has changed. */
  constructor(path: string, run: Run, silence: number) {
    this.name = `file:${printableLine(path)}`;
    this.#folder = new Folder(path, run);
    this.#silence = silence;
  }

  async read(place: string, signal?: AbortSignal): Promise<Snapshot> {
    checkPlace(place);
    for (;;) {
      const state = await this.#current(signal);
      const found = [...state.entries.values()].filter(({ key }) =>
        isInPlace(key, place),
      );
      const entries = this.#entriesOf(found, state);
      if (entries) return { revision: state.revision, entries: entries.sort(byKey) };
    }
  }

  async write(
    compare: readonly Compare[],
    puts: readonly Put[],
    signal?: AbortSignal,
  ): Promise<number | undefined> {
    checkWrite(compare, puts);
    return this.#locked(signal, (state, leases) => {
      if (leasesOf(puts).some(({ id }) => !leases.has(id))) {
        throw new LeaseGone('a lease of this write is gone', {
          cause: 'nobody kept it in time',
        });
      }
      const next = written(state, compare, puts);
      if (next) this.#replace(state, next.state, next.files);
      return next?.state.revision;
    });
  }

  async *watch(
    place: string,
    after: number,
    signal: AbortSignal,
  ): AsyncGenerator<Batch, void> {
    checkPlace(place);
    if (signal.aborted) return;
    const { id } = await this.#current();
    const bell = new Bell(this.#folder.path, INDEX);
    const ring = (): void => bell.ring();
    this.#bells.add(bell);
    signal.addEventListener('abort', ring);
    try {
      let revision = after;
      for (let heard = -Infinity; !isAborted(signal);) {
        const state = await this.#current();
        if (state.id !== id || state.revision < revision) throw madeAnew(state, revision);
        const events = this.#eventsAfter(state, place, revision);
        if (!events) continue;
        revision = state.revision;
        if (events.length > 0 || elapsedSeconds() - heard > this.#silence / 1000) {
          yield { revision, events };
          heard = elapsedSeconds();
        }
        await bell.wait(this.#nextLook(bell));
      }
    } finally {
      signal.removeEventListener('abort', ring);
      this.#bells.delete(bell);
      bell.close();
    }
  }

  async lease(seconds: number, signal?: AbortSignal): Promise<Lease> {
    checkSeconds(seconds);
    const id = randomBytes(8).toString('hex');
    await this.#locked(signal, (_, leases) => {
      this.#folder.writeLeases(new Map([...leases, [id, kept(seconds)]]));
    });
    return { id, seconds };
  }

  keep({ id, seconds }: Lease, signal?: AbortSignal): Promise<boolean> {
    return this.#locked(signal, (_, leases) => {
      if (!leases.has(id)) return false;
      this.#folder.writeLeases(new Map([...leases, [id, kept(seconds)]]));
      return true;
    });
  }

  drop({ id }: Lease, signal?: AbortSignal): Promise<void> {
    return this.#locked(signal, (state, leases) => {
      const others = new Map([...leases].filter(([other]) => other !== id));
      this.#removeOver(state, others);
      this.#folder.writeLeases(others);
    });
  }

  close(): void {
    this.#isClosed = true;
    for (const bell of this.#bells) bell.ring();
  }

  /** What is there now, without the entries of leases that are over. */
  async #current(signal?: AbortSignal): Promise<State> {
    this.#check(signal);
    const state = this.#folder.readState();
    if (!state) return this.#locked(signal, (made) => made);
    if (!hasOver(state, this.#folder.readLeases())) return state;
    return this.#locked(signal, (next) => next);
  }

  #check(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    if (this.#isClosed) throw new Failure('this store was closed');
  }

  /** Does work when nobody else writes, on what is there then. */
  #locked<T>(
    signal: AbortSignal | undefined,
    work: (state: State, leases: Leases) => T,
  ): Promise<T> {
    this.#check(signal);
    return this.#folder.locked(() => {
      this.#check(signal);
      const before = this.#folder.readState();
      const state = before ?? emptyState(randomBytes(8).toString('hex'));
      if (!before) this.#folder.writeState(state, new Map());
      if (!this.#isSwept) this.#folder.sweep(state);
      this.#isSwept = true;
      const leases = alive(this.#folder.readLeases());
      return work(this.#removeOver(state, leases), leases);
    });
  }

  /** Removes the entries of leases that are not among these, and returns what is left. */
  #removeOver(state: State, leases: Leases): State {
    const puts = [...state.entries.values()].flatMap(({ key, lease }): Put[] =>
      lease === undefined || leases.has(lease) ? [] : [{ key, remove: true }],
    );
    const next = written(state, [], puts)?.state ?? state;
    if (next !== state) this.#replace(state, next, new Map());
    return next;
  }

  #replace(before: State, next: State, files: ReadonlyMap<string, Buffer>): void {
    if (next === before) return;
    this.#folder.writeState(next, files);
    this.#folder.sweep(next, filesOf(before));
  }

  /** Undefined: the state is not the newest any more, so that a value of it is gone. */
  #entriesOf(found: readonly Kept[], state: State): Entry[] | undefined {
    const entries: Entry[] = [];
    for (const one of found) {
      const { key, revision, created, bytes } = one;
      const isLeased = one.lease !== undefined;
      const value = this.#folder.readValue(one);
      if (!value && this.#folder.readState() !== state) return undefined;
      const revisions = { revision, created, isLeased };
      const entry = entryOf(key, value ?? Buffer.of(), revisions);
      const isWhole = value?.length === bytes;
      entries.push(
        isWhole ? entry : { ...entry, value: '', fault: 'a part of it is lost' },
      );
    }
    return entries;
  }

  #eventsAfter(state: State, place: string, revision: number): Event[] | undefined {
    if (revision < state.forgotten) {
      throw new TooOld(`the store keeps no changes before revision ${state.forgotten}`);
    }
    const changes = state.log.filter(
      (change) => change.revision > revision && isInPlace(change.key, place),
    );
    const entries = this.#entriesOf(
      changes.filter((change) => 'file' in change),
      state,
    );
    if (!entries) return undefined;
    let put = 0;
    return changes.flatMap((change): Event[] => {
      if (!('file' in change)) return [{ kind: 'delete', ...change }];
      const entry = entries[put++];
      return entry ? [{ kind: 'put', entry }] : [];
    });
  }

  /** Milliseconds until there may be something that the bell does not tell of. */
  #nextLook(bell: Bell): number {
    const look = bell.isHung ? LOOK : LOOK_OFTEN;
    const next = untilNext(this.#folder.readLeases()) * 1000;
    return Math.max(1, Math.min(look, this.#silence, next));
  }
}

/** It changes while somebody waits, which TypeScript does not see. */
function isAborted({ aborted }: AbortSignal): boolean {
  return aborted;
}

function hasOver({ entries }: State, leases: Leases): boolean {
  const lasting = alive(leases);
  for (const { lease } of entries.values()) {
    if (lease !== undefined && !lasting.has(lease)) return true;
  }
  return false;
}

function byKey(one: Entry, other: Entry): number {
  return one.key < other.key ? -1 : 1;
}

function madeAnew({ revision }: State, known: number): TooOld {
  return new TooOld(`the store is at revision ${revision} and was at ${known}`, {
    cause: 'its folder was made anew',
  });
}
