// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What the destinations of a service get, by what their checks say, what the file wants and
 * what somebody decided by hand.
 *
 * Health takes packets away, and never gives more than the file says. Where it would take
 * away more than half of a service, it is more likely that the checks are wrong than that
 * all these hosts died at once: then the service's `on_panic` says what happens.
 */
import type { Condition, Patience } from './condition.js';
import { rampOf, serves } from './condition.js';

export const ON_PANIC = ['keep', 'all', 'off'] as const;
/**
 * Below half of the weight: `keep` changes nothing more, `all` sends to all as if they were
 * well, `off` believes the checks.
 */
export type OnPanic = (typeof ON_PANIC)[number];

export const BY_HAND = ['drained', 'down'] as const;
/** What somebody decided; it stays until somebody takes it back. */
export type ByHand = (typeof BY_HAND)[number];

export interface Member {
  condition: Condition;
  /** Of the file, or of a hand. */
  weight: number;
  byHand: ByHand | undefined;
  /** It stands in when no other one serves. */
  isBackup: boolean;
  /** What it has in the tables. */
  live: Given;
}

/** What the tables give to a destination. */
export interface Given {
  weight: number;
  /** No packet goes there, not even of a connection that it has. */
  isForgotten: boolean;
}

export interface Shares {
  given: Given[];
  isPanic: boolean;
  /** Weight of those whose last check passed, and of all, without backups. */
  healthy: number;
  whole: number;
  /** The backups stand in. */
  onBackup: boolean;
}

export interface Rules {
  onPanic: OnPanic;
  patience: Patience;
}

/**
 * Below this part of its weight a service is in panic, once a destination is down. Those
 * that are suspect count against it: if all fail at once, the first is down a little before
 * the others.
 */
const PANIC = 0.5;

export function share(members: readonly Member[], rules: Rules, now: number): Shares {
  const regular = members.filter(({ isBackup }) => !isBackup);
  // What a hand took away is no sign of wrong checks.
  const asked = regular.filter(({ byHand }) => byHand === undefined);
  const whole = sum(asked);
  const healthy = sum(asked.filter(isPassing));
  const isPanic = healthy < whole * PANIC && asked.some((one) => !isServing(one));
  const believes = !isPanic || rules.onPanic === 'off';
  const isGone = believes && sum(regular.filter(isServing)) === 0;
  const onBackup =
    isGone && members.some((one) => one.isBackup && one.weight > 0 && isServing(one));
  const given = members.map((member): Given => {
    if (member.byHand === 'drained') return DRAINED;
    if (member.byHand === 'down') return DEAD;
    if (member.isBackup && !onBackup) return DRAINED;
    if (believes) return believed(member, rules, now);
    return rules.onPanic === 'all' ? wholly(member) : kept(member);
  });
  return { given, isPanic, healthy, whole, onBackup };
}

const DRAINED: Given = { weight: 0, isForgotten: false };
const DEAD: Given = { weight: 0, isForgotten: true };
const wholly = ({ weight }: Member): Given => ({ weight, isForgotten: false });

/** A weight that the file has changed holds in a panic, too. */
function kept({ live, weight }: Member): Given {
  return { ...live, weight: Math.min(live.weight, weight) };
}

function believed(member: Member, { patience }: Rules, now: number): Given {
  const { condition, weight } = member;
  switch (condition.state) {
    case 'unknown':
    case 'up':
    case 'suspect':
      return wholly(member);
    case 'starting':
      return {
        weight: ramped(weight, rampOf(condition, now, patience)),
        isForgotten: false,
      };
    case 'down':
      return DRAINED;
    case 'dead':
      return DEAD;
  }
}

/** At least 1, since weight 0 would be no start. */
function ramped(weight: number, part: number): number {
  return weight === 0 ? 0 : Math.max(1, Math.round(weight * part));
}

function isServing({ condition, byHand }: Member): boolean {
  return byHand === undefined && serves(condition);
}

function isPassing(member: Member): boolean {
  return isServing(member) && member.condition.state !== 'suspect';
}

function sum(members: readonly Member[]): number {
  return members.reduce((all, { weight }) => all + weight, 0);
}
