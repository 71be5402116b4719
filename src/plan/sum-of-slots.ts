// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A short text that is the same on two balancers if the slots of a service lead to the same
 * destinations and remember the same. Ids differ from one balancer to the next, and so do
 * times, so neither is in it.
 */
import { createHash } from 'node:crypto';

import type { Slot } from '../abi/slot.js';
import { EMPTY_SLOT } from '../abi/slot.js';
import type { Endpoint } from '../wire/endpoint.js';
import { formatEndpoint } from '../wire/endpoint.js';
import type { Service } from './services.js';
import type { Tables } from './state.js';

const DIGITS = 16;

/** Of the tables as they are. The seed is part of it: it says who comes to which slot. */
export function sumOfSlots(
  { slots, destinations, device }: Pick<Tables, 'slots' | 'destinations' | 'device'>,
  { firstSlot, log2Slots }: Pick<Service, 'firstSlot' | 'log2Slots'>,
): string {
  const own = Array.from(
    { length: 1 << log2Slots },
    (_, number) => slots.get(firstSlot + number) ?? EMPTY_SLOT,
  );
  return sum(own, device.slotSeed, (id) => destinations.get(id));
}

/** Of what a history gives, for the same seed; see foldHistory(). */
export function sumOfFolded(
  slots: readonly Slot[],
  newest: readonly Endpoint[],
  slotSeed: number,
): string {
  return sum(slots, slotSeed, (number) => newest[number - 1]);
}

function sum(
  slots: readonly Slot[],
  slotSeed: number,
  endpointOf: (id: number) => Endpoint | undefined,
): string {
  const names = new Map<number, string>();
  const nameOf = (id: number): string => {
    const known = names.get(id);
    if (known !== undefined) return known;
    const endpoint = endpointOf(id);
    const name = endpoint ? formatEndpoint(endpoint) : '-';
    names.set(id, name);
    return name;
  };
  const lines = slots.map(({ current, previous, second = 0 }) =>
    // Most slots are cold.
    previous === 0
      ? nameOf(current)
      : `${nameOf(current)} ${nameOf(previous)} ${nameOf(second)}`,
  );
  return createHash('sha256')
    .update(`${slotSeed}\n${lines.join('\n')}\n`)
    .digest('hex')
    .slice(0, DIGITS);
}
