// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The part of the report about connections that were half open over changes. */
import { formatCount } from '../text/format.js';
import { sumHalfOpen } from './judge-half-open.js';
import type { Result } from './report.js';

export function halfOpenJson(
  result: Result,
  change?: number,
): Record<string, unknown> | null {
  if (result.halfOpen === undefined) return null;
  const { schedule, halfOpen } = result.record;
  const sums = sumHalfOpen(schedule, halfOpen, change);
  return {
    held: sums.held,
    completed: sums.completed,
    completed_elsewhere: sums.elsewhere,
    began_unseen: sums.unseen,
    expired: sums.expired,
    lost_avoidable: sums.avoidable,
    lost_unavoidable: sums.unavoidable,
  };
}

export function atDestination(
  result: Result,
  address: string,
): Record<string, unknown> | null {
  if (result.halfOpen === undefined) return null;
  const { halfOpen } = result.record;
  return {
    began: halfOpen.filter(({ began }) => began === address).length,
    completed: halfOpen.filter(({ name }) => name === address).length,
  };
}

export function describeHalfOpen(result: Result): string[] {
  if (result.halfOpen === undefined) return [];
  const { schedule, halfOpen } = result.record;
  const sums = sumHalfOpen(schedule, halfOpen);
  const { held, completed, elsewhere, unseen, expired, avoidable, unavoidable } = sums;
  const where =
    unseen === 0
      ? `${formatCount(elsewhere)} of them on another destination`
      : `where ${formatCount(unseen)} began was not seen`;
  return [
    `Half-open: ${formatCount(held)} held over changes, ${formatCount(completed)} completed ` +
      `(${where}), lost ${formatCount(avoidable)} avoidable, ${formatCount(unavoidable)} unavoidable` +
      (expired > 0
        ? ` (${formatCount(expired)} given up by their destination's kernel)`
        : ''),
  ];
}
