// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Which previous destinations the packets of a hot slot name: see datapath/names.h. */
import { NOBODY } from '../abi/slot.js';
import type { Slot } from '../abi/slot.js';
import type { Names } from '../wire/names.js';
import { bitsOfNames, numberOf } from '../wire/names.js';
import { familyOf } from '../wire/outer-source.js';
import type { WeightOf } from './hot-slots.js';
import { noteDrained } from './hot-slots.js';

const MOST_NAMES = 2;

/** The address of the destination with this id; undefined if there is none. */
export type AddressOf = (id: number) => Buffer | undefined;

/**
 * What the outer source holds behind its prefix: 0 if nobody can be named. Only
 * destinations of the current one's family can, whose numbers differ from each other.
 */
export function namesOfSlot(
  names: Names,
  addressOf: AddressOf,
  { current, previous, second = 0 }: Pick<Slot, 'current' | 'previous' | 'second'>,
): number {
  const to = addressOf(current);
  const prefix = to && names[familyOf(to)];
  if (!prefix) return 0;
  const number = (id: number): number => {
    const address = addressOf(id);
    return address && familyOf(address) === familyOf(to) ? numberOf(prefix, address) : 0;
  };
  const [first, last] = [number(previous), number(second)];
  // Its own number first would say nothing to the current destination.
  if (first === numberOf(prefix, to)) return 0;
  return bitsOfNames(prefix, first, last === first ? 0 : last);
}

/** The slot after it moved to a destination, where destinations decide. */
export function moveNaming(
  slot: Slot,
  to: number,
  weightOf: WeightOf,
  now: number,
  namesOf: (slot: Slot) => number,
): Slot {
  const before = to === slot.current ? [] : [slot.current];
  const all = [...new Set([...before, ...chainOf(slot)])].filter(
    (id) => weightOf(id) !== undefined,
  );
  // What a slot remembers is written before the slot. So a destination that it comes back
  // to is named too, in the end: until then its packets reach it by the other one.
  const chain = [...all.filter((id) => id !== to), ...all.filter((id) => id === to)];
  const since = to === slot.current ? slot.since : now;
  return noteDrained(slot, naming(to, chain, since, namesOf), weightOf, now);
}

/** The slot after it forgot its previous destination, but not the one before. */
export function forgetPrevious(slot: Slot, namesOf: (slot: Slot) => number): Slot {
  return naming(slot.current, chainOf(slot).slice(1), slot.since, namesOf);
}

/** The destinations that may have connections of this slot, besides the current one. */
export function chainOf({ previous, second = 0 }: Slot): number[] {
  return [previous, second].filter((id) => id !== 0 && id !== NOBODY);
}

/** Names the first two that can be named; a slot that can name nobody is cold. */
function naming(
  current: number,
  chain: readonly number[],
  since: number,
  namesOf: (slot: Slot) => number,
): Slot {
  const slotOf = ([previous = 0, second]: readonly number[]): Slot => ({
    current,
    previous,
    since,
    ...(second !== undefined && { second }),
  });
  let named: number[] = [];
  let names = 0;
  for (const id of current === 0 ? [] : chain) {
    const bits = namesOf(slotOf([...named, id]));
    if (bits === names) continue;
    named = [...named, id];
    names = bits;
    if (named.length === MOST_NAMES) break;
  }
  if (names === 0) return { current, previous: 0, since: 0 };
  return { ...slotOf(named), names };
}
