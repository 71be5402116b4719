// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Follows a place of the store: reads it, and watches it from there on. Whatever ends the
 * watch, it begins anew. What was known stays known meanwhile.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { Failure } from '../text/failure.js';
import type { Entry, Store } from './store/store.js';

export interface FollowEvents {
  /** There are other entries now. */
  changed: () => void;
  /** The store was lost, and why; undefined: it is back. */
  lost?: (why: Failure | undefined) => void;
}

/** Milliseconds until the next try, and as much again by chance: not all at once. */
const AGAIN = 300;

export class Follow {
  readonly #store: Store;
  readonly #place: string;
  readonly #events: FollowEvents;
  readonly #end = new AbortController();
  /** Of what it reads and watches now. */
  #turn = new AbortController();
  #entries: ReadonlyMap<string, Entry> = new Map();
  #isLost = false;
  /** What is known may be old: it is read anew. */
  #isOld = false;
  #reads = 0;

  constructor(store: Store, place: string, events: FollowEvents) {
    this.#store = store;
    this.#place = place;
    this.#events = events;
  }

  /** By key. */
  get entries(): ReadonlyMap<string, Entry> {
    return this.#entries;
  }

  /** Whether it has been read, and is heard of. */
  get isKnown(): boolean {
    return this.#reads > 0 && !this.#isLost && !this.#isOld;
  }

  /** How often it was read: each time the store may be another one, with revisions anew. */
  get reads(): number {
    return this.#reads;
  }

  /** Ends only when it is stopped. */
  async run(): Promise<void> {
    const { signal } = this.#end;
    for (;;) {
      this.#turn = new AbortController();
      const turn = this.#turn.signal;
      try {
        await this.#follow(AbortSignal.any([signal, turn]));
      } catch (error) {
        if (signal.aborted) return;
        if (turn.aborted) continue;
        if (!(error instanceof Failure)) throw error;
        if (!this.#isLost) this.#events.lost?.(error);
        this.#isLost = true;
        await sleep(AGAIN * (1 + Math.random()));
      }
      if (signal.aborted) return;
    }
  }

  /** Reads at once, whatever it waits for. Until then nothing is known. */
  again(): void {
    this.#isOld = true;
    this.#turn.abort();
  }

  stop(): void {
    this.#end.abort();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { revision, entries } = await this.#store.read(this.#place, signal);
    // Whoever asked for it has not lost the store.
    const isSame = this.#isOld && !this.#isLost && this.#reads > 0;
    if (!isSame) this.#reads++;
    this.#isOld = false;
    this.#take(new Map(entries.map((entry) => [entry.key, entry])));
    for await (const { events } of this.#store.watch(this.#place, revision, signal)) {
      if (events.length === 0) continue;
      const next = new Map(this.#entries);
      for (const event of events) {
        if (event.kind === 'put') next.set(event.entry.key, event.entry);
        else next.delete(event.key);
      }
      this.#take(next);
    }
  }

  #take(entries: ReadonlyMap<string, Entry>): void {
    this.#entries = entries;
    if (this.#isLost) this.#events.lost?.(undefined);
    this.#isLost = false;
    this.#events.changed();
  }
}
