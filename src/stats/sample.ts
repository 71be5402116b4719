// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A sample is what passed on one device between two readings of its counters. The plain
 * table, the dashboard and JSON all draw this one value and nothing else.
 */
import type { VerdictName } from '../abi/verdicts.js';
import type { Ports } from '../plan/port-use.js';
import type { Records } from '../plan/records.js';
import type { ModeName } from '../text/mode.js';

/** Exact sums since the program was loaded, and rates over the interval. */
export interface Rates {
  packets: bigint;
  bytes: bigint;
  pps: number;
  bps: number;
}

export interface DestinationRates extends Rates {
  id: number;
  address: string;
  /** What it sent back; undefined where that does not come back here, or is not counted. */
  answers?: Rates | undefined;
}

export interface Sample {
  /** Wall clock, for people and logs; rates never use it. */
  time: Date;
  interface: string;
  mode: ModeName;
  /** Seconds between the two readings, by a monotonic clock. */
  interval: number;
  /** Seconds since the program was loaded. */
  uptime: number;
  /** One for each destination in the table, in numerical order of the addresses. */
  destinations: DestinationRates[];
  /** Including what was counted for destinations that have left the table. */
  totals: Rates;
  /** Of all answers; undefined where no destination has any. */
  answers?: Rates | undefined;
  /**
   * Bytes of received frames; `balanced` has bytes of sent frames, like the totals. The
   * totals are what is balanced and what servers on this host get.
   */
  verdicts: Record<VerdictName, Rates>;
  /** Whether the records of connections have room. */
  records: Records;
  /** How many ports of full-nat are taken. */
  ports?: Ports;
}
