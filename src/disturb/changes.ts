// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The changes of a run: parses them, and makes the file of destinations for each. */
import { Fault } from '../text/fault.js';

/** The weight that destinations start with: a new weight reads as a percentage of it. */
export const USUAL_WEIGHT = 100;
export const MAX_DESTINATIONS = 100;

export type Change =
  | { kind: 'remove' | 'add' | 'drain' | 'restore'; count: number }
  | { kind: 'reweight'; count: number; weight: number }
  | { kind: 'replace' | 'takeover' };

export const DEFAULT_CHANGES = [
  'remove 1',
  'add 1',
  'drain 1',
  'reweight 1 50',
  'replace',
];

export const CHANGE_FORMS =
  'remove N, add N, drain N, restore N, reweight N WEIGHT, replace, or takeover';

/** Parses a change; throws a Fault if the text is not one. */
export function parseChange(text: string): Change {
  const [kind = '', ...numbers] = text.trim().split(/\s+/);
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
      if (values.length > 0) throw new Fault(`"${text}": ${kind} takes no number`);
      return { kind };
    default:
      throw new Fault(`"${text}" is not ${CHANGE_FORMS}`);
  }
}

export function formatChange(change: Change): string {
  const { kind } = change;
  if (kind === 'reweight') return `reweight ${change.count} ${change.weight}`;
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
}

export interface Schedule {
  first: Row[];
  steps: Step[];
  /** The number of all destinations, including those that are added later. */
  destinations: number;
}

/**
 * Plans all files of a run; throws a Fault if a change is impossible. A change always
 * affects the lowest numbers.
 */
export function makeSchedule(destinations: number, changes: readonly Change[]): Schedule {
  const first = rowsFrom(1, destinations);
  let rows = first;
  let last = destinations;
  const steps: Step[] = [];
  for (const change of changes) {
    const after = rowsAfter(rows, last, change);
    const text = formatChange(change);
    if (!after)
      throw new Fault(`"${text}" needs more destinations than there are at that point`);
    if (after.every(({ weight }) => weight === 0)) {
      throw new Fault(`"${text}" would leave no destination for new connections`);
    }
    if (change.kind === 'add') last += change.count;
    if (last > MAX_DESTINATIONS) {
      throw new Fault(
        `"${text}" makes ${last} destinations; at most ${MAX_DESTINATIONS} are possible`,
      );
    }
    const kept = new Set(after.map(({ number }) => number));
    const removed = rows.map(({ number }) => number).filter((one) => !kept.has(one));
    steps.push({ change, rows: after, removed });
    rows = after;
  }
  return { first, steps, destinations: last };
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

function rowsAfter(rows: Row[], last: number, change: Change): Row[] | undefined {
  switch (change.kind) {
    case 'remove':
      return rows.length < change.count ? undefined : rows.slice(change.count);
    case 'add':
      return [...rows, ...rowsFrom(last + 1, change.count)];
    case 'drain':
      return withWeight(rows, change.count, 0);
    case 'restore':
      return restored(rows, change.count);
    case 'reweight':
      return withWeight(rows, change.count, change.weight);
    default:
      return rows;
  }
}

/** Changes the weight of the first destinations that get new connections. */
function withWeight(rows: Row[], count: number, weight: number): Row[] | undefined {
  const chosen = new Set(rows.filter((row) => row.weight > 0).slice(0, count));
  if (chosen.size < count) return undefined;
  return rows.map((row) => (chosen.has(row) ? { ...row, weight } : row));
}

/** Gives the first drained destinations the usual weight again. */
function restored(rows: Row[], count: number): Row[] | undefined {
  const chosen = new Set(rows.filter((row) => row.weight === 0).slice(0, count));
  if (chosen.size < count) return undefined;
  return rows.map((row) => (chosen.has(row) ? { ...row, weight: USUAL_WEIGHT } : row));
}

export function addressOf({ number }: { number: number }): string {
  return `10.0.1.${number}`;
}

/** Writes the file for l4lb-map. The MAC addresses are those of testbed/network.sh. */
export function toCsv(rows: readonly Row[]): string {
  const lines = rows.map((row) => {
    const byte = row.number.toString(16).padStart(2, '0');
    return `${addressOf(row)}, 02:00:0a:00:01:${byte}, ${row.weight}`;
  });
  return ['address, MAC, weight', ...lines, ''].join('\n');
}
