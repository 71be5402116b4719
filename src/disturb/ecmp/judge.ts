// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Judges what a router did at each change, and how long connections stood still. */
import { largest } from '../../text/lists.js';
import type { ClientEvent } from '../protocol.js';

/** What a router did at one change. */
export interface Shift {
  /** When that was done which it had to notice; undefined: it had nothing to notice. */
  acted: number | undefined;
  /** When its way to the service changed last after that. */
  moved: number | undefined;
  /** Which role some of the connections went to, before and after; each at its place. */
  before: string[];
  after: string[];
}

export interface Stalls {
  /** The longest wait for an echo, in milliseconds. */
  echo: number;
  /** The longest opening of a connection. */
  open: number;
}

/** The router's part of one phase of a run. */
export interface Routing extends Stalls {
  /** The roles that connections go to, and how many of those asked about go to each. */
  takers: { role: string; flows: number }[];
  /** What the fullest got of its share, which is the same for all. */
  fullest: number;
  /** Chi-square by degrees of freedom: about 1 is chance. */
  unevenness: number;
  /** How many connections were asked about, and how many of them go another way now. */
  flows: number;
  moved: number;
  /** Milliseconds until the router sent nothing the old way; undefined: it had not to move. */
  took: number | undefined;
}

/** Of one phase; -1 is the one before any change. */
export function judgeRouting(
  shifts: readonly Shift[],
  change: number,
  stalls: Stalls,
): Routing {
  const shift = shifts[change];
  const roles = shift?.after ?? shifts[0]?.before ?? [];
  const moved = shift
    ? shift.after.filter((role, i) => role !== shift.before[i]).length
    : 0;
  const counts = new Map<string, number>();
  for (const role of roles) counts.set(role, (counts.get(role) ?? 0) + 1);
  const took =
    shift?.acted === undefined || shift.moved === undefined
      ? undefined
      : shift.moved - shift.acted;
  const byNumber = new Intl.Collator('en', { numeric: true });
  return {
    ...stalls,
    ...evenness([...counts.values()], roles.length),
    takers: [...counts]
      .map(([role, flows]) => ({ role, flows }))
      .sort((one, other) => byNumber.compare(one.role, other.role)),
    flows: roles.length,
    moved,
    took,
  };
}

function evenness(
  counts: readonly number[],
  all: number,
): { fullest: number; unevenness: number } {
  const share = all / Math.max(1, counts.length);
  if (share === 0) return { fullest: 1, unevenness: 0 };
  const squares = counts.map((count) => (count - share) ** 2 / share);
  return {
    fullest: largest(counts) / share,
    unevenness:
      squares.reduce((sum, one) => sum + one, 0) / Math.max(1, counts.length - 1),
  };
}

/** How late an echo may be that was on its way when a change began, in milliseconds. */
const LATE = 100;

/** The longest waits in each phase; the first is the one before any change. */
export function stallsOf(
  events: readonly ClientEvent[],
  moments: readonly { began: number }[],
): Stalls[] {
  const stalls = [{}, ...moments].map((): Stalls => ({ echo: 0, open: 0 }));
  for (const event of events) {
    if (event.event !== 'slowest') continue;
    const when = Math.min(event.since + LATE, event.at);
    const phase = stalls[moments.findLastIndex(({ began }) => began <= when) + 1];
    if (phase) phase[event.what] = Math.max(phase[event.what], event.at - event.since);
  }
  return stalls;
}
