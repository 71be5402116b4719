// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The document of a service: all that a balancer has to know to fill its tables as every
 * other one does. It holds what was wanted when it was made, and a short history of what the
 * destinations were given: the newest set, and what came before, so that all remember the
 * same. It has no time in it, and no number of its own: the store's revision tells which of
 * two is newer.
 *
 * Sets differ in a few destinations, so the text has the newest as it differs from the
 * weights of the file, and each older one as it differs from the one after it.
 */
import { createHash } from 'node:crypto';

import { MAX_WEIGHT } from '../../config/destinations-csv.js';
import type { ByHand, Given } from '../../health/weights.js';
import { BY_HAND } from '../../health/weights.js';
import { Fault, tryParse } from '../../text/fault.js';
import { formatEndpoint, parseEndpoint } from '../../wire/endpoint.js';
import { FORMAT, isFlag, isList, isText, isTuple, readFields } from './json.js';

/** What each destination was given, by its name. */
export type NamedSet = ReadonlyMap<string, Given>;

export interface Document {
  /** Of the service, as the store has it under `wanted`. */
  wanted: string;
  /** The oldest first, the newest last: at least one. */
  sets: readonly NamedSet[];
  /** What hands decided, by name. */
  hands: ReadonlyMap<string, Hand>;
  /** Below half of its weight passes. */
  isPanic: boolean;
  onBackup: boolean;
  /** Nothing of it passes, and no backup stands in. */
  isDown: boolean;
}

export interface Hand {
  byHand?: ByHand | undefined;
  weightByHand?: number | undefined;
}

/** Longer ones cost every balancer time and memory, and slots name two at most anyway. */
export const MOST_SETS = 4;
/** Characters; a service of 4,096 destinations has about 250,000. */
const LONGEST = 1_000_000;
const MOST_DESTINATIONS = 65_536;

/** A destination's name, and what it was given. */
type Row = [string, number | 'forgotten' | null];
interface Text {
  format: number;
  wanted: string;
  newest: Row[];
  /** The newest of them first; null is a destination that was not there. */
  older: Row[][];
  hands: [string, ByHand | null, number | null][];
  panic: boolean;
  on_backup: boolean;
  down: boolean;
  /** Of all above, so that nothing half written or edited by hand is taken for whole. */
  sum: string;
}

export function formatDocument(
  document: Document,
  weights: ReadonlyMap<string, number>,
): string {
  const { wanted, sets, hands, isPanic, onBackup, isDown } = document;
  const [newest = new Map(), ...older] = [...sets].reverse();
  const asWanted = new Map([...weights].map(([name, weight]) => [name, well(weight)]));
  let after: NamedSet = newest;
  const text: Omit<Text, 'sum'> = {
    format: FORMAT,
    wanted,
    newest: difference(asWanted, newest),
    older: older.map((set) => {
      const rows = difference(after, set);
      after = set;
      return rows;
    }),
    hands: [...hands].map(([name, { byHand = null, weightByHand = null }]) => [
      ...([name, byHand, weightByHand] as const),
    ]),
    panic: isPanic,
    on_backup: onBackup,
    down: isDown,
  };
  return JSON.stringify({ ...text, sum: sumOf(text) });
}

/**
 * The same without the oldest sets where no node would take all of them: thousands of
 * destinations whose weights all change several times make a long text.
 */
export function formatShort(
  document: Document,
  weights: ReadonlyMap<string, number>,
): string {
  const text = formatDocument(document, weights);
  const [, ...sets] = document.sets;
  const isWell = text.length <= LONGEST || sets.length === 0;
  return isWell ? text : formatShort({ ...document, sets }, weights);
}

/** Reads a document; throws a Fault that says why it is none. Its service is not looked at. */
export function parseDocument(
  text: string,
  weightsOf: (wanted: string) => ReadonlyMap<string, number>,
): Document {
  const { wanted, newest, older, hands, panic, on_backup, down } = checkedText(text);
  const weights = weightsOf(wanted);
  const asWanted = new Map([...weights].map(([name, weight]) => [name, well(weight)]));
  const last = applied(asWanted, newest);
  const names = [...last.keys()];
  if (names.length !== weights.size || names.some((name) => !weights.has(name))) {
    throw new Fault('the newest set has other destinations than the service');
  }
  const sets = [last];
  for (const rows of older) sets.unshift(applied(sets[0] ?? last, rows));
  const empty = sets.findIndex((set) => set.size === 0);
  if (empty !== -1) throw new Fault('a set has no destination');
  return {
    ...{ wanted, sets, isPanic: panic, onBackup: on_backup, isDown: down },
    hands: new Map(
      hands.map(([name, byHand, weight]) => [
        name,
        { byHand: byHand ?? undefined, weightByHand: weight ?? undefined },
      ]),
    ),
  };
}

function checkedText(text: string): Text {
  const what = 'the document of a service';
  const fields = readFields(text, what, LONGEST);
  const { wanted, newest, older, hands, panic, on_backup, down, sum } = fields;
  const isWell =
    isText(wanted) &&
    isList(newest, isRow) &&
    isList(older, (rows): rows is Row[] => isList(rows, isRow)) &&
    isList(hands, isHand) &&
    isFlag(panic) &&
    isFlag(on_backup) &&
    isFlag(down);
  if (!isWell) throw new Fault(`it is not ${what}`);
  if (older.length >= MOST_SETS) throw new Fault(`it has more than ${MOST_SETS} sets`);
  const whole = {
    ...{ format: FORMAT, wanted, newest, older, hands, panic, on_backup, down },
  };
  if (sum !== sumOf(whole)) throw new Fault('its sum is wrong: a part of it is missing');
  return { ...whole, sum };
}

const SUM_DIGITS = 16;

function sumOf(text: Omit<Text, 'sum'>): string {
  const all = JSON.stringify(text);
  return createHash('sha256').update(all).digest('hex').slice(0, SUM_DIGITS);
}

const well = (weight: number): Given => ({ weight, isForgotten: false });

function difference(from: NamedSet, to: NamedSet): Row[] {
  const changed = [...to].flatMap(([name, given]): Row[] => {
    const before = from.get(name);
    const { weight, isForgotten } = given;
    const isSame = before?.weight === weight && before.isForgotten === isForgotten;
    return isSame ? [] : [[name, isForgotten ? 'forgotten' : weight]];
  });
  const gone = [...from.keys()].filter((name) => !to.has(name));
  return [...changed, ...gone.map((name): Row => [name, null])];
}

function applied(from: NamedSet, rows: readonly Row[]): NamedSet {
  const set = new Map(from);
  for (const [name, given] of rows) {
    if (given === null) set.delete(name);
    else if (given === 'forgotten') set.set(name, { weight: 0, isForgotten: true });
    else set.set(name, well(given));
  }
  if (set.size > MOST_DESTINATIONS) throw new Fault('a set has too many destinations');
  return set;
}

const isOrNull =
  <T>(isOne: (value: unknown) => value is T) =>
  (value: unknown): value is T | null =>
    value === null || isOne(value);

const isByHand = (value: unknown): value is ByHand =>
  BY_HAND.some((one) => one === value);

/** In one form only, or the same destination could be there twice. */
function isName(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  const endpoint = tryParse(() => parseEndpoint(value));
  return !(endpoint instanceof Fault) && formatEndpoint(endpoint) === value;
}

/** A ramp has tenths. */
function isWeight(value: unknown): value is number {
  if (typeof value !== 'number' || value < 0 || value > MAX_WEIGHT) return false;
  return Math.round(value * 10) / 10 === value;
}

const isGiven = (value: unknown): value is Row[1] =>
  value === null || value === 'forgotten' || isWeight(value);

const isRow = isTuple(isName, isGiven);

export const isHand = isTuple(isName, isOrNull(isByHand), isOrNull(isWeight));
