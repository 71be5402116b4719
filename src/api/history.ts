// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What the last minutes were like, for whoever looks only now. */
import type { Count } from './status.js';

/**
 * All lists have one value for each time, the oldest first; null: that was not seen, or the
 * service was not there.
 */
export interface History {
  times: string[];
  services: ServiceHistory[];
  /** Packets of all verdicts that drop. */
  dropped: (Count['packets'] | null)[];
}

export interface ServiceHistory {
  name: string;
  packets: (Count['packets'] | null)[];
  bytes: (Count['bytes'] | null)[];
  healthy: (number | null)[];
  weight: (number | null)[];
}

/** Milliseconds. */
export const HISTORY_EVERY = 5000;
export const HISTORY_FOR = 600_000;
