// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The changes of a run: parses them, and makes the file of destinations for each. */
import { Fault } from '../text/fault.js';
import type { BalancerChange } from './ecmp/plan.js';
import { ACTS, BalancerPlan, parseBalancerChange } from './ecmp/plan.js';

/** The weight that destinations start with: a new weight reads as a percentage of it. */
export const USUAL_WEIGHT = 100;
export const MAX_DESTINATIONS = 100;

/** What is made: one step of a run. */
export type Change =
  | { kind: 'remove' | 'add' | 'drain' | 'restore'; count: number }
  | { kind: 'drain' | 'restore'; number: number }
  | { kind: 'reweight'; count: number; weight: number }
  | { kind: 'replace' | 'takeover' | 'both' }
  | BalancerChange;

/** What can be asked for: a rolling restart is a drain and a restore of each destination. */
export type Wish = Change | { kind: 'rolling' };

export const DEFAULT_CHANGES = [
  'remove 1',
  'add 1',
  'drain 1',
  'reweight 1 50',
  'replace',
];

export const CHANGE_FORMS =
  'remove N, add N, drain N, drain ADDRESS, restore N, restore ADDRESS, rolling, reweight N WEIGHT, replace, takeover, or both; ' +
  `with --ecmp, in place of takeover and both: ${ACTS.map((act) => `${act} balancer`).join(', ')}`;

/** Parses a change; throws a Fault if the text is not one. */
export function parseChange(text: string): Wish {
  const [kind = '', ...numbers] = text.trim().split(/\s+/);
  const one = parseBalancerChange(kind, numbers) ?? parseOne(kind, numbers);
  if (one) return one;
  const values = numbers.map((number) =>
    /^\d{1,5}$/.test(number) ? Number(number) : NaN,
  );
  if (values.some(Number.isNaN))
    throw new Fault(`"${text}" has a word that is not a number`);
  const [count = 1, weight] = values;
  switch (kind) {
    case 'remove':
    case 'add':
    case 'drain':
    case 'restore':
      if (values.length > 1) throw new Fault(`"${text}" has one number too many`);
      if (count === 0) throw new Fault(`"${text}" changes nothing`);
      return { kind, count };
    case 'reweight':
      if (weight === undefined || values.length > 2 || count === 0) {
        throw new Fault(
          `"${text}" does not have the form reweight N WEIGHT, such as "reweight 2 50"`,
        );
      }
      if (weight < 1 || weight > 65535)
        throw new Fault(`"${text}": the weight must be from 1 to 65535`);
      return { kind, count, weight };
    case 'replace':
    case 'takeover':
    case 'both':
    case 'rolling':
      if (values.length > 0) throw new Fault(`"${text}": ${kind} takes no number`);
      return { kind };
    default:
      throw new Fault(`"${text}" is not ${CHANGE_FORMS}`);
  }
}

/** Parses a change of the one destination that has this address. */
function parseOne(kind: string, words: readonly string[]): Change | undefined {
  const [, number] = /^10\.0\.1\.([1-9]\d{0,2})$/.exec(words[0] ?? '') ?? [];
  if (number === undefined || words.length > 1) return undefined;
  return kind === 'drain' || kind === 'restore'
    ? { kind, number: Number(number) }
    : undefined;
}

export function formatChange(change: Wish): string {
  const { kind } = change;
  if (kind === 'balancer') return `${change.act} balancer`;
  if (kind === 'reweight') return `reweight ${change.count} ${change.weight}`;
  if ('number' in change) return `${kind} ${addressOf(change)}`;
  return 'count' in change ? `${kind} ${change.count}` : kind;
}

/** A row of the file. `number` is the number of the destination's namespace, from 1. */
export interface Row {
  number: number;
  weight: number;
}

export interface Step {
  change: Change;
  /** The rows of the file from this change on. */
  rows: Row[];
  /** The numbers of the destinations that this change removes. */
  removed: number[];
  /** The number of the balancer that it affects. */
  balancer?: number | undefined;
  /** The numbers of the balancers that get packets afterwards; none without a router. */
  takers: number[];
}

export interface Schedule {
  first: Row[];
  steps: Step[];
  /** The number of all destinations, including those that are added later. */
  destinations: number;
  /** The number of balancers behind a router at the start; 0: there is no router. */
  balancers: number;
}

/**
 * Plans all files of a run; throws a Fault if a change is impossible. A change always
 * affects the lowest numbers.
 */
export function makeSchedule(
  destinations: number,
  wishes: readonly Wish[],
  balancers = 0,
): Schedule {
  const plan = new BalancerPlan(balancers);
  const first = rowsFrom(1, destinations);
  let rows = first;
  let last = destinations;
  const steps: Step[] = [];
  for (const wish of wishes) {
    for (const change of wish.kind === 'rolling' ? oneByOne(rows) : [wish]) {
      const step = nextStep(rows, last, change);
      const balancer = change.kind === 'balancer' ? plan.next(change) : undefined;
      steps.push({ ...step, balancer, takers: plan.takers });
      rows = step.rows;
      if (change.kind === 'add') last += change.count;
    }
  }
  return { first, steps, destinations: last, balancers };
}

function nextStep(
  rows: Row[],
  last: number,
  change: Change,
): Omit<Step, 'balancer' | 'takers'> {
  const after = rowsAfter(rows, last, change);
  const text = formatChange(change);
  if (!after) {
    throw new Fault(
      'number' in change
        ? `"${text}": at that point there is no such destination to ${change.kind}`
        : `"${text}" needs more destinations than there are at that point`,
    );
  }
  if (after.every(({ weight }) => weight === 0)) {
    throw new Fault(`"${text}" would leave no destination for new connections`);
  }
  const most = last + (change.kind === 'add' ? change.count : 0);
  if (most > MAX_DESTINATIONS) {
    throw new Fault(
      `"${text}" makes ${most} destinations; at most ${MAX_DESTINATIONS} are possible`,
    );
  }
  const kept = new Set(after.map(({ number }) => number));
  const removed = rows.map(({ number }) => number).filter((one) => !kept.has(one));
  return { change, rows: after, removed };
}

/** Returns all destinations of the whole run, with the weight that they start with. */
export function everyRow({ destinations }: Schedule): Row[] {
  return rowsFrom(1, destinations);
}

function rowsFrom(number: number, count: number): Row[] {
  return Array.from({ length: count }, (_, i) => ({
    number: number + i,
    weight: USUAL_WEIGHT,
  }));
}

/** A rolling restart of all destinations that get new connections. */
function oneByOne(rows: readonly Row[]): Change[] {
  return rows
    .filter(({ weight }) => weight > 0)
    .flatMap(({ number }): Change[] => [
      { kind: 'drain', number },
      { kind: 'restore', number },
    ]);
}

function rowsAfter(rows: Row[], last: number, change: Change): Row[] | undefined {
  switch (change.kind) {
    case 'remove':
      return rows.length < change.count ? undefined : rows.slice(change.count);
    case 'add':
      return [...rows, ...rowsFrom(last + 1, change.count)];
    case 'drain':
      return withWeight(rows, change, isUsed, 0);
    case 'restore':
      return withWeight(rows, change, isDrained, USUAL_WEIGHT);
    case 'reweight':
      return withWeight(rows, change, isUsed, change.weight);
    default:
      return rows;
  }
}

const isUsed = ({ weight }: Row): boolean => weight > 0;
const isDrained = ({ weight }: Row): boolean => weight === 0;

/** Changes the weight of one destination, or of the first that qualify. */
function withWeight(
  rows: Row[],
  which: { count: number } | { number: number },
  qualifies: (row: Row) => boolean,
  weight: number,
): Row[] | undefined {
  const possible = rows.filter(qualifies);
  const chosen =
    'number' in which
      ? possible.filter(({ number }) => number === which.number)
      : possible.slice(0, which.count);
  if (chosen.length < ('number' in which ? 1 : which.count)) return undefined;
  return rows.map((row) => (chosen.includes(row) ? { ...row, weight } : row));
}

export function addressOf({ number }: { number: number }): string {
  return `10.0.1.${number}`;
}

/** Returns the MAC address that testbed/network.sh gives. */
export function macOf({ number }: { number: number }): string {
  return `02:00:0a:00:01:${number.toString(16).padStart(2, '0')}`;
}

/** Writes the file for l4lb-map. Behind a router all destinations have its MAC. */
export function toCsv(rows: readonly Row[], mac?: string): string {
  const lines = rows.map(
    (row) => `${addressOf(row)}, ${mac ?? macOf(row)}, ${row.weight}`,
  );
  return ['address, MAC, weight', ...lines, ''].join('\n');
}
