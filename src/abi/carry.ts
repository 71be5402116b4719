// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** programs/carry.h in TypeScript: the input and output of the programs that carry maps over. */
import { decodeWords, encodeKey, encodeWords } from './bytes.js';
import type { Counter } from './counter.js';
import { encodeCounter } from './counter.js';
import { VALUE_SIZES } from './maps.js';

/** CARRY_SUMS in programs/carry.h. */
const SUMS_A_FRAME = 62;

/** The frames that l4lb_carry.c reads: struct carry_sum, one after the other. */
export function carryFrames(sums: ReadonlyMap<number, Counter>): Buffer[] {
  const entries = [...sums].map(([key, counter]) =>
    Buffer.concat(
      [encodeKey(key), Buffer.alloc(4), encodeCounter(counter)],
      8 + VALUE_SIZES.counters,
    ),
  );
  const frames: Buffer[] = [];
  for (let at = 0; at < entries.length; at += SUMS_A_FRAME) {
    frames.push(Buffer.concat(entries.slice(at, at + SUMS_A_FRAME)));
  }
  return frames;
}

/** Records of connections: how many the new flows hold, and how many found no room. */
export interface CarriedFlows {
  carried: number;
  lost: number;
}

/** The input that l4lb_carry_flows.c starts with: struct carry_flows. Numbers of sets are powers of two. */
export function flowsFrame(setsBefore: number, sets: number, since: number): Buffer {
  return encodeWords([0, setsBefore - 1, sets - 1, since, 0, 0]);
}

/** The state that its last run left. */
export function decodeCarriedFlows(frame: Buffer): CarriedFlows {
  const [, , , , carried = 0, lost = 0] = decodeWords(frame);
  return { carried, lost };
}
