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

/** The consistent table of each set: work that several folds can share. */
export function tablesOf(
  sets: readonly DestinationSet[],
  { log2Slots }: Pick<FoldOptions, 'log2Slots'>,
): Int32Array[] {
  return sets.map((set) => consistentTable(set, 1 << log2Slots));
}

/**
 * The slots after these sets, the oldest first. Instead of an id a slot has the place of its
 * destination in the newest set, counted from 1.
 */
export function foldHistory(
  sets: readonly DestinationSet[],
  options: FoldOptions,
  tables: readonly Int32Array[] = tablesOf(sets, options),
): Slot[] {
  const numbers = numberOfEach(sets);
  const numberOf = new Map([...numbers.keys()].map((name, index) => [name, index + 1]));
  const steps = sets.map((set, index): Step => {
    const own = set.map((one) => numberOf.get(formatEndpoint(one)) ?? 0);
    const weights = new Map(
      set.flatMap(({ weight, isForgotten }, place) =>
        isForgotten ? [] : [[at(own, place), weight] as const],
      ),
    );
    return {
      set,
      own,
      table: at(tables, index),
      weightOf: (number) => weights.get(number),
    };
  });
  const addresses = [...numbers.values()].map(({ address }) => address);
  const move = moverFor(addresses, options);
  const folded =
    options.flags & CELL_MINIMAL_TABLE
      ? foldMinimal(steps, move, 1 << options.log2Slots)
      : foldConsistent(steps, move, 1 << options.log2Slots);
  return folded.map(withoutDrained);
}

/** A set, with the numbers that its destinations have in all sets together. */
interface Step {
  set: DestinationSet;
  own: readonly number[];
  table: Int32Array;
  weightOf: WeightOf;
}

type Move = (slot: Slot, to: number, weightOf: WeightOf) => Slot;

function moverFor(
  addresses: readonly Buffer[],
  { remember, names }: Pick<FoldOptions, 'remember' | 'names'>,
): Move {
  const namesOf = (slot: Slot): number =>
    namesOfSlot(names, (number) => addresses[number - 1], slot);
  return (slot, to, weightOf) =>
    remember === 'destinations'
      ? moveNaming(slot, to, weightOf, ONCE, namesOf)
      : moveSlot(slot, to, weightOf, remember && ONCE);
}

const leadsTo = ({ own, table }: Step, slot: number): number => {
  const index = at(table, slot);
  return index === -1 ? 0 : at(own, index);
};

function foldConsistent(steps: readonly Step[], move: Move, slots: number): Slot[] {
  return Array.from({ length: slots }, (_, key) => {
    const [first, ...others] = steps.map((step) => leadsTo(step, key));
    // Nearly all slots lead to the same destination in all sets, and have nothing to remember.
    if (first !== undefined && others.every((to) => to === first))
      return { current: first, previous: 0, since: 0 };
    return steps.reduce(
      (slot, step) => move(slot, leadsTo(step, key), step.weightOf),
      EMPTY_SLOT,
    );
  });
}

/** Each table depends on the slots before it. */
function foldMinimal(steps: readonly Step[], move: Move, slots: number): Slot[] {
  let folded = Array.from({ length: slots }, () => EMPTY_SLOT);
  for (const step of steps) {
    const live = asLive(folded, step.own);
    const minimal = { ...step, table: minimalTable(step.set, live, step.table) };
    folded = folded.map((slot, key) => move(slot, leadsTo(minimal, key), step.weightOf));
  }
  return folded;
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
