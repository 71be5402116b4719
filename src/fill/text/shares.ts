// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The slots that each destination has before and after a plan, as lines and as JSON. */
import { formatCount, formatShare, many } from '../../text/format.js';
import type { Plan, Share } from '../../plan/service.js';
import { largest, smallest } from '../../text/lists.js';

/** If more destinations than this change alike, one line describes them all. */
const ALIKE = 32;

/** Changes come first. */
const CHANGES = [
  'added',
  'removed',
  'drained',
  'forgotten',
  'restored',
  'changed',
] as const;
type Change = (typeof CHANGES)[number] | '';
const ORDER: readonly Change[] = [...CHANGES, ''];
const MARKS: Partial<Record<Change, string>> = { added: '+', removed: '-', '': ' ' };

interface Row extends Share {
  change: Change;
}

export function describeShares(plan: Plan): string[] {
  const rows = rowsOf(plan);
  const lines = ORDER.flatMap((change) =>
    grouped(rows.filter((row) => row.change === change)).flatMap((group) =>
      group.length > ALIKE
        ? [cellsOf(group, plan.slots, `${many(group.length, 'destination')} alike`)]
        : group.map((row) => cellsOf([row], plan.slots, row.address)),
    ),
  );
  return layOut([
    ['  destination', 'change', 'weight', 'slots before', 'after', 'share'],
    ...lines,
  ]);
}

function rowsOf(plan: Plan): Row[] {
  const changes = new Map<string, Change>(
    CHANGES.flatMap((change) =>
      plan[change].map((address) => [address, change] as const),
    ),
  );
  return plan.shares.map((share) => ({
    ...share,
    change: changes.get(share.address) ?? '',
  }));
}

/**
 * Puts destinations whose weights are the same into one group, in order of first
 * appearance.
 */
function grouped(rows: readonly Row[]): Row[][] {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const key = weightOf(row);
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  // Small groups are listed one by one, in the order of the file.
  const isMany = (row: Row): boolean => (groups.get(weightOf(row)) ?? []).length > ALIKE;
  const large = [...groups.values()].filter((group) => group.length > ALIKE);
  return [...large, ...rows.filter((row) => !isMany(row)).map((row) => [row])];
}

function weightOf({ weightBefore, weight }: Share): string {
  const [only, other] = [weightBefore, weight].filter((one) => one !== undefined);
  return other === undefined || only === other ? String(only) : `${only} -> ${other}`;
}

function cellsOf(group: readonly Row[], slots: number, name: string): string[] {
  const [first] = group;
  if (!first) return [];
  const after = group.map((row) => row.slots);
  return [
    `${MARKS[first.change] ?? '~'} ${name}`,
    first.change,
    weightOf(first),
    first.weightBefore === undefined ? '-' : range(group.map((row) => row.slotsBefore)),
    first.weight === undefined ? '-' : range(after),
    first.weight === undefined ? '-' : range(after, (count) => formatShare(count, slots)),
  ];
}

/** The least and the most, or just one number if all are equal. */
function range(
  counts: readonly number[],
  format: (count: number) => string = formatCount,
): string {
  const least = format(smallest(counts));
  const most = format(largest(counts));
  return least === most ? least : `${least} to ${most}`;
}

/** Aligns words to the left and numbers to the right. */
function layOut(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    largest(rows.map((row) => row[column]?.length ?? 0)),
  );
  const isWord = (column: number): boolean => column < 2;
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return isWord(column) ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .replace(/^/, '  ')
      .trimEnd(),
  );
}

export function sharesJson(plan: Plan): Record<string, unknown>[] {
  return rowsOf(plan).map((row) => ({
    address: row.address,
    change: row.change === '' ? null : row.change,
    weight_before: row.weightBefore ?? null,
    weight: row.weight ?? null,
    slots_before: row.slotsBefore,
    slots: row.slots,
    share: row.slots / plan.slots,
  }));
}
