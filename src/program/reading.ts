// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** All counters of a device, as they were read at one moment. */
import type { Counter } from '../abi/counter.js';
import type { ModeName } from '../text/mode.js';

/** All counters of a device at one moment. */
export interface Reading {
  /** Wall clock time. */
  time: Date;
  /** Seconds by a clock that nobody sets. */
  at: number;
  destinations: ReadonlyMap<number, Counter>;
  /** What was counted for ids that no longer have a destination. */
  retired: Counter;
  /** By number. `balanced` is missing, since the program does not count it. */
  verdicts: ReadonlyMap<number, Counter>;
}

export interface Subject {
  interface: string;
  mode: ModeName;
  /** The address for each destination id. */
  destinations: ReadonlyMap<number, string>;
  /** When the program was loaded, by the clock of Reading.at. */
  loadedAt: number;
}
