// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The sets of a document as plans know them. */
import type { WantedService } from '../../config/read.js';
import { wholeWeights } from '../../health/weights.js';
import { consistentTable } from '../../plan/consistent.js';
import type { DestinationSet, FoldOptions } from '../../plan/history.js';
import { EMPTY, GONE, idealMoves } from '../../plan/minimal.js';
import { at } from '../../text/must.js';
import { parseEndpoint } from '../../wire/endpoint.js';
import type { Names } from '../../wire/names.js';
import type { NamedSet } from './document.js';

/** Of a service whose file leaves it open: builds differ in what they would take. */
export const USUAL_SLOTS = 65_536;

export function destinationSet(set: NamedSet): DestinationSet {
  const weights = wholeWeights([...set.values()]);
  return [...set.keys()].map((name, index) => {
    const { weight, isForgotten } = at(weights, index);
    return { ...parseEndpoint(name), weight, isForgotten };
  });
}

/** How many slots move from one set to another, and how few could have. */
export function movesBetween(
  before: NamedSet | undefined,
  after: NamedSet,
  { log2Slots }: FoldOptions,
): [moved: number, ideal: number] {
  const slots = 1 << log2Slots;
  if (!before) return [slots, slots];
  const next = destinationSet(after);
  const places = new Map([...after.keys()].map((name, index) => [name, index]));
  const names = [...before.keys()];
  const was = consistentTable(destinationSet(before), slots).map((index) =>
    index === EMPTY ? EMPTY : (places.get(at(names, index)) ?? GONE),
  );
  const is = consistentTable(next, slots);
  const moved = is.filter((index, slot) => index !== was[slot]).length;
  return [moved, Math.min(moved, idealMoves(next, was))];
}

export function foldOptions(service: WantedService, names: Names): FoldOptions {
  return {
    log2Slots: Math.log2(service.slots ?? USUAL_SLOTS),
    // The table is consistent, or the fleet would refuse it.
    flags: 0,
    remember: service.remember ?? 'balancer',
    names,
  };
}
