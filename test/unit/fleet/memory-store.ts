// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A store in memory, for tests of what a fleet does with one. */
import { checkWrite, isInPlace, leasesOf } from '../../../src/fleet/store/check.js';
import type { State } from '../../../src/fleet/store/file-state.js';
import { emptyState, written } from '../../../src/fleet/store/file-state.js';
import type {
  Batch,
  Compare,
  Entry,
  Lease,
  Put,
  Snapshot,
  Store,
} from '../../../src/fleet/store/store.js';
import { LeaseGone, MaybeWritten } from '../../../src/fleet/store/store.js';

export class MemoryStore implements Store {
  readonly name = 'memory';
  readonly warnings = [];
  writes = 0;
  /** Those that last. */
  readonly leases = new Set<string>();
  #leased = 0;
  /** Makes the next write, and does not say so. */
  losesNext = false;
  #state: State = emptyState('memory');
  readonly #values = new Map<string, string>();
  #watchers = new Set<() => void>();

  read(place: string): Promise<Snapshot> {
    const { revision, entries } = this.#state;
    const found = [...entries.values()].filter(({ key }) => isInPlace(key, place));
    return Promise.resolve({
      revision,
      entries: found.map((one): Entry => {
        const { key, file, revision: own, created } = one;
        const isLeased = one.lease !== undefined;
        const value = this.#values.get(file) ?? '';
        return { key, value, revision: own, created, isLeased };
      }),
    });
  }

  write(compare: readonly Compare[], puts: readonly Put[]): Promise<number | undefined> {
    checkWrite(compare, puts);
    this.writes++;
    if (leasesOf(puts).some(({ id }) => !this.leases.has(id)))
      return Promise.reject(new LeaseGone('it is gone'));
    const next = written(this.#state, compare, puts);
    if (!next) return Promise.resolve(undefined);
    for (const [file, bytes] of next.files) this.#values.set(file, bytes.toString());
    this.#state = next.state;
    for (const wake of this.#watchers) wake();
    if (!this.losesNext) return Promise.resolve(next.state.revision);
    this.losesNext = false;
    return Promise.reject(new MaybeWritten('nobody knows'));
  }

  async *watch(
    place: string,
    after: number,
    signal: AbortSignal,
  ): AsyncGenerator<Batch, void> {
    for (let known = after; ;) {
      if (signal.aborted) return;
      const { revision, entries } = await this.read(place);
      const gone = this.#state.log.flatMap((change) =>
        'file' in change || change.revision <= known || !isInPlace(change.key, place)
          ? []
          : [{ kind: 'delete' as const, ...change }],
      );
      const puts = entries
        .filter((entry) => entry.revision > known)
        .map((entry) => ({ kind: 'put' as const, entry }));
      known = revision;
      yield { revision, events: [...gone, ...puts] };
      if (this.#state.revision > known || isAborted(signal)) continue;
      await new Promise<void>((resolve) => {
        this.#watchers.add(resolve);
        signal.addEventListener('abort', () => {
          resolve();
        });
      });
      this.#watchers = new Set();
    }
  }

  lease(seconds: number): Promise<Lease> {
    const lease = { id: `lease ${this.#leased++}`, seconds };
    this.leases.add(lease.id);
    return Promise.resolve(lease);
  }

  keep({ id }: Lease): Promise<boolean> {
    return Promise.resolve(this.leases.has(id));
  }

  /** So does one that nobody keeps. */
  async drop({ id }: Lease): Promise<void> {
    if (!this.leases.delete(id)) return;
    const own = [...this.#state.entries.values()].filter(({ lease }) => lease === id);
    await this.write(
      [],
      own.map(({ key }) => ({ key, remove: true as const })),
    );
  }

  close(): void {
    this.#watchers = new Set();
  }

  /** What anybody puts there. */
  async put(values: Record<string, string | undefined>, lease?: Lease): Promise<void> {
    const puts = Object.entries(values).map(([key, value]): Put =>
      value === undefined ? { key, remove: true } : { key, value, lease },
    );
    await this.write([], puts);
  }

  async value(key: string): Promise<Entry | undefined> {
    return (await this.read(key)).entries[0];
  }
}

/** It changes while somebody waits, which TypeScript does not see. */
const isAborted = ({ aborted }: AbortSignal): boolean => aborted;
