// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What the slots of a service hold after a history of sets of destinations.
 *
 * A fill moves slots from what they are, so what they remember depends on all fills before
 * it, and on when slots went cold in between. Balancers of a fleet must agree in that too.
 * So they get the same short history: the first set fills cold slots, and each later one
 * moves them. The outcome depends on nothing else, wherever and whenever it is worked out.
 * A history that is shorter by its oldest set is one whose slots have settled.
 */
import { CELL_MINIMAL_TABLE } from '../abi/cell.js';
import type { Remember } from '../abi/cell.js';
import { EMPTY_SLOT } from '../abi/slot.js';
import type { Slot } from '../abi/slot.js';
import { at } from '../text/must.js';
import { formatEndpoint } from '../wire/endpoint.js';
import type { Names } from '../wire/names.js';
import { consistentTable } from './consistent.js';
import { isHot, moveSlot, noteDrained } from './hot-slots.js';
import type { WeightOf } from './hot-slots.js';
import type { LiveTable } from './minimal.js';
import { EMPTY, GONE, minimalTable } from './minimal.js';
import { moveNaming, namesOfSlot } from './names.js';
import type { TableDestination } from './slot-counts.js';

/** A destination of a set; one that is forgotten has weight 0, and no slot remembers it. */
export interface SetDestination extends TableDestination {
  isForgotten?: boolean | undefined;
}

export type DestinationSet = readonly SetDestination[];

export interface FoldOptions {
  log2Slots: number;
  /** Of the service's cells. */
  flags: number;
  /** Undefined where slots remember nothing. */
  remember: Remember | undefined;
  names: Names;
}

/** By the clock of a fold all sets came at once: what times are kept is each balancer's own. */
const ONCE = 1;

/**
 * The slots after these sets, the oldest first. Instead of an id a slot has the place of its
 * destination in the newest set, counted from 1.
 */
export function foldHistory(
  sets: readonly DestinationSet[],
  { log2Slots, flags, remember, names }: FoldOptions,
): Slot[] {
  const slots = 1 << log2Slots;
  const numbers = numberOfEach(sets);
  const addresses = [...numbers.values()].map(({ address }) => address);
  const namesOf = (slot: Slot): number =>
    namesOfSlot(names, (number) => addresses[number - 1], slot);
  const move = (slot: Slot, to: number, weightOf: WeightOf): Slot =>
    remember === 'destinations'
      ? moveNaming(slot, to, weightOf, ONCE, namesOf)
      : moveSlot(slot, to, weightOf, remember && ONCE);
  const numberOf = new Map([...numbers.keys()].map((name, index) => [name, index + 1]));
  let folded = Array.from({ length: slots }, () => EMPTY_SLOT);
  for (const set of sets) {
    const own = set.map((one) => numberOf.get(formatEndpoint(one)) ?? 0);
    const weights = new Map(
      set.flatMap(({ weight, isForgotten }, index) =>
        isForgotten ? [] : [[at(own, index), weight] as const],
      ),
    );
    const weightOf: WeightOf = (number) => weights.get(number);
    const consistent = consistentTable(set, slots);
    const table =
      flags & CELL_MINIMAL_TABLE
        ? minimalTable(set, asLive(folded, own), consistent)
        : consistent;
    folded = folded.map((slot, key) => {
      const index = at(table, key);
      return move(slot, index === -1 ? 0 : at(own, index), weightOf);
    });
  }
  return folded.map(withoutDrained);
}

/** When a destination was drained is each balancer's own, too. */
function withoutDrained({ current, previous, since, second, names }: Slot): Slot {
  return {
    ...{ current, previous, since },
    ...(second !== undefined && { second }),
    ...(names !== undefined && { names }),
  };
}

/** The newest set's destinations in their order, and then all that are older. */
function numberOfEach(sets: readonly DestinationSet[]): Map<string, SetDestination> {
  return new Map(
    [...sets]
      .reverse()
      .flatMap((set) => set.map((one) => [formatEndpoint(one), one] as const)),
  );
}

function asLive(slots: readonly Slot[], own: readonly number[]): LiveTable {
  const places = new Map(own.map((number, index) => [number, index]));
  const placeOf = (number: number): number =>
    number === 0 ? EMPTY : (places.get(number) ?? GONE);
  return {
    current: Int32Array.from(slots, ({ current }) => placeOf(current)),
    previous: Int32Array.from(slots, ({ previous }) => placeOf(previous)),
    hot: Uint8Array.from(slots, (slot) => (isHot(slot) ? 1 : 0)),
  };
}

/**
 * A slot that holds what the history says, with the times of the one that is live: what it
 * remembers already it goes on remembering since then.
 */
export function agree(
  live: Slot,
  agreed: Slot,
  remember: Remember,
  weightOf: WeightOf,
  now: number,
): Slot {
  if (agreed.previous === 0) return agreed;
  // Records count from when the slot became hot, however often it has moved since then.
  const isOlder =
    isHot(live) && (remember === 'balancer' || live.current === agreed.current);
  const since = isOlder ? live.since : now;
  const { drained } = live.previous === agreed.previous ? live : {};
  const slot = { ...agreed, since, ...(drained !== undefined && { drained }) };
  return noteDrained(live, slot, weightOf, now);
}
