// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The journal: keeps what happened last, and tells it to those who follow. */
import type { Entry, Event } from '../api/events.js';

/** How many are kept for those who ask later. */
const KEPT = 1000;

export class Journal {
  readonly #device: string;
  readonly #entries: Entry[] = [];
  readonly #listeners = new Set<(entry: Entry) => void>();
  #last = 0;

  constructor(device: string) {
    this.#device = device;
  }

  add(event: Event): void {
    this.#last++;
    const time = new Date().toISOString();
    const entry = { id: this.#last, time, interface: this.#device, ...event };
    this.#entries.push(entry);
    if (this.#entries.length > KEPT) this.#entries.shift();
    for (const listener of this.#listeners) listener(entry);
  }

  /** Those after a number, as far as they are kept. */
  since(id: number): Entry[] {
    return this.#entries.filter((entry) => entry.id > id);
  }

  /** Calls it for each event from now on, until what is returned is called. */
  follow(listener: (entry: Entry) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }
}
