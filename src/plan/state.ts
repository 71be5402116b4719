// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What the maps hold, as one value, and what they hold after some writes. */
import type { AnswerFrom } from '../abi/answer.js';
import type { Counter } from '../abi/counter.js';
import type { Destination } from '../abi/destination.js';
import type { Exit } from '../abi/exit.js';
import type { Cell } from '../abi/cell.js';
import type { Device } from '../abi/device.js';
import type { Pool } from '../abi/pool.js';
import type { Endpoint } from '../wire/endpoint.js';
import { formatEndpoint } from '../wire/endpoint.js';
import type { Slots } from './slots.js';
import { SlotTable } from './slots.js';

/** What the tables hold. Missing entries are zero. */
export interface Tables {
  /** Only a build that records flows has sets. */
  sizes: {
    slots: number;
    destinations: number;
    cells: number;
    sets?: number;
    /** Whether packets can leave by another device. */
    canLeave?: boolean;
    /** Whether packets can be rewritten. */
    canRewrite?: boolean;
    /** Blocks of ports, in a build that has full-nat. */
    blocks?: number;
  };
  device: Device;
  cells: ReadonlyMap<number, Cell>;
  destinations: ReadonlyMap<number, Destination>;
  /** By number; undefined where packets cannot leave by another device. */
  exits?: ReadonlyMap<number, Exit> | undefined;
  /** Those of the exits whose device the program no longer has; it may be back by now. */
  lostExits?: ReadonlySet<number>;
  /** By the hex digits of their keys; undefined where packets cannot be rewritten. */
  answers?: ReadonlyMap<string, AnswerFrom> | undefined;
  /** By place; undefined where the program has no full-nat. */
  pools?: readonly (Pool | undefined)[] | undefined;
  /** The slots of the service that is planned for. */
  slots: Slots;
}

/** What the maps hold, as far as a plan needs it: what was counted moves with the ids. */
export interface State extends Tables {
  counters: ReadonlyMap<number, Counter>;
  /**
   * What destinations have sent back, as far as they could; undefined where the program
   * does not count it.
   */
  returned?: ReadonlyMap<number, Counter> | undefined;
}

/** The value that one write puts into each map. */
interface Values {
  counters: Counter;
  returned: Counter;
  destinations: Destination;
  exits: Exit;
  /** By the index of the device that an exit leads to; undefined removes it. */
  exit_numbers: number | undefined;
  /** Seconds by the clock that the program reads. The program writes them too. */
  kept: number;
  /** Undefined is an empty cell. */
  services: Cell | undefined;
  device: Device;
  /** The one entry of that map. Undefined is a place that has no pool any more. */
  pools: readonly (Pool | undefined)[];
}
export type Write =
  | { [Map in keyof Values]: { map: Map; key: number; value: Values[Map] } }[keyof Values]
  /** As they are from now on; written one after the other, by their numbers. */
  | { map: 'slots'; slots: SlotTable }
  /** The key in hex digits; undefined removes it. */
  | { map: 'answers'; key: string; value: AnswerFrom | undefined };

/** The state after some writes, as a tool leaves it that is killed there. */
export function applyWrites(live: State, writes: readonly Write[]): State {
  const cells = new Map(live.cells);
  const destinations = new Map(live.destinations);
  const exits = new Map(live.exits);
  const answers = new Map(live.answers);
  const counters = new Map(live.counters);
  const returned = new Map(live.returned);
  let { device, pools, slots } = live;
  for (const write of writes) {
    if (write.map === 'counters') counters.set(write.key, write.value);
    else if (write.map === 'returned') returned.set(write.key, write.value);
    else if (write.map === 'destinations') destinations.set(write.key, write.value);
    else if (write.map === 'slots') slots = new SlotTable([slots, write.slots]);
    else if (write.map === 'device') device = write.value;
    else if (write.map === 'pools') pools = write.value;
    else if (write.map === 'kept' || write.map === 'exit_numbers') continue;
    else if (write.map === 'exits') exits.set(write.key, write.value);
    else if (write.map === 'answers') {
      if (write.value) answers.set(write.key, write.value);
      else answers.delete(write.key);
    } else if (write.value) cells.set(write.key, write.value);
    else cells.delete(write.key);
  }
  return {
    ...live,
    device,
    cells,
    destinations,
    ...(live.exits && { exits }),
    ...(live.answers && { answers }),
    ...(live.pools && { pools }),
    counters,
    ...(live.returned && { returned }),
    slots,
  };
}

export function ownedBy(state: Tables, service: number): Map<number, Destination> {
  return new Map(
    [...state.destinations].filter(([, entry]) => entry.service === service),
  );
}

/** The slots of one service, out of those of all. */
export function slotsIn(
  { slots }: Tables,
  { firstSlot, log2Slots }: { firstSlot: number; log2Slots: number },
): Slots {
  const own = new SlotTable();
  for (let key = firstSlot; key < firstSlot + (1 << log2Slots); key++) {
    const slot = slots.get(key);
    if (slot) own.set(key, slot);
  }
  return own;
}

/** The free ids. Id 0 means none, and is never free. */
export function freeIds(state: State): number[] {
  const ids: number[] = [];
  for (let id = 1; id <= state.sizes.destinations; id++) {
    if ((state.destinations.get(id)?.service ?? 0) === 0) ids.push(id);
  }
  return ids;
}

export function byName<T extends Endpoint>(entries: readonly T[]): Map<string, T> {
  return new Map(entries.map((entry) => [formatEndpoint(entry), entry]));
}
