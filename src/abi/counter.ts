// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** struct l4lb_counter, and sums of it. */
import { u64, putU64 } from './bytes.js';
import { VALUE_SIZES } from './maps.js';
import { at } from '../text/must.js';

/** Exact counts of packets and bytes: both can outgrow a number. */
export interface Counter {
  packets: bigint;
  bytes: bigint;
}

export function encodeCounter(counter: Counter): Buffer {
  const buffer = Buffer.alloc(VALUE_SIZES.counters);
  putU64(buffer, counter.packets, 0);
  putU64(buffer, counter.bytes, 8);
  return buffer;
}

export function decodeCounter(buffer: Buffer): Counter {
  return { packets: u64(buffer, 0), bytes: u64(buffer, 8) };
}

export const ZERO: Counter = { packets: 0n, bytes: 0n };

/** The sum over the CPUs of a per-CPU map; a plain map has a single value. */
export function sumCounters(values: readonly Buffer[]): Counter {
  return values.map(decodeCounter).reduce(addCounters, ZERO);
}

/**
 * The counter of id 0. Only tools write it, and bpftool writes the same value to all
 * CPUs, so the value of one CPU is the sum.
 */
export function retiredCounter(values: readonly Buffer[]): Counter {
  return decodeCounter(at(values, 0));
}

/** What is left of a counter without a part of it that may have been read later. */
export function withoutCounter(whole: Counter, part: Counter): Counter {
  const rest = (all: bigint, some: bigint): bigint => (all > some ? all - some : 0n);
  return {
    packets: rest(whole.packets, part.packets),
    bytes: rest(whole.bytes, part.bytes),
  };
}

export function addCounters(one: Counter, other: Counter): Counter {
  return { packets: one.packets + other.packets, bytes: one.bytes + other.bytes };
}
