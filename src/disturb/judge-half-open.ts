// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Judges connections that were half open while a change was made. */
import type { Schedule } from './changes.js';
import { addressOf } from './changes.js';

export interface HalfOpen {
  /** The index of the change. */
  change: number;
  /** The destination that had it; undefined: none was seen to, as with SYN cookies. */
  began: string | undefined;
  /** That destination's kernel had given it up before the change was complete. */
  expired: boolean;
  /** The destination that answered in the end; undefined: it was lost. */
  name: string | undefined;
}

export interface HalfOpenSums {
  held: number;
  completed: number;
  /** Completed, but on another destination than where they began. */
  elsewhere: number;
  /** Where they began was not seen, so nobody knows whether they completed elsewhere. */
  unseen: number;
  /** Lost, because their destination's kernel had given them up. */
  expired: number;
  avoidable: number;
  unavoidable: number;
}

export function sumHalfOpen(
  schedule: Schedule,
  all: readonly HalfOpen[],
  change?: number,
): HalfOpenSums {
  const mine = all.filter((one) => change === undefined || one.change === change);
  const count = (is: (one: HalfOpen) => boolean): number => mine.filter(is).length;
  const lost = mine.filter(({ name }) => name === undefined);
  const unavoidable = lost.filter((one) => hadToBe(schedule, one)).length;
  return {
    held: mine.length,
    completed: mine.length - lost.length,
    elsewhere: count(
      ({ began, name }) => began !== undefined && name !== undefined && name !== began,
    ),
    unseen: count(({ began }) => began === undefined),
    expired: lost.filter(({ expired }) => expired).length,
    avoidable: lost.length - unavoidable,
    unavoidable,
  };
}

/** One that was not seen may have been on the destination that the change removed. */
function hadToBe({ steps }: Schedule, { change, began, expired }: HalfOpen): boolean {
  if (expired) return true;
  const removed = (steps[change]?.removed ?? []).map((number) => addressOf({ number }));
  return began === undefined ? removed.length > 0 : removed.includes(began);
}
