// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Which previous destinations the packets of a hot slot name: see datapath/names.h. */
import type { Slot } from '../abi/slot.js';
import type { Names } from '../wire/names.js';
import { bitsOfNames, numberOf } from '../wire/names.js';
import { familyOf } from '../wire/outer-source.js';

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
  const taken = new Set([0, numberOf(prefix, to)]);
  const number = (id: number): number => {
    const address = addressOf(id);
    if (!address || familyOf(address) !== familyOf(to)) return 0;
    const own = numberOf(prefix, address);
    if (taken.has(own)) return 0;
    taken.add(own);
    return own;
  };
  return bitsOfNames(prefix, number(previous), number(second));
}
