// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * How many slots health may move: at most a part of a service's slots a minute, so that
 * checks that come and go cannot keep all connections on the move. What a file or a hand
 * changes is not counted.
 *
 * It is a bucket that fills evenly and holds what a minute gives. A change may overdraw it,
 * because a single destination may have more slots than a minute allows; then the next
 * change waits until it is filled again.
 */

export interface Moves {
  /** Slots that may move at once; below 0 after a change that overdrew it. */
  left: number;
  /** When that was so, in milliseconds. */
  at: number;
}

export interface MostMoves {
  /** Of the service. */
  slots: number;
  /** A minute, in percent of the slots. */
  percent: number;
}

const MINUTE_MS = 60_000;

export function firstMoves(now: number, most: MostMoves): Moves {
  return { left: perMinute(most), at: now };
}

/** Returns the same with what has come in since. */
export function refill({ left, at }: Moves, now: number, most: MostMoves): Moves {
  const added = (perMinute(most) * Math.max(0, now - at)) / MINUTE_MS;
  return { left: Math.min(perMinute(most), left + added), at: now };
}

export function mayMove({ left }: Moves): boolean {
  return left > 0;
}

export function spend(moves: Moves, slots: number): Moves {
  return { ...moves, left: moves.left - slots };
}

/** In how many milliseconds a change may move slots again. */
export function waitFor({ left }: Moves, most: MostMoves): number {
  if (left > 0) return 0;
  return Math.ceil((1 - left) / (perMinute(most) / MINUTE_MS));
}

/** At least one: a service of four slots has to move some, too. */
function perMinute({ slots, percent }: MostMoves): number {
  return Math.max(1, (slots * percent) / 100);
}
