// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A sample: what passed on one device between two readings of its counters.
 * Everything that draws (the plain table, the dashboard, JSON) takes this one
 * value and nothing else.
 */
import type { VerdictName } from '../abi/verdicts.js';
import type { ModeName } from '../text/mode.js';

/** Sums since the program was loaded, exact, and rates over the interval. */
export interface Rates {
  packets: bigint;
  bytes: bigint;
  pps: number;
  bps: number;
}

export interface DestinationRates extends Rates {
  id: number;
  address: string;
}

export interface Sample {
  /** Wall clock, for people and logs; rates never come from it. */
  time: Date;
  interface: string;
  mode: ModeName;
  /** Seconds between the two readings, by a clock that is never set. */
  interval: number;
  /** Since the program was loaded, in seconds. */
  uptime: number;
  /** One for each destination in the table, by address, numerically. */
  destinations: DestinationRates[];
  /** With what destinations counted that are no longer in the table. */
  totals: Rates;
  /** Bytes are those of frames received; of `balanced` those sent, as in the totals. */
  verdicts: Record<VerdictName, Rates>;
}
