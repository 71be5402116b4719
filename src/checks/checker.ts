// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Runs checks again and again, thousands each second, and reports how they ended.
 *
 * There is one timer for all of them. It knows when it should have been called, so it sees
 * when this process was too late to hear an answer: stopped, or busy, or the machine was. A
 * check that runs out of time then says nothing about its destination, and is asked anew.
 */
import type { Check, Checked, Probe } from '../health/check.js';
import { at } from '../text/must.js';
import type { Ask, Done } from './attempt.js';

/** Milliseconds between two looks at what is due. */
export const TICK = 10;
/** A tick that comes later than that may have missed an answer. */
export const LATE = 100;
/** What said nothing is asked again after that. */
const AGAIN = 100;
/** Checks come up to this part of their interval sooner or later, lest they march in step. */
const JITTER = 0.1;

interface Entry {
  check: Check;
  /** Milliseconds between two checks: its interval, or less while it is in doubt. */
  pace: number;
  /** When the next one begins, unless one is running. */
  next: number;
  running: Attempt | undefined;
  /** How often it was asked. */
  count: number;
  isGone: boolean;
}

interface Attempt {
  begun: number;
  giveUp: () => void;
}

export interface Clock {
  /** Milliseconds that never go back. */
  now: () => number;
  random: () => number;
}

export interface Report {
  checked: Checked[];
  /** The most milliseconds that a tick was late since the report before. */
  late: number;
}

export class Checker {
  readonly #ask: Ask;
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();
  /** What is due, by its tick: an entry to begin, or one that has run out of time. */
  readonly #due = new Map<number, Entry[]>();
  /** The last tick that was looked at. */
  #tick: number;
  #expected: number;
  /** When a tick was last late; what began before may have been missed. */
  #lastLate = -Infinity;
  #worst = 0;
  #checked: Checked[] = [];

  constructor(ask: Ask, clock: Clock) {
    this.#ask = ask;
    this.#clock = clock;
    this.#expected = clock.now();
    this.#tick = Math.floor(this.#expected / TICK);
  }

  /** Takes these for all checks: what is new begins within its interval, what is not there ends. */
  set(checks: readonly Check[]): void {
    const wanted = new Set(checks.map(({ key }) => key));
    for (const [key, entry] of this.#entries) {
      if (wanted.has(key)) continue;
      entry.isGone = true;
      entry.running?.giveUp();
      this.#entries.delete(key);
    }
    const now = this.#clock.now();
    for (const check of checks) {
      if (this.#entries.has(check.key)) continue;
      const { interval } = check;
      const next = now + this.#clock.random() * interval;
      const entry = {
        ...{ check, pace: interval, next, running: undefined },
        ...{ count: 0, isGone: false },
      };
      this.#entries.set(check.key, entry);
      this.#plan(entry, next);
    }
  }

  /** Makes the next checks of one come faster or slower. */
  setPace(key: string, pace: number): void {
    const entry = this.#entries.get(key);
    if (!entry || entry.pace === pace) return;
    const sooner = entry.next - entry.pace + pace;
    entry.pace = pace;
    if (entry.running || sooner >= entry.next) return;
    entry.next = Math.max(this.#clock.now(), sooner);
    this.#plan(entry, entry.next);
  }

  /** Does what is due, and returns what has ended since the last time. */
  tick(): Report {
    const now = this.#clock.now();
    const late = Math.max(0, now - this.#expected);
    this.#expected = now + TICK;
    this.#worst = Math.max(this.#worst, late);
    if (late > LATE) this.#lastLate = now;
    const last = Math.floor(now / TICK);
    // After a long stop there are fewer ticks with something to do than ticks.
    const ticks =
      last - this.#tick > this.#due.size
        ? [...this.#due.keys()].filter((tick) => tick <= last)
        : Array.from({ length: last - this.#tick }, (_, at) => this.#tick + 1 + at);
    this.#tick = last;
    for (const tick of ticks) {
      const entries = this.#due.get(tick);
      this.#due.delete(tick);
      for (const entry of entries ?? []) this.#look(entry, now);
    }
    const report = { checked: this.#checked, late: this.#worst };
    this.#checked = [];
    this.#worst = 0;
    return report;
  }

  /** Gives up what is running. */
  stop(): void {
    this.set([]);
  }

  #look(entry: Entry, now: number): void {
    if (entry.isGone) return;
    const { running, check } = entry;
    if (!running) {
      if (now >= entry.next) this.#begin(entry, now);
      return;
    }
    if (now < running.begun + check.timeout) return;
    const isHeard = running.begun > this.#lastLate;
    running.giveUp();
    this.#end(
      entry,
      isHeard ? false : undefined,
      isHeard ? 'timeout' : 'checker was late',
    );
  }

  #begin(entry: Entry, now: number): void {
    const { check } = entry;
    const attempt: Attempt = { begun: now, giveUp: () => {} };
    entry.running = attempt;
    this.#plan(entry, now + check.timeout);
    const done: Done = (passed, reason) => {
      if (entry.running === attempt) this.#end(entry, passed, reason);
    };
    try {
      attempt.giveUp = this.#ask(probeOf(check, entry.count++), done);
    } catch (error) {
      // What node refuses at once, such as a name that is none, must not end all checks.
      done(undefined, error instanceof Error ? error.message : String(error));
    }
  }

  #end(entry: Entry, passed: boolean | undefined, reason: string): void {
    const { running, check, pace } = entry;
    if (!running || entry.isGone) return;
    entry.running = undefined;
    const now = this.#clock.now();
    this.#checked.push({
      ...{ key: check.key, took: now - running.begun, reason },
      ...(passed !== undefined && { passed }),
    });
    const between = pace * (1 + JITTER * (2 * this.#clock.random() - 1));
    entry.next = Math.max(now, running.begun + (passed === undefined ? AGAIN : between));
    this.#plan(entry, entry.next);
  }

  #plan(entry: Entry, at: number): void {
    const tick = Math.max(this.#tick + 1, Math.ceil(at / TICK));
    const entries = this.#due.get(tick);
    if (entries) entries.push(entry);
    else this.#due.set(tick, [entry]);
  }
}

/** A port is not used twice in a row: the server may not have forgotten it yet. */
function probeOf({ probe, localPorts }: Check, count: number): Probe {
  if (!localPorts) return probe;
  return { ...probe, localPort: at(localPorts, count % localPorts.length) };
}
