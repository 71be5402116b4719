// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The map `limits`: how often a CPU did what it may do a limited number of times a second. */
import { u32 } from './bytes.js';

/** L4LB_LIMIT_RECORDS: the key of new records. */
export const LIMIT_RECORDS = 1;

/** L4LB_MOST_RECORDS: new records of a CPU in a second. */
export const MOST_RECORDS = 1 << 15;

/** struct l4lb_done: the last second in which a CPU did it, and how often. */
export interface Done {
  /** Of the clock that the program reads. */
  second: number;
  count: number;
}

export function decodeDone(value: Buffer): Done {
  return { second: u32(value, 0), count: u32(value, 4) };
}
