// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** How evenly a service is shared, against what the weights ask for. */
import type { Row } from './rows.js';

export interface Balance {
  /** What the destinations should get and what they get, the largest first, from 0 to 1. */
  columns: { ideal: number; actual: number }[];
  /** By what part the fullest one has more than it should; null: nobody gets anything. */
  most: number | null;
  /** Whether that is of packets, or of slots. */
  of: 'packets' | 'slots';
}

/** Of many destinations, the one of a group that is farthest from its ideal is drawn. */
export const MOST_COLUMNS = 64;

export function balanceOf(rows: readonly Row[]): Balance {
  const of = rows.some(({ packetShare }) => packetShare !== null) ? 'packets' : 'slots';
  const given = rows
    .map((row) => ({
      ideal: row.expected,
      actual: (of === 'packets' ? row.packetShare : row.slotShare) ?? 0,
    }))
    .filter(({ ideal, actual }) => ideal > 0 || actual > 0)
    .sort((one, other) => other.ideal - one.ideal);
  const most = given.reduce<number | null>(
    (top, { ideal, actual }) =>
      ideal > 0 ? Math.max(top ?? -1, actual / ideal - 1) : top,
    null,
  );
  const size = Math.ceil(given.length / MOST_COLUMNS) || 1;
  const columns = Array.from({ length: Math.ceil(given.length / size) }, (_, index) =>
    given
      .slice(index * size, (index + 1) * size)
      .reduce((one, other) => (apart(other) > apart(one) ? other : one)),
  );
  return { columns, most, of };
}

/** By what part it has more or less than it should. */
function apart({ ideal, actual }: { ideal: number; actual: number }): number {
  return ideal > 0 ? Math.abs(actual / ideal - 1) : 1;
}
