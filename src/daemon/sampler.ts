// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Reads what was counted, and how many slots are hot, whenever somebody asks: with one
 * process of bpftool, whose program adds up and counts (programs/l4lb_sum.c). Who asks at
 * nearly the same time gets the same answer.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import type { Count, VerdictCount } from '../api/status.js';
import type { Counter } from '../abi/counter.js';
import { ZERO, addCounters, withoutCounter } from '../abi/counter.js';
import { VERDICTS } from '../abi/verdicts.js';
import type { CountedSlots } from '../program/asking.js';
import { countedUnder } from '../program/reading.js';
import type { Tools } from '../program/tools.js';
import type { Observation } from '../program/watcher.js';
import { Watcher } from '../program/watcher.js';
import { Failure } from '../text/failure.js';
import type { Mode } from '../text/mode.js';

/** What was counted, as far as it could be read. */
export interface Seen {
  /** By id. */
  destinations: ReadonlyMap<number, Count> | null;
  /**
   * By id: what their destinations got since the first look, also those that have left since.
   * A sum of those that are there would go down when one leaves, and Prometheus would take
   * that for a counter that began anew.
   */
  services: ReadonlyMap<number, Count> | null;
  /** Those that any packet had. */
  verdicts: VerdictCount[] | null;
  /** Hot ones by the id of the service, shares by that of the destination. */
  slots: CountedSlots | null;
  /** What could not be seen, and why. */
  unseen: string[];
}

/** Milliseconds for which an answer is good. */
const FRESH = 500;

/** Milliseconds that l4lb-load --replace may take to carry the old sums over. */
const SETTLING = 300;

export class Sampler {
  readonly #watcher: Pick<Watcher, 'observe' | 'close'>;
  readonly #now: () => number;
  readonly #wait: (milliseconds: number) => Promise<unknown>;
  readonly #services = new Map<number, Counter>();
  #before: Observation | undefined;
  #last: { at: number; sampled: Promise<Seen> } | undefined;

  constructor(
    watcher: Pick<Watcher, 'observe' | 'close'>,
    now = (): number => performance.now(),
    wait: (milliseconds: number) => Promise<unknown> = sleep,
  ) {
    this.#watcher = watcher;
    this.#now = now;
    this.#wait = wait;
  }

  static of(tools: Tools, device: string, mode: Mode | undefined): Sampler {
    return new Sampler(
      new Watcher(tools, device, mode, { adds: true, wantsSlots: true }),
    );
  }

  /** Never fails: what cannot be read is null, and `unseen` says why. */
  async see(): Promise<Seen> {
    const now = this.#now();
    if (!this.#last || now - this.#last.at >= FRESH) {
      // One at a time: a slow one is waited for by all that ask meanwhile.
      const last = { at: Infinity, sampled: this.#read().finally(() => (last.at = now)) };
      this.#last = last;
    }
    return this.#last.sampled;
  }

  close(): void {
    this.#watcher.close();
  }

  async #read(): Promise<Seen> {
    try {
      return this.#sampledIn(await this.#observe());
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return {
        ...{ destinations: null, services: null, verdicts: null, slots: null },
        unseen: [`counters: ${error.message}`],
      };
    }
  }

  /** Looks again a little later, once a program is another. */
  async #observe(): Promise<Observation> {
    const first = await this.#watcher.observe();
    if (!first.isNew || !this.#before) return first;
    await this.#wait(SETTLING);
    return this.#watcher.observe();
  }

  #sampledIn(now: Observation): Seen {
    const { reading, services, slots } = now;
    this.#add(now, this.#before);
    this.#before = now;
    const ids = services?.map(({ id }) => id) ?? [];
    return {
      destinations: reading.destinations,
      services: new Map(ids.map((id) => [id, this.#services.get(id) ?? ZERO])),
      verdicts: VERDICTS.map((verdict) => ({
        ...{ name: verdict.name, action: verdict.action },
        ...countedUnder(reading, verdict),
      })).filter(({ packets }) => packets > 0n),
      slots: slots ?? null,
      unseen: slots ? [] : ['slots: no program counts them here'],
    };
  }

  /** Adds what each destination got since the look before, if it was there then. */
  #add(now: Observation, before: Observation | undefined): void {
    if (!before) return;
    for (const [id, { service }] of now.entries) {
      const counted = now.reading.destinations.get(id) ?? ZERO;
      const isSame =
        before.entries.get(id)?.service === service &&
        before.subject.destinations.get(id) === now.subject.destinations.get(id);
      const earlier = (isSame && before.reading.destinations.get(id)) || ZERO;
      const more = withoutCounter(counted, earlier);
      if (more.packets === 0n) continue;
      this.#services.set(service, addCounters(this.#services.get(service) ?? ZERO, more));
    }
  }
}
