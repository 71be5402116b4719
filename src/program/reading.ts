// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** All counters of a device, as they were read at one moment. */
import type { Counter } from '../abi/counter.js';
import { addCounters, withoutCounter } from '../abi/counter.js';
import { LOCAL_SERVER } from '../abi/verdicts.js';
import type { Verdict } from '../abi/verdicts.js';
import type { ModeName } from '../text/mode.js';
import { must } from '../text/must.js';

/** All counters of a device at one moment. */
export interface Reading {
  /** Wall clock time. */
  time: Date;
  /** Seconds by a clock that nobody sets. */
  at: number;
  destinations: ReadonlyMap<number, Counter>;
  /** What was counted for ids that no longer have a destination. */
  retired: Counter;
  /** What destinations sent back; undefined where none can, or the program cannot count it. */
  returned?: Returned | undefined;
  /** By number. `balanced` is missing, since the program does not count it. */
  verdicts: ReadonlyMap<number, Counter>;
}

/** What destinations sent back, by those whose answers are counted when they come by. */
export type Returned = Pick<Reading, 'destinations' | 'retired'>;

export interface Subject {
  interface: string;
  mode: ModeName;
  /** The address for each destination id. */
  destinations: ReadonlyMap<number, string>;
  /** When the program was loaded, by the clock of Reading.at. */
  loadedAt: number;
}

/** What all destinations got, or sent back, those among them that have left the table. */
export function totalOf({ destinations, retired }: Returned): Counter {
  return [...destinations.values()].reduce(addCounters, retired);
}

/** The packets under one verdict. */
export function countedUnder(
  reading: Reading,
  { number, name }: Pick<Verdict, 'number' | 'name'>,
): Counter {
  const counted = (one: number): Counter =>
    must(reading.verdicts.get(one), `the counter of ${name}`);
  return number === 0
    ? withoutCounter(totalOf(reading), counted(LOCAL_SERVER))
    : counted(number);
}
