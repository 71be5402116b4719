// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Takes a sample at each tick and shows it, until there are enough or the user quits. */
import { setTimeout as sleep } from 'node:timers/promises';

import { Failure } from '../text/failure.js';
import type { Ports } from '../plan/port-use.js';
import type { Records } from '../plan/records.js';
import type { Observation, Watcher } from '../program/watcher.js';
import { elapsedSeconds } from '../system/clock.js';
import { sampleBetween } from './rates.js';
import type { View } from './view.js';

export interface Pace {
  /** Seconds. */
  interval: number;
  count?: number;
  once?: boolean;
}

/** The least seconds between two looks at records and ports, which take a process each. */
const LOOKS_PAUSE = 1;

/** How long l4lb-load --replace may take to carry the old sums over. */
const SETTLING_MS = 300;

export async function watch(watcher: Watcher, view: View, pace: Pace): Promise<void> {
  // Fails if there is no program at the start: waiting is only for one that was there.
  let before: Observation | undefined = await watcher.observe();
  const ticks = new Ticks(pace.interval, view.closed);
  let left = pace.once ? 1 : (pace.count ?? Infinity);
  let records: Records;
  let ports: Ports;
  let lookedAt = -Infinity;
  while (left > 0 && (await ticks.next())) {
    const now = await observeOrWait(watcher, view, pace.once ?? false);
    if (!now) {
      before = undefined;
    } else if (!before || now.isNew) {
      await sleep(SETTLING_MS);
      before = await observeOrWait(watcher, view, false);
    } else {
      const { at } = now.reading;
      if (at - lookedAt >= LOOKS_PAUSE) {
        records = await watcher.records();
        ports = await watcher.ports();
        lookedAt = at;
      }
      const sample = sampleBetween(now.subject, before.reading, now.reading);
      view.show({ ...sample, records, ports });
      before = now;
      left--;
    }
  }
}

/** Waits for a program that was removed, because it may come back. */
async function observeOrWait(
  watcher: Watcher,
  view: View,
  isLast: boolean,
): Promise<Observation | undefined> {
  try {
    return await watcher.observe();
  } catch (error) {
    if (!(error instanceof Failure) || isLast) throw error;
    view.notice(`${error.message}; waiting until it is back`);
    return undefined;
  }
}

/** Ticks at even intervals, however long the work between them takes. */
class Ticks {
  readonly #interval: number;
  readonly #stop = new AbortController();
  #next = elapsedSeconds();

  constructor(interval: number, closed: Promise<void>) {
    this.#interval = interval;
    void closed.then(() => this.#stop.abort());
  }

  /** Waits for the next tick; returns false if the view was closed. */
  async next(): Promise<boolean> {
    const now = elapsedSeconds();
    this.#next = Math.max(this.#next + this.#interval, now);
    try {
      await sleep((this.#next - now) * 1000, undefined, { signal: this.#stop.signal });
      return true;
    } catch (error) {
      if (this.#stop.signal.aborted) return false;
      throw error;
    }
  }
}
