// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The last ten minutes: what l4lbd has kept, and then what the page sees itself. */
import type { History } from '../../api/history.js';
import { HISTORY_FOR } from '../../api/history.js';
import type { Status } from '../../api/status.js';
import { keyOf } from './rows.js';

type Value = number | null;

interface Lists {
  packets: Value[];
  bytes: Value[];
  healthy: Value[];
  weight: Value[];
}

const LISTS = ['packets', 'bytes', 'healthy', 'weight'] as const;
/** Milliseconds over which the rate of a destination is taken. */
const RATE_OVER = 20_000;

export class Series {
  /** Milliseconds since 1970, by the clock of l4lbd. */
  times: number[] = [];
  services = new Map<string, Lists>();
  dropped: Value[] = [];
  /** What each destination had got at some times, the oldest first. */
  #counted: { time: number; packets: Map<string, number> }[] = [];

  /** What l4lbd has kept, in place of all that the page has seen. */
  begin(history: History): void {
    this.times = history.times.map((time) => Date.parse(time));
    this.dropped = history.dropped.map(plain);
    this.services = new Map(
      history.services.map((one) => [
        one.name,
        {
          ...{ packets: one.packets.map(plain), bytes: one.bytes.map(plain) },
          ...{ healthy: [...one.healthy], weight: [...one.weight] },
        },
      ]),
    );
  }

  add(status: Status): void {
    const time = Date.parse(status.time);
    const last = this.times.at(-1);
    if (last !== undefined && time <= last) return;
    const before = this.times.length;
    this.times.push(time);
    const drops = status.verdicts?.filter(({ action }) => action === 'DROP');
    this.dropped.push(drops?.reduce((sum, one) => sum + Number(one.packets), 0) ?? null);
    for (const { name, counted, healthy, weight } of status.services) {
      const lists = this.services.get(name) ?? empty(before);
      this.services.set(name, lists);
      lists.packets.push(counted && Number(counted.packets));
      lists.bytes.push(counted && Number(counted.bytes));
      lists.healthy.push(healthy);
      lists.weight.push(weight);
    }
    for (const lists of this.services.values()) {
      for (const key of LISTS)
        if (lists[key].length < this.times.length) lists[key].push(null);
    }
    this.#forget(time - HISTORY_FOR);
    this.#count(status, time);
  }

  #forget(oldest: number): void {
    const first = this.times.findIndex((time) => time >= oldest);
    if (first <= 0) return;
    this.times.splice(0, first);
    this.dropped.splice(0, first);
    for (const [name, lists] of this.services) {
      for (const key of LISTS) lists[key].splice(0, first);
      if (lists.weight.every((value) => value === null)) this.services.delete(name);
    }
  }

  #count(status: Status, time: number): void {
    const packets = new Map<string, number>();
    for (const { name, destinations } of status.services) {
      for (const one of destinations)
        if (one.counted) packets.set(keyOf(name, one.name), Number(one.counted.packets));
    }
    this.#counted.push({ time, packets });
    while (
      this.#counted.length > 2 &&
      (this.#counted[1]?.time ?? time) < time - RATE_OVER
    )
      this.#counted.shift();
  }

  /** Packets a second of a destination, over the last seconds; null: not known yet. */
  rateOf(key: string): number | null {
    const first = this.#counted[0];
    const last = this.#counted.at(-1);
    const earlier = first?.packets.get(key);
    const now = last?.packets.get(key);
    if (!first || !last || earlier === undefined || now === undefined) return null;
    return perSecond(now - earlier, last.time - first.time);
  }

  /** Packets or bytes a second of a service, or of all. */
  rates(of: 'packets' | 'bytes', service?: string): Value[] {
    const lists = this.#chosen(service).map((one) => ratesOf(this.times, one[of]));
    return this.times.map((_, index) => sum(lists.map((list) => list[index])));
  }

  drops(): Value[] {
    return ratesOf(this.times, this.dropped);
  }

  /** The part of the weight that passes, in percent; of a service, or of all. */
  passing(service?: string): Value[] {
    const lists = this.#chosen(service);
    return this.times.map((_, index) => {
      const healthy = sum(lists.map((one) => one.healthy[index]));
      const weight = sum(lists.map((one) => one.weight[index]));
      return healthy === null || weight === null || weight === 0
        ? null
        : (healthy / weight) * 100;
    });
  }

  #chosen(service: string | undefined): Lists[] {
    if (service === undefined) return [...this.services.values()];
    const one = this.services.get(service);
    return one ? [one] : [];
  }
}

const plain = (value: number | bigint | null): Value =>
  value === null ? null : Number(value);

function empty(length: number): Lists {
  const list = (): Value[] => Array.from({ length }, () => null);
  return { packets: list(), bytes: list(), healthy: list(), weight: list() };
}

/** Null if nobody has a value. */
function sum(values: readonly (Value | undefined)[]): Value {
  return values.reduce<Value>(
    (all, one) => (one === null || one === undefined ? all : (all ?? 0) + one),
    null,
  );
}

/** A counter that went down began anew, so nothing is known of that time. */
export function ratesOf(times: readonly number[], counts: readonly Value[]): Value[] {
  return counts.map((count, index) => {
    const before = counts[index - 1];
    const from = times[index - 1];
    const to = times[index];
    if (count === null || before === null || before === undefined) return null;
    if (from === undefined || to === undefined) return null;
    return perSecond(count - before, to - from);
  });
}

function perSecond(more: number, milliseconds: number): Value {
  return more < 0 || milliseconds <= 0 ? null : (more / milliseconds) * 1000;
}
