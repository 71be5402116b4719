// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The minimal table: from the live one it moves as few slots as any perfectly balanced
 * table can.
 *
 * The price: it depends on all tables before it. Two balancers with the same destinations
 * may have different tables, so neither can take over from the other without a loss.
 */
import { at } from '../text/must.js';
import type { TableDestination } from './slot-counts.js';
import { inOrder, shares } from './slot-counts.js';

/** Stands in place of a destination's index. */
export const EMPTY = -1;
export const GONE = -2;

/** The present slots of a service, with indices into the wanted destinations. */
export interface LiveTable {
  /** For each slot an index, EMPTY, or GONE where its destination is not wanted. */
  current: Int32Array;
  /** The same for the destination that a hot slot remembers. */
  previous: Int32Array;
  /** 1 for hot slots. */
  hot: Uint8Array;
}

/** The fewest slots in which a perfectly balanced table can differ from the live one. */
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
 * For each slot the index of its destination, or EMPTY. `guide` is the consistent table
 * of the same destinations.
 *
 * A destination that has more slots than its share gives up just the rest. These slots,
 * and those of destinations that are gone, go to destinations that have less. The number
 * is the same whichever slots move, so those are chosen that suit connections best:
 *
 * 1. A slot that remembers a destination with too few slots goes back to it: its oldest
 *    connections are still there and need no memory any more.
 * 2. Cold slots come before hot ones. A slot that was cold remembers its destination
 *    for all connections on it. In a hot one, those of its current destination would
 *    depend on their records alone, and UDP, which has no records, would move twice.
 * 3. A slot goes where the consistent table has it, so that two balancers differ in
 *    no more slots than necessary, and the way back to that table is short.
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

  /** Slots that each destination has too many; below zero: too few. */
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
    .map(({ address, port }, index) => ({ address, port, index }))
    .sort(inOrder)
    .map(({ index }) => index);
  let next = 0;
  const anybody = (): number | undefined => {
    while (next < needy.length && at(over, at(needy, next)) >= 0) next++;
    return needy[next];
  };
  const any = (): boolean => true;
  // A slot that has to move anyway counts as cold.
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
