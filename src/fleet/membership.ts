// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A node's place in the store: what it says of itself stands there as long as it lives. With
 * its lease go its records, and its lead if it has it.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { Failure, inOneLine } from '../text/failure.js';
import { must } from '../text/must.js';
import type { Lease, Store } from './store/store.js';
import { LeaseGone } from './store/store.js';

/** Seconds after which the others take a node that says nothing for dead. */
const LEASE = 4;
/** It is kept that many times in this time. */
const KEEPS = 4;
/** Milliseconds. */
const AGAIN = 500;

export interface MembershipEvents {
  /** It has a lease, or none any more. */
  changed: () => void;
  trouble: (what: string) => void;
}

export class Membership {
  readonly #store: Store;
  readonly #events: MembershipEvents;
  readonly #again: number;
  readonly #end = new AbortController();
  /** What is to stand under these keys, and what does. */
  readonly #wanted = new Map<string, string>();
  #written = new Map<string, string>();
  #lease: Lease | undefined;
  #wake: () => void = () => {};
  #isTold = false;
  #isOver = false;
  /** What it says stands in the store with its lease. */
  #isThere = false;
  /** It had its name once. */
  #wasThere = false;

  /** Milliseconds until what failed is tried again. */
  constructor(store: Store, events: MembershipEvents, again = AGAIN) {
    this.#again = again;
    this.#store = store;
    this.#events = events;
  }

  /** Undefined: the others do not know that this node lives. */
  get lease(): Lease | undefined {
    return this.#isThere ? this.#lease : undefined;
  }

  /** From now on this stands under a key. */
  say(key: string, text: string): void {
    if (this.#wanted.get(key) === text) return;
    this.#wanted.set(key, text);
    this.#wake();
  }

  /**
   * Ends when it is stopped. Two nodes of one name would speak for each other, so it throws a
   * Failure if another one has its name when it begins. One that had it before, and lost it
   * with its lease, carries packets: it goes on without a voice, tells, and waits.
   */
  async run(): Promise<void> {
    const { signal } = this.#end;
    for (;;) {
      try {
        await this.#turn(signal);
        this.#isTold = false;
        await this.#pause((LEASE * 1000) / KEEPS);
      } catch (error) {
        if (this.#isOver) return;
        const isNew = error instanceof NameTaken && !this.#wasThere;
        if (!(error instanceof Failure) || isNew) throw error;
        if (error instanceof LeaseGone) this.#lose();
        else if (!this.#isTold) this.#events.trouble(inOneLine(error));
        this.#isTold = true;
        await sleep(this.#again);
      }
      if (this.#isOver) return;
    }
  }

  /** Ends, and takes away what it has said, so that nobody waits for the lease to end. */
  async stop(): Promise<void> {
    this.#isOver = true;
    this.#end.abort();
    this.#wake();
    const lease = this.#lease;
    this.#lose();
    if (!lease) return;
    try {
      await this.#store.drop(lease, AbortSignal.timeout(AGAIN));
    } catch (error) {
      const isLate = error instanceof DOMException && error.name === 'TimeoutError';
      if (!(error instanceof Failure) && !isLate) throw error; // it ends by itself
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    if (this.#lease && !(await this.#store.keep(this.#lease, signal))) this.#lose();
    if (!this.#lease) {
      this.#lease = await this.#store.lease(LEASE, signal);
    }
    for (const [key, text] of this.#wanted) {
      if (this.#written.get(key) === text) continue;
      await this.#write(key, text, must(this.#lease, 'the lease'), signal);
      this.#written.set(key, text);
    }
    if (this.#isThere || this.#written.size === 0) return;
    this.#isThere = this.#wasThere = true;
    this.#events.changed();
  }

  /** What stood there with an older lease of this node goes with that, in a moment. */
  async #write(
    key: string,
    value: string,
    lease: Lease,
    signal: AbortSignal,
  ): Promise<void> {
    const put = { key, value, lease };
    for (let tries = 0; tries <= LEASE * 2 + 2; tries++) {
      const compare = this.#written.has(key) ? [] : [{ key, revision: 0 }];
      if ((await this.#store.write(compare, [put], signal)) !== undefined) return;
      if (await this.#replace(put, signal)) return;
      await sleep(this.#again, undefined, { signal });
      if (!(await this.#store.keep(lease, signal)))
        throw new LeaseGone('a lease is gone');
    }
    throw new NameTaken(`another node says ${key}`, {
      cause: 'each node needs a name of its own, and this one is in use',
      next: 'give this one another name with --node',
    });
  }

  /** What hangs on no lease is of no node: it would keep the name for ever. */
  async #replace(
    put: { key: string; value: string; lease: Lease },
    signal: AbortSignal,
  ): Promise<boolean> {
    const [entry] = (await this.#store.read(put.key, signal)).entries;
    if (!entry || entry.isLeased) return false;
    const compare = [{ key: put.key, revision: entry.revision }];
    return (await this.#store.write(compare, [put], signal)) !== undefined;
  }

  #lose(): void {
    if (!this.#lease) return;
    this.#lease = undefined;
    this.#isThere = false;
    this.#written = new Map();
    this.#events.changed();
  }

  async #pause(milliseconds: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      const isSaid = [...this.#wanted].every(
        ([key, text]) => this.#written.get(key) === text,
      );
      if (!isSaid || this.#isOver) this.#wake();
    });
    this.#wake = () => {};
  }
}

class NameTaken extends Failure {}
