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

/** Of a destination in the tables. */
const MAX_WEIGHT = 65535;

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
  /** In the units of the file. On the ramp it may have tenths: see wholeWeights(). */
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

/** `lasts`: there was a panic a moment ago, and not all may have been asked since. */
export function share(
  members: readonly Member[],
  rules: Rules,
  now: number,
  lasts = false,
): Shares {
  const regular = members.filter(({ isBackup }) => !isBackup);
  const asked = askedIn(members);
  const whole = sum(asked);
  const healthy = sum(asked.filter(isPassing));
  const isPanic = isPanicIn(members, lasts && rules.onPanic !== 'off' ? 1 : PANIC);
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

/** Whether less than a part of the weight passes, and not only because some are suspect. */
export function isPanicIn(members: readonly Member[], part = PANIC): boolean {
  const asked = askedIn(members);
  const healthy = sum(asked.filter(isPassing));
  return healthy < sum(asked) * part && asked.some((one) => !isServing(one));
}

/** What a hand took away is no sign of wrong checks. */
function askedIn(members: readonly Member[]): Member[] {
  return members.filter(({ isBackup, byHand }) => !isBackup && byHand === undefined);
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
  // After a panic it may have its weight still. On its way back it keeps that.
  const has = kept(member);
  if (!serves(condition) && condition.passes > 0 && has.weight > 0) return has;
  switch (condition.state) {
    case 'unknown':
    case 'up':
    case 'suspect':
      return wholly(member);
    case 'starting':
      return {
        weight: Math.max(has.weight, ramped(weight, rampOf(condition, now, patience))),
        isForgotten: false,
      };
    case 'down':
      return DRAINED;
    case 'dead':
      return DEAD;
  }
}

/** In tenths: with the usual weight of 1 there would be no ramp otherwise. */
function ramped(weight: number, part: number): number {
  return Math.round(weight * part * TENTHS) / TENTHS;
}

const TENTHS = 10;

/**
 * The same weights as the tables have them, which are whole numbers: ten times as large if
 * one of them has tenths. Only their proportions matter, so that moves no slot. A weight
 * that would then be too large is large enough to be rounded.
 */
export function wholeWeights(given: readonly Given[]): Given[] {
  const isWhole = given.every(({ weight }) => Number.isInteger(weight));
  const most = given.reduce((one, { weight }) => Math.max(one, weight), 0);
  const scale = isWhole || most * TENTHS > MAX_WEIGHT ? 1 : TENTHS;
  return given.map(({ weight, isForgotten }) => {
    const whole = Math.round(weight * scale);
    // Weight 0 would be no start.
    return { weight: weight > 0 ? Math.max(1, whole) : 0, isForgotten };
  });
}

/** Turns what the tables have back, as far as the weights of the file tell. */
export function unscaled(
  live: readonly (Given | undefined)[],
  wanted: readonly number[],
): (Given | undefined)[] {
  const isScaled = live.some(
    (one, index) => one && one.weight > 0 && one.weight === (wanted[index] ?? 0) * TENTHS,
  );
  const fits = live.every(
    (one, index) => !one || one.weight <= (wanted[index] ?? 0) * TENTHS,
  );
  if (!isScaled || !fits) return [...live];
  return live.map((one) => one && { ...one, weight: one.weight / TENTHS });
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
