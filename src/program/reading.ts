// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** All counters of a device, as they were read at one moment. */
import type { Counter } from '../abi/counter.js';
import type { ModeName } from '../text/mode.js';

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
