// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Plans the writes that remove a service.
 *
 * Its ways go first, so that no packet comes to it any more and each goes where it would
 * without this service. Then go its slots, then the ids of its destinations. The device's
 * entry comes last, since it tells watchers that everything is written.
 */
import { answersIn, planAnswers } from './answers.js';
import { isWay, placeCells, reachable, withNotes } from './cells.js';
import { encodeCell } from '../abi/cell.js';
import type { Cell } from '../abi/cell.js';
import { DEVICE_ANSWERS, DEVICE_POOLS, afterWriting } from '../abi/device.js';
import { planPools } from './pools.js';
import type { State, Write } from './state.js';
import { ownedBy } from './state.js';
import type { Service } from './services.js';
import { EMPTY_SLOT } from '../abi/slot.js';
import { SlotTable } from './slots.js';

/** A service to remove. If a killed tool left it, it may have no slots any more. */
export interface GoneService extends Pick<Service, 'id' | 'ways'> {
  range: Pick<Service, 'firstSlot' | 'log2Slots'> | undefined;
}

export function planRemoval(state: State, { id, range }: GoneService): Write[] {
  const stay = [...reachable(state).values()].filter(
    (cell) => isWay(cell) && cell.service !== id,
  );
  const { device, cells, sizes } = state;
  const placement = placeCells(withNotes(stay), cells, device.cellSeed, sizes.cells);
  const writes: Write[] = [];
  for (const [key, value] of placement.cells) {
    const there = cells.get(key);
    if (!there || !sameCell(there, value)) writes.push({ map: 'services', key, value });
  }
  // They can need another seed only if a killed tool left too few notes.
  const seeded = { ...device, cellSeed: placement.seed };
  if (placement.seed !== device.cellSeed) {
    writes.push({ map: 'device', key: 0, value: seeded });
  }
  for (const key of cells.keys()) {
    if (!placement.cells.has(key))
      writes.push({ map: 'services', key, value: undefined });
  }
  const emptied = new SlotTable();
  state.slots.forEach((slot, key) => {
    const isOwn =
      range !== undefined &&
      key >= range.firstSlot &&
      key < range.firstSlot + (1 << range.log2Slots);
    if (isOwn && (slot.current !== 0 || slot.previous !== 0)) {
      emptied.set(key, EMPTY_SLOT);
    }
  });
  if (emptied.size > 0) writes.push({ map: 'slots', slots: emptied });
  for (const [key, entry] of ownedBy(state, id)) {
    // The address stays: a packet on its way may still read the entry.
    writes.push({ map: 'destinations', key, value: { ...entry, service: 0 } });
  }
  const others = new Map(
    [...state.destinations].filter(([, { service }]) => service !== id),
  );
  const answers = answersIn(placement.cells, others);
  const pools = planPools(state, others.values());
  const gone = [...planAnswers(state, answers).gone, ...pools.gone];
  if (writes.length + gone.length === 0) return [];
  const generation = afterWriting(device.generation);
  const over =
    (answers.size > 0 ? 0 : DEVICE_ANSWERS) | (pools.areThere ? 0 : DEVICE_POOLS);
  const flags = seeded.flags & ~over;
  return [
    ...writes,
    { map: 'device', key: 0, value: { ...seeded, flags, generation } },
    ...gone,
  ];
}

function sameCell(one: Cell, other: Cell): boolean {
  return encodeCell(one).equals(encodeCell(other));
}
