// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Whether what a node has is fresh enough to draw packets from routers. One that starts, and
 * one that was cut off and comes back, may have missed what the others decided meanwhile:
 * first it has to read the store. But without the store all stays, so it does not wait for
 * ever. Pure: times are given.
 */

/** Milliseconds for which it waits for the store. */
const PATIENCE = 5000;

export interface SeenNow {
  now: number;
  /** Nothing can be heard of the others, so something may be missed. */
  isCut: boolean;
  /** The tables are as the store has said since the cut ended. */
  isCurrent: boolean;
}

export class Freshness {
  #is: 'new' | 'stale' | 'fresh' = 'new';
  /** From then on it could hear of the others. */
  #since: number;

  constructor(now: number) {
    this.#since = now;
  }

  /** It has just begun: routers hear nothing of it yet. */
  get isNew(): boolean {
    return this.#is === 'new';
  }

  /** It was cut off. What it announces stands, drained: the others come first, if any is up. */
  get isStale(): boolean {
    return this.#is === 'stale';
  }

  /** Returns whether that made a difference. */
  see({ now, isCut, isCurrent }: SeenNow): boolean {
    const before = this.#is;
    if (isCut && before !== 'new') {
      this.#is = 'stale';
      this.#since = now;
    } else if (isCurrent || now - this.#since > PATIENCE) {
      this.#is = 'fresh';
    }
    return this.#is !== before;
  }
}
