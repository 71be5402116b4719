// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The minimal table: from the live one it moves as few slots as any perfectly
 * balanced table can.
 *
 * What is given up: it depends on all tables before it. Two balancers with the same
 * destinations may differ, so none can take over from another without a loss.
 */
import { at } from '../text/must.js';
import type { TableDestination } from './slot-counts.js';
import { shares } from './slot-counts.js';

/** In place of a destination's index. */
export const EMPTY = -1;
export const GONE = -2;

/** The slots of a service as they are, with indices into the destinations to come. */
export interface LiveTable {
  /** For each slot an index, EMPTY, or GONE where its destination is not to come. */
  current: Int32Array;
  /** Likewise, of whom a hot slot remembers. */
  previous: Int32Array;
  /** 1 for hot slots. */
  hot: Uint8Array;
}

/** The fewest slots that a perfectly balanced table can have other than the live one. */
export function idealMoves(
  destinations: readonly TableDestination[],
  current: Int32Array,
): number {
  const has = countSlots(destinations.length, current);
  const wants = shares(destinations, current.length, has);
  const surplus = wants.reduce(
    (sum, want, index) => sum + Math.max(0, at(has, index) - want),
    0,
  );
  const isUsed = wants.some((want) => want > 0);
  const free = current.filter((index) => index === GONE || (isUsed && index === EMPTY));
  return surplus + free.length;
}

/**
 * For each slot the index of its destination, or EMPTY. `guide` is the consistent
 * table of the same destinations.
 *
 * Who has more slots than its share gives up just the rest; these and the slots of
 * destinations that are gone go to who has less. Whichever they are, the number is
 * the same. So they are chosen by what suits connections best:
 *
 * 1. A slot that remembers who needs one goes back there: its oldest connections
 *    are there still, and need no memory any more.
 * 2. Cold slots come before hot ones. A slot that was cold remembers its destination
 *    for all connections on it. In a hot one, those of its current destination would
 *    depend on their records alone; and UDP, that has no records, would move twice.
 * 3. A slot goes where the consistent table has it, so that two balancers differ
 *    in no more slots than they must, and the way back to that table is short.
 */
export function minimalTable(
  destinations: readonly TableDestination[],
  { current, previous, hot }: LiveTable,
  guide: Int32Array,
): Int32Array {
  const slots = current.length;
  const has = countSlots(destinations.length, current);
  const wants = shares(destinations, slots, has);
  if (wants.every((want) => want === 0)) return new Int32Array(slots).fill(EMPTY);

  /** Slots that each has too many; below zero too few. */
  const over = wants.map((want, index) => at(has, index) - want);
  const result = current.map((index) => (index < 0 ? EMPTY : index));
  const offer = (slot: number, to: number | undefined): void => {
    const from = at(result, slot);
    if (to === undefined || to < 0 || at(over, to) >= 0) return;
    if (from >= 0) {
      if (at(over, from) <= 0) return;
      over[from] = at(over, from) - 1;
    }
    result[slot] = to;
    over[to] = at(over, to) + 1;
  };
  const offerAll = (
    isMeant: (slot: number) => boolean,
    to: (slot: number) => number | undefined,
  ): void => {
    for (let slot = 0; slot < slots; slot++) {
      if (isMeant(slot)) offer(slot, to(slot));
    }
  };

  const needy = destinations
    .map(({ address }, index) => ({ address, index }))
    .sort((a, b) => Buffer.compare(a.address, b.address))
    .map(({ index }) => index);
  let next = 0;
  const anybody = (): number | undefined => {
    while (next < needy.length && at(over, at(needy, next)) >= 0) next++;
    return needy[next];
  };
  const any = (): boolean => true;
  // What has to move anyway is as good as cold.
  const isCold = (slot: number): boolean => hot[slot] === 0 || at(current, slot) < 0;

  offerAll(any, (slot) => previous[slot]);
  offerAll(isCold, (slot) => guide[slot]);
  offerAll(isCold, anybody);
  offerAll(any, (slot) => guide[slot]);
  offerAll(any, anybody);
  return result;
}

function countSlots(destinations: number, current: Int32Array): Int32Array {
  const has = new Int32Array(destinations);
  for (const index of current) {
    if (index >= 0) has[index] = at(has, index) + 1;
  }
  return has;
}
