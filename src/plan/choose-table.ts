// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Chooses the table that a service gets, and gives the live one in the same terms. */
import { CELL_MINIMAL_TABLE } from '../abi/cell.js';
import { formatEndpoint } from '../wire/endpoint.js';
import type { State } from './state.js';
import { isHot } from './hot-slots.js';
import type { LiveTable } from './minimal.js';
import { EMPTY, GONE, minimalTable } from './minimal.js';
import type { Service } from './services.js';
import type { TableDestination } from './slot-counts.js';
import { consistentTable } from './consistent.js';

/** For each slot the index of its destination, or -1. */
export function chooseTable(
  live: State,
  service: Service,
  destinations: readonly TableDestination[],
): Int32Array {
  const consistent = consistentTable(destinations, 1 << service.log2Slots);
  if ((service.flags & CELL_MINIMAL_TABLE) === 0) return consistent;
  return minimalTable(destinations, liveTable(live, service, destinations), consistent);
}

/** Finds destinations by address, since an id can come back with another. */
export function liveTable(
  live: State,
  { firstSlot, log2Slots }: Pick<Service, 'firstSlot' | 'log2Slots'>,
  destinations: readonly TableDestination[],
): LiveTable {
  const indices = new Map(destinations.map((one, index) => [formatEndpoint(one), index]));
  const byId = new Map(
    [...live.destinations].map(([id, entry]) => [
      id,
      indices.get(formatEndpoint(entry)) ?? GONE,
    ]),
  );
  const indexOf = (id: number): number => (id === 0 ? EMPTY : (byId.get(id) ?? GONE));
  const slots = 1 << log2Slots;
  const current = new Int32Array(slots).fill(EMPTY);
  const previous = new Int32Array(slots).fill(EMPTY);
  const hot = new Uint8Array(slots);
  for (let number = 0; number < slots; number++) {
    const slot = live.slots.get(firstSlot + number);
    if (!slot) continue;
    current[number] = indexOf(slot.current);
    previous[number] = indexOf(slot.previous);
    hot[number] = isHot(slot) ? 1 : 0;
  }
  return { current, previous, hot };
}
