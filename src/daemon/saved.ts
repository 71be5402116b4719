// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What survives a restart of l4lbd: what hands decided, and the states of destinations. It
 * is written to another file that takes the place of the one before, so that it is always
 * whole.
 *
 * Times are written as ages, and go on where they were: what happened while nobody looked
 * is not known. So a destination that was down is not dead because l4lbd was off.
 */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

import type { Condition } from '../health/condition.js';
import { STATES } from '../health/condition.js';
import { BY_HAND } from '../health/weights.js';
import { MAX_WEIGHT } from '../config/destinations-csv.js';
import { readRegular } from '../system/regular-file.js';
import { fileFault } from '../text/file-fault.js';
import { Failure } from '../text/failure.js';
import type { Known } from './health.js';

/** By service and name of the destination. */
export type SavedStates = ReadonlyMap<string, Known>;

interface SavedFile {
  version: 1;
  destinations: SavedDestination[];
}

interface SavedDestination {
  service: string;
  destination: string;
  by_hand?: string;
  weight_by_hand?: number;
  state: string;
  /** Milliseconds. */
  age: number;
  downs: number[];
  reason: string;
}

export function savedKey(service: string, destination: string): string {
  return `${service} ${destination}`;
}

/** Returns what was saved; nothing if nothing was. A file that is not ours is a Failure. */
export function readSaved(path: string, now: number): SavedStates {
  let text: string;
  try {
    text = readRegular(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    throw new Failure(`cannot read ${path}`, {
      cause: fileFault(error),
      next: `look at it with ls -ld ${path}; without it, what hands decided is forgotten`,
    });
  }
  return parseSaved(path, text, now);
}

export function parseSaved(path: string, text: string, now: number): SavedStates {
  const states = new Map<string, Known>();
  for (const one of savedIn(path, text)) {
    const { service, destination, by_hand, weight_by_hand, state, age, downs } = one;
    const condition: Condition = {
      state: STATES.find((name) => name === state) ?? 'unknown',
      since: now - age,
      ...{ passes: 0, fails: 0 },
      downs: downs.map((ago) => now - ago),
      reason: one.reason,
    };
    states.set(savedKey(service, destination), {
      condition: settledDown(condition),
      byHand: BY_HAND.find((name) => name === by_hand),
      weightByHand: weight_by_hand,
    });
  }
  return states;
}

/** One check that failed is forgotten, and so is a ramp: the tables have its weight. */
function settledDown(condition: Condition): Condition {
  return condition.state === 'suspect' ? { ...condition, state: 'up' } : condition;
}

function savedIn(path: string, text: string): SavedDestination[] {
  const broken = new Failure(`${path} is not what l4lbd saved`, {
    cause: 'another program wrote it, or the disk lost a part of it',
    next: `rm ${path}, which forgets what was drained by hand`,
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw broken;
    throw error;
  }
  const { version, destinations } = (value ?? {}) as Partial<SavedFile>;
  if (version !== 1 || !Array.isArray(destinations)) throw broken;
  if (!destinations.every(isSaved)) throw broken;
  return destinations;
}

function isSaved(value: unknown): value is SavedDestination {
  const one = (value ?? {}) as Partial<Record<keyof SavedDestination, unknown>>;
  const isText = (...texts: unknown[]): boolean =>
    texts.every((text) => typeof text === 'string');
  const isAge = (age: unknown): boolean => typeof age === 'number' && age >= 0;
  const { weight_by_hand: weight, downs } = one;
  return (
    isText(one.service, one.destination, one.state, one.reason) &&
    isAge(one.age) &&
    Array.isArray(downs) &&
    downs.every(isAge) &&
    (weight === undefined ||
      (Number.isInteger(weight) && isAge(weight) && (weight as number) <= MAX_WEIGHT))
  );
}

export function formatSaved(
  services: readonly { name: string; destinations: readonly NamedState[] }[],
  now: number,
): string {
  const destinations = services.flatMap(({ name: service, destinations: all }) =>
    all.map(({ name, condition, byHand, weightByHand }): SavedDestination => {
      const { state, since, downs, reason } = condition;
      return {
        ...{ service, destination: name, state, age: age(now, since) },
        ...{ downs: downs.map((at) => age(now, at)), reason },
        ...(byHand && { by_hand: byHand }),
        ...(weightByHand !== undefined && { weight_by_hand: weightByHand }),
      };
    }),
  );
  return `${JSON.stringify({ version: 1, destinations } satisfies SavedFile)}\n`;
}

export interface NamedState extends Known {
  name: string;
}

function age(now: number, at: number): number {
  return Math.max(0, Math.round(now - at));
}

/** Throws a Failure where it cannot be written, so that nobody relies on it. */
export function writeSaved(path: string, text: string): void {
  const next = `${path}.new`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    // Whatever is there, such as a link or what a killed one left, is not written to.
    rmSync(next, { force: true, recursive: true });
    writeFileSync(next, text, { mode: 0o600, flush: true, flag: 'wx' });
    renameSync(next, path);
  } catch (error) {
    throw new Failure(`cannot save to ${path}`, {
      cause: fileFault(error),
      next: `look at: ls -ld ${dirname(path)}; df ${dirname(path)}`,
    });
  }
}
