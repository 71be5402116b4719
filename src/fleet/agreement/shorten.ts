// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Keeps a history short. Where one more set would be too many, some memory has to go: that
 * set is left out without which the fewest slots forget anything. So the steps of a ramp,
 * which move slots the same way one after another, go first, and cost next to nothing.
 */
import type { DestinationSet, FoldOptions } from '../../plan/history.js';
import { foldHistory, tablesOf } from '../../plan/history.js';
import { chainOf } from '../../plan/names.js';
import { at } from '../../text/must.js';
import { formatEndpoint } from '../../wire/endpoint.js';

export interface Shortened {
  /** Places of the sets that stay. */
  kept: number[];
  /** Slots that forget a destination which is still there. */
  forgets: number;
}

export function shorten(
  sets: readonly DestinationSet[],
  most: number,
  fold: FoldOptions,
): Shortened {
  let kept = sets.map((_, index) => index);
  let forgets = 0;
  if (kept.length <= most) return { kept, forgets };
  const tables = tablesOf(sets, fold);
  const memory = (chosen: readonly number[]): Memory =>
    memoryOf(sets, chosen, fold, tables);
  while (kept.length > most) {
    const whole = memory(kept);
    // The newest is what the table is, so it stays.
    const tries = kept.slice(0, -1).map((left) => {
      const rest = kept.filter((one) => one !== left);
      return { rest, forgets: lost(whole, memory(rest)) };
    });
    const best = tries.reduce((one, other) =>
      other.forgets < one.forgets ? other : one,
    );
    kept = best.rest;
    forgets += best.forgets;
  }
  return { kept, forgets };
}

/** What each slot remembers: destinations by name, since places differ. */
export type Memory = readonly (readonly string[])[];

const NOBODY: readonly string[] = [];

export function memoryOf(
  sets: readonly DestinationSet[],
  kept: readonly number[],
  fold: FoldOptions,
  tables: readonly Int32Array[] = tablesOf(sets, fold),
): Memory {
  const chosen = kept.map((index) => at(sets, index));
  const newest = at(chosen, chosen.length - 1).map(formatEndpoint);
  const own = kept.map((index) => at(tables, index));
  return foldHistory(chosen, fold, own).map((slot) =>
    slot.previous === 0
      ? NOBODY
      : chainOf(slot).flatMap((number) => newest[number - 1] ?? []),
  );
}

function lost(whole: Memory, rest: Memory): number {
  return whole.filter((names, slot) => {
    const left = rest[slot] ?? NOBODY;
    return names.some((name) => !left.includes(name));
  }).length;
}
