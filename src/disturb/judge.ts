// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Judges what happened in a run: which losses were avoidable, and how evenly new
 * connections are spread.
 */
import type { Row, Schedule } from './changes.js';
import { addressOf } from './changes.js';
import type { CountEvent, ClientEvent, LostEvent, OpenEvent } from './protocol.js';
import { largest, smallest } from '../text/lists.js';
import { at } from '../text/must.js';
import type { FloodTotal } from './flood.js';
import type { HalfOpen } from './judge-half-open.js';
import type { Routing, Shift } from './ecmp/judge.js';
import { judgeRouting, stallsOf } from './ecmp/judge.js';

/** When a change was made, by the same clock as the events. */
export interface Moment {
  began: number;
  ended: number;
}

/** Everything that is known about a run. */
export interface Recording {
  schedule: Schedule;
  /** When all initial connections were open. */
  started: number;
  /** One for each step of the schedule. */
  moments: Moment[];
  events: ClientEvent[];
  /** Connections that were held half open over changes. */
  halfOpen: HalfOpen[];
  /** The flood beside it; undefined: there was none. */
  flood: FloodTotal | undefined;
  /** What a router did at each change; undefined: there was none. */
  shifts?: Shift[] | undefined;
}

export interface Spread {
  /** The number of connections that began. */
  connections: number;
  /** What the fullest and the emptiest destination got; 1 is the share by weight. */
  fullest: number;
  emptiest: number;
  /** Chi-square by degrees of freedom: about 1 is chance, much more is a bias. */
  unevenness: number;
  /** Connections to destinations that should not have got any. */
  misplaced: number;
}

export interface Phase {
  avoidable: number;
  unavoidable: number;
  /** Connections to removed destinations: their loss is unavoidable. */
  ideal: number;
  /** The spread of connections that began after this change and before the next. */
  spread: Spread;
  /** The router's part; undefined: there was none. */
  routing: Routing | undefined;
}

export interface Loss {
  at: number;
  why: string;
  /** The index of the change that caused it; -1: none did. */
  change: number;
  avoidable: boolean;
  /** The destination that answered it, if any did. */
  address: string | undefined;
}

export interface DestinationOutcome {
  address: string;
  /** The last weight; undefined if the destination was removed. */
  weight: number | undefined;
  opened: number;
  active: number;
  avoidable: number;
  unavoidable: number;
}

export interface Outcome {
  /** Before any change. */
  start: Phase;
  changes: Phase[];
  losses: Loss[];
  destinations: DestinationOutcome[];
  last: CountEvent;
}

const NOTHING: CountEvent = {
  event: 'count',
  at: 0,
  opened: 0,
  connecting: 0,
  active: 0,
  sent: 0,
  received: 0,
  dropped: 0,
};

/** How late an echo may be that was on its way when a change began, in milliseconds. */
const LATE = 100;

export function judge(record: Recording): Outcome {
  const { schedule, events } = record;
  const opens = new Map<number, OpenEvent>();
  const lost = new Map<number, LostEvent>();
  let last = NOTHING;
  for (const event of events) {
    if (event.event === 'open') opens.set(event.id, event);
    else if (event.event === 'lost') lost.set(event.id, event);
    else if (event.event === 'count') last = event;
  }
  const losses = [...lost.values()].map((one) => judgeLoss(record, one, opens));
  const all = [...opens.values()];
  const stalls = stallsOf(events, record.moments);
  const phase = (change: number): Phase => {
    const mine = losses.filter((one) => one.change === change);
    const avoidable = mine.filter((one) => one.avoidable).length;
    return {
      avoidable,
      unavoidable: mine.length - avoidable,
      ideal: idealLosses(record, change, all, lost),
      spread: spreadOf(begunAfter(record, change, all), rowsOf(schedule, change)),
      routing:
        record.shifts && judgeRouting(record.shifts, change, at(stalls, change + 1)),
    };
  };
  return {
    start: phase(-1),
    changes: record.moments.map((_, change) => phase(change)),
    losses,
    destinations: outcomes(record, all, lost, losses),
    last,
  };
}

function rowsOf(schedule: Schedule, change: number): Row[] {
  return schedule.steps[change]?.rows ?? schedule.first;
}

function judgeLoss(
  record: Recording,
  event: LostEvent,
  opens: ReadonlyMap<number, OpenEvent>,
): Loss {
  const { moments, schedule } = record;
  // Silence begins with the first message without an echo; other losses show at once.
  const when = event.why === 'silent' ? event.since + LATE : event.at;
  const change = moments.findLastIndex(({ began }) => began <= when);
  const address = opens.get(event.id)?.name;
  const common = { at: event.at, why: event.why, address };
  if (address === undefined) {
    // Lost in its handshake, so its destination is unknown. While a change removes a
    // destination, it may have been that one.
    const during = event.began <= (moments[change]?.ended ?? -Infinity);
    const goes = (schedule.steps[change]?.removed.length ?? 0) > 0;
    return { ...common, change, avoidable: !(during && goes) };
  }
  const went = schedule.steps.findIndex(({ removed }) => includes(removed, address));
  const isGone = went >= 0 && went <= change;
  return { ...common, change: isGone ? went : change, avoidable: !isGone };
}

function includes(numbers: readonly number[], address: string): boolean {
  return numbers.some((number) => addressOf({ number }) === address);
}

function idealLosses(
  { schedule, moments }: Recording,
  change: number,
  opens: readonly OpenEvent[],
  lost: ReadonlyMap<number, LostEvent>,
): number {
  const moment = moments[change];
  const removed = schedule.steps[change]?.removed ?? [];
  if (!moment || removed.length === 0) return 0;
  return opens.filter(
    ({ id, began, name }) =>
      includes(removed, name) &&
      began <= moment.ended &&
      (lost.get(id)?.at ?? Infinity) >= moment.began,
  ).length;
}

/** Returns the connections that opened after the change was complete, before the next. */
function begunAfter(
  { moments }: Recording,
  change: number,
  opens: readonly OpenEvent[],
): OpenEvent[] {
  const from = moments[change]?.ended ?? -Infinity;
  const to = moments[change + 1]?.began ?? Infinity;
  return opens.filter(({ began, at }) => began >= from && at < to);
}

export function spreadOf(
  opens: readonly { name: string }[],
  rows: readonly Row[],
): Spread {
  const weights = rows.reduce((sum, { weight }) => sum + weight, 0);
  const takers = rows.filter(({ weight }) => weight > 0);
  const got = new Map<string, number>();
  for (const { name } of opens) got.set(name, (got.get(name) ?? 0) + 1);
  const parts = takers.map((row) => ({
    got: got.get(addressOf(row)) ?? 0,
    share: (opens.length * row.weight) / weights,
  }));
  const ratios = parts.map((part) => (part.share > 0 ? part.got / part.share : 1));
  const squares = parts.map((part) =>
    part.share > 0 ? (part.got - part.share) ** 2 / part.share : 0,
  );
  return {
    connections: opens.length,
    fullest: largest(ratios),
    emptiest: smallest(ratios),
    unevenness: sum(squares) / Math.max(1, takers.length - 1),
    misplaced: opens.length - sum(parts.map((part) => part.got)),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function outcomes(
  { schedule }: Recording,
  opens: readonly OpenEvent[],
  lost: ReadonlyMap<number, LostEvent>,
  losses: readonly Loss[],
): DestinationOutcome[] {
  const rows = rowsOf(schedule, schedule.steps.length - 1);
  const weights = new Map(rows.map((row) => [row.number, row.weight]));
  return Array.from({ length: schedule.destinations }, (_, i) => {
    const address = addressOf({ number: i + 1 });
    const mine = opens.filter(({ name }) => name === address);
    const gone = losses.filter((one) => one.address === address);
    const avoidable = gone.filter((one) => one.avoidable).length;
    return {
      address,
      weight: weights.get(i + 1),
      opened: mine.length,
      active: mine.filter(({ id }) => !lost.has(id)).length,
      avoidable,
      unavoidable: gone.length - avoidable,
    };
  });
}
