// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The health of a service: what its checks have said so far, and what its destinations get
 * by that. It has no clock and asks nobody: it is told what happened, and when.
 */
import { must } from '../text/must.js';
import type { Condition, Outcome, Patience, StateName } from './condition.js';
import { STEPS, changesAt, isInDoubt, judge, pass, serves } from './condition.js';
import type { ByHand, Given, Member, OnPanic, Shares } from './weights.js';
import { isPanicIn, share } from './weights.js';

export interface Destination {
  /** As the user writes it. */
  name: string;
  /** Of the check that asks it; undefined: nobody does, and it always serves. */
  key: string | undefined;
  /** Of the file. */
  weight: number;
  isBackup: boolean;
  byHand: ByHand | undefined;
  /** Somebody's, in place of that of the file. */
  weightByHand: number | undefined;
  condition: Condition;
}

/** What somebody decided about a destination. */
export type Decided = Pick<Destination, 'byHand' | 'weightByHand'>;

export interface Settings {
  patience: Patience;
  onPanic: OnPanic;
  /** Milliseconds between two checks, and while the next one may decide. */
  interval: number;
  fast: number;
}

/** In a service of more destinations there are always some that were asked just now. */
const FEW = 64;

/** So many intervals after a panic, all have been asked since most of them came back. */
const LINGERS = 2;

/** A destination has another state. */
export interface Turn {
  destination: string;
  before: StateName;
  after: StateName;
  /** Why its last check failed. */
  reason: string;
  at: number;
}

export class ServiceHealth {
  readonly name: string;
  readonly #settings: Settings;
  readonly #destinations: Destination[];
  readonly #byKey = new Map<string, Destination[]>();
  readonly #byName: ReadonlyMap<string, Destination>;
  #live: Given[];
  /** Until when a panic lasts; Infinity: until most are back. */
  #panicEnd: number;

  constructor(
    name: string,
    settings: Settings,
    destinations: readonly Destination[],
    live: Given[],
  ) {
    this.name = name;
    this.#settings = settings;
    this.#destinations = destinations.map((one) => ({ ...one }));
    this.#byName = new Map(this.#destinations.map((one) => [one.name, one]));
    this.#live = live;
    // Only a panic leaves packets to one that does not serve: it was there before a restart.
    const isKept = this.#destinations.some(
      ({ condition, weight }, index) =>
        weight > 0 && !serves(condition) && (live[index]?.weight ?? 0) > 0,
    );
    this.#panicEnd = isKept ? Infinity : -Infinity;
    for (const one of this.#destinations) {
      if (one.key === undefined) continue;
      const same = this.#byKey.get(one.key);
      if (same) same.push(one);
      else this.#byKey.set(one.key, [one]);
    }
  }

  get destinations(): readonly Readonly<Destination>[] {
    return this.#destinations;
  }

  /** What the tables give them, in the same order. */
  live(): Given[] {
    return this.#live;
  }

  /** The keys of its checks. */
  keys(): string[] {
    return [...this.#byKey.keys()];
  }

  /** Takes how a check ended. Other services may share it. */
  judge(key: string, outcome: Outcome): Turn[] {
    const { patience } = this.#settings;
    return (this.#byKey.get(key) ?? []).flatMap((one) =>
      this.#turn(one, judge(one.condition, outcome, patience), outcome.at),
    );
  }

  /** Takes what time alone changes. */
  pass(now: number): Turn[] {
    const { patience, interval } = this.#settings;
    const turns = this.#destinations.flatMap((one) =>
      this.#turn(one, pass(one.condition, now, patience), now),
    );
    if (isPanicIn(this.#members())) this.#panicEnd = Infinity;
    else if (this.#panicEnd === Infinity) this.#panicEnd = now + LINGERS * interval;
    return turns;
  }

  /**
   * How often a check is asked now; undefined if it is none of ours. While one destination
   * is suspect, all are asked, so that it is known in time whether it is the only one.
   */
  paceOf(key: string): number | undefined {
    if (!this.#byKey.has(key)) return undefined;
    const { interval, fast } = this.#settings;
    const asked =
      this.#destinations.length > FEW ? (this.#byKey.get(key) ?? []) : this.#destinations;
    const isFast = asked.some(({ condition, key: own }) =>
      own === key ? isInDoubt(condition) : condition.state === 'suspect',
    );
    return isFast ? fast : interval;
  }

  find(name: string): Readonly<Destination> | undefined {
    return this.#byName.get(name);
  }

  setByHand(name: string, decided: Decided): void {
    Object.assign(must(this.#byName.get(name), name), decided);
  }

  shares(now: number): Shares {
    return share(this.#members(), this.#settings, now, now < this.#panicEnd);
  }

  #members(): Member[] {
    // There may be thousands, and to copy each as a whole takes several times as long.
    return this.#destinations.map(
      ({ name, condition, weight, byHand, weightByHand, isBackup }, index) => ({
        condition,
        byHand,
        isBackup,
        weight: weightByHand ?? weight,
        live: must(this.#live[index], name),
      }),
    );
  }

  /** Takes what the tables give from now on. */
  setLive(live: Given[]): void {
    this.#live = live;
  }

  /** When time alone changes what a destination gets; undefined: never. */
  nextChange(now: number): number | undefined {
    const { patience } = this.#settings;
    const times = this.#destinations.flatMap(({ condition }) => {
      const end = changesAt(condition, patience);
      if (end === undefined) return [];
      if (condition.state !== 'starting') return [end];
      const step = patience.slowStart / STEPS;
      const done = Math.floor((now - condition.since) / step) + 1;
      return [Math.min(end, condition.since + done * step)];
    });
    if (now < this.#panicEnd && this.#panicEnd !== Infinity) times.push(this.#panicEnd);
    return times.length === 0
      ? undefined
      : times.reduce((one, other) => Math.min(one, other));
  }

  #turn(one: Destination, after: Condition, at: number): Turn[] {
    const { name: destination, condition: before } = one;
    one.condition = after;
    if (before.state === after.state) return [];
    const { reason } = after;
    return [{ destination, before: before.state, after: after.state, reason, at }];
  }
}
