// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** From the values of the counter maps to sums, and from two sums to rates. */
import type { ModeName } from '../text/mode.js';
import type { Counter, VerdictName } from '../abi/maps.js';
import { VERDICTS, decodeCounter } from '../abi/maps.js';
import { at } from '../text/must.js';
import { sortedByAddress } from '../wire/address.js';
import type { DestinationRates, Rates, Sample } from '../stats/sample.js';

export const ZERO: Counter = { packets: 0n, bytes: 0n };

/** The sum over the CPUs of a per-CPU map; a plain map has a single value. */
export function sumCounters(values: readonly Buffer[]): Counter {
  return values.map(decodeCounter).reduce(addCounters, ZERO);
}

/**
 * Id 0 is written by tools alone, and bpftool writes a value to all CPUs
 * alike: so one of them is the sum.
 */
export function retiredCounter(values: readonly Buffer[]): Counter {
  return decodeCounter(at(values, 0));
}

export function addCounters(one: Counter, other: Counter): Counter {
  return { packets: one.packets + other.packets, bytes: one.bytes + other.bytes };
}

/** All counters of a device at one moment. */
export interface Reading {
  /** Wall clock. */
  time: Date;
  /** Seconds, by a clock that is never set. */
  at: number;
  destinations: ReadonlyMap<number, Counter>;
  /** What ids counted that have no destination any more. */
  retired: Counter;
  /** By number; balanced is missing, since the program does not count it. */
  verdicts: ReadonlyMap<number, Counter>;
}

export interface Subject {
  interface: string;
  mode: ModeName;
  /** Address of each destination's id. */
  destinations: ReadonlyMap<number, string>;
  /** When the program was loaded, by the clock of Reading.at. */
  loadedAt: number;
}

/** What happened between two readings. */
export function sampleBetween(subject: Subject, before: Reading, now: Reading): Sample {
  const interval = now.at - before.at;
  const rates = (counter: Counter, earlier: Counter | undefined): Rates =>
    ratesOf(counter, earlier, interval);

  const destinations: DestinationRates[] = sortedByAddress(
    [...subject.destinations].map(([id, address]) => ({
      id,
      address,
      ...rates(now.destinations.get(id) ?? ZERO, before.destinations.get(id)),
    })),
    ({ address }) => address,
  );

  // What was balanced is told as it was sent, with its outer header: how long that
  // was for ids that have no destination any more, nobody knows.
  const totals = rates(totalOf(now), totalOf(before));
  const verdicts = Object.fromEntries(
    VERDICTS.map(({ name, number }) => [
      name,
      number === 0
        ? totals
        : rates(now.verdicts.get(number) ?? ZERO, before.verdicts.get(number)),
    ]),
  ) as Record<VerdictName, Rates>;

  return {
    time: now.time,
    interface: subject.interface,
    mode: subject.mode,
    interval,
    uptime: Math.max(0, now.at - subject.loadedAt),
    destinations,
    totals,
    verdicts,
  };
}

function totalOf(reading: Reading): Counter {
  return [...reading.destinations.values()].reduce(addCounters, reading.retired);
}

/** A counter that went back has a new owner; what that counted is not known. */
function ratesOf(now: Counter, before: Counter | undefined, interval: number): Rates {
  const perSecond = (sum: bigint): number => Math.max(0, Number(sum) / interval);
  const isKnown = before !== undefined && interval > 0;
  return {
    ...now,
    pps: isKnown ? perSecond(now.packets - before.packets) : 0,
    bps: isKnown ? perSecond((now.bytes - before.bytes) * 8n) : 0,
  };
}
