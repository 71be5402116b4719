// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * From what the maps hold and what is wanted to the writes that lead from one
 * to the other. Pure: it reads no clock and starts no process.
 *
 * The order of the writes is what makes a killed tool harmless. After any of
 * them each slot points to its old or to its new destination, and that
 * destination's entry is whole:
 *
 *   1. counters of ids that get a new owner: what they counted moves to id 0
 *   2. entries of destinations that are new or changed
 *   3. slots
 *   4. new ways into the service, then the device's entry with their seed
 *   5. ways that are no more, and the ids of destinations that are no more
 */
import type { Cell, Counter, Destination, Device, Slot } from './abi.js';
import {
  ABI,
  CELL_KEEPS_SSH,
  CELL_USED,
  encodeCell,
  encodeDestination,
  encodeDevice,
} from './abi.js';
import { formatAddress } from './address.js';
import { Failure } from './failure.js';
import { SLOT_SEED } from './hash.js';
import { headerSum, largestInner } from './header-sum.js';
import type { Service } from './services.js';
import { table } from './table.js';
import type { Placement } from './ways.js';
import { formatWay, isWay, placeCells, reachable, wayKey, withNotes } from './ways.js';

/** What the maps hold, as far as a plan needs it. Missing entries are zero. */
export interface Live {
  sizes: { slots: number; destinations: number; cells: number };
  device: Device;
  cells: ReadonlyMap<number, Cell>;
  destinations: ReadonlyMap<number, Destination>;
  counters: ReadonlyMap<number, Counter>;
  /** Those of the service that is planned for. */
  slots: ReadonlyMap<number, Slot>;
}

export interface WantedDestination {
  address: Buffer;
  mac: Buffer;
  weight: number;
}

export interface Wanted {
  service: Service;
  isNew: boolean;
  destinations: readonly WantedDestination[];
  /** Of the outer header. */
  source: Buffer;
  /** Undefined: as it is; a new service leaves ssh to the host. */
  takeSsh: boolean | undefined;
  /** Of the ssh session that runs the tool, 0 for none. */
  sessionPort: number;
  /** The device's own. */
  mac: Buffer;
  mtu: number;
}

/** What one write puts into a map. */
interface Values {
  counters: Counter;
  destinations: Destination;
  slots: Slot;
  /** None: an empty cell. */
  services: Cell | undefined;
  device: Device;
}
export type Write = {
  [Map in keyof Values]: { map: Map; key: number; value: Values[Map] };
}[keyof Values];

export interface Plan {
  writes: Write[];
  isNew: boolean;
  /** All ways into the service, as text. */
  ways: string[];
  /** How many destinations are used, of how many wanted. */
  used: number;
  wanted: number;
  added: string[];
  removed: string[];
  changed: string[];
  slots: number;
  slotsMoved: number;
  /** No destination has a weight, so no slot has a destination. */
  isEmpty: boolean;
}

/**
 * A freed id is never given out by the step that freed it, so where free ids
 * run short several steps lead to the goal. Each could stand alone; all of them
 * run as one batch.
 */
export function plan(live: Live, wanted: Wanted): Plan {
  const { service } = wanted;
  const slots = 1 << service.log2Slots;
  const before = ownedBy(live, service.id);
  const limit = Math.min(slots, before.size + freeIds(live).length);
  const target = wanted.destinations.slice(0, limit);

  const writes: Write[] = [];
  let state = live;
  for (let done = false; !done;) {
    const destinations = nextStep(state, service, target);
    const step = planStep(state, wanted, destinations);
    state = applyWrites(state, step);
    writes.push(...step);
    done = destinations === target;
  }

  const old = byAddress([...before.values()]);
  const after = byAddress(target);
  return {
    writes,
    isNew: wanted.isNew,
    ways: service.ways.map(formatWay).sort(),
    used: target.length,
    wanted: wanted.destinations.length,
    added: [...after.keys()].filter((address) => !old.has(address)),
    removed: [...old.keys()].filter((address) => !after.has(address)),
    changed: [...after].flatMap(([address, { mac, weight }]) => {
      const was = old.get(address);
      return was && (!was.mac.equals(mac) || was.weight !== weight) ? [address] : [];
    }),
    slots,
    slotsMoved: [...state.slots.keys()].filter(
      (key) => addressIn(state, key) !== addressIn(live, key),
    ).length,
    isEmpty: target.every(({ weight }) => weight === 0),
  };
}

/** An id can come back with another address, so the address is what counts. */
function addressIn(state: Live, slot: number): string | undefined {
  const id = state.slots.get(slot)?.current ?? 0;
  const entry = id === 0 ? undefined : state.destinations.get(id);
  return entry && formatAddress(entry.address);
}

/** The state after some writes, as a tool that was killed there leaves it. */
export function applyWrites(live: Live, writes: readonly Write[]): Live {
  const cells = new Map(live.cells);
  const destinations = new Map(live.destinations);
  const counters = new Map(live.counters);
  const slots = new Map(live.slots);
  let device = live.device;
  for (const write of writes) {
    if (write.map === 'counters') counters.set(write.key, write.value);
    else if (write.map === 'destinations') destinations.set(write.key, write.value);
    else if (write.map === 'slots') slots.set(write.key, write.value);
    else if (write.map === 'device') device = write.value;
    else if (write.value) cells.set(write.key, write.value);
    else cells.delete(write.key);
  }
  return { ...live, device, cells, destinations, counters, slots };
}

/**
 * The destinations to go to first, so that there are ids for all in the end.
 * Some of them must have a weight, or the table would be empty on the way.
 */
function nextStep(
  state: Live,
  service: Service,
  target: readonly WantedDestination[],
): readonly WantedDestination[] {
  const owned = [...ownedBy(state, service.id).values()];
  const there = byAddress(owned);
  const after = byAddress(target);
  const isThere = ({ address }: WantedDestination): boolean =>
    there.has(formatAddress(address));
  const missing = target.filter((destination) => !isThere(destination));
  const free = freeIds(state).length;
  if (missing.length <= free) return target;

  const kept = target.filter(isThere);
  const step = [...kept, ...byWeight(missing).slice(0, free)];
  if (step.some(({ weight }) => weight > 0)) return step;
  // Every id is taken, and what has a weight has to go: half of that stays for now.
  const leaving = byWeight(
    owned.filter(({ address }) => !after.has(formatAddress(address))),
  );
  if (leaving.length > 1) return [...kept, ...leaving.slice(0, leaving.length >> 1)];
  throw new Failure('there is no id for a new destination', {
    cause: 'the destinations of other services take nearly all of them',
    next: 'take destinations out of another service first',
  });
}

function byWeight<T extends { weight: number }>(destinations: readonly T[]): T[] {
  return [...destinations].sort((a, b) => b.weight - a.weight);
}

/** The writes from one state to a service with just these destinations. */
function planStep(
  state: Live,
  wanted: Wanted,
  destinations: readonly WantedDestination[],
): Write[] {
  const { service } = wanted;
  const ids = giveIds(state, service, destinations);
  const placement = place(state, wanted);
  const device = deviceFor(state, wanted, placement.seed);
  const before = [
    ...planCounters(state, ids),
    ...planDestinations(state, wanted, destinations, ids),
    ...planSlots(state, service, destinations, ids),
    ...planNewCells(state, placement),
  ];
  const after = [
    ...planGoneCells(state, placement),
    ...planGoneDestinations(state, service, ids),
  ];
  if (before.length + after.length === 0 && sameDevice(device, state.device)) return [];
  const generation = (state.device.generation + 1) >>> 0;
  return [
    ...before,
    { map: 'device', key: 0, value: { ...device, generation } },
    ...after,
  ];
}

/** An id for each destination: the one it has, or the lowest that is free. */
function giveIds(
  state: Live,
  service: Service,
  destinations: readonly WantedDestination[],
): number[] {
  const have = new Map(
    [...ownedBy(state, service.id)].map(([id, { address }]) => [
      formatAddress(address),
      id,
    ]),
  );
  const free = freeIds(state);
  return destinations.map(({ address }) => {
    const id = have.get(formatAddress(address)) ?? free.shift();
    if (id === undefined)
      throw new Error('nextStep() promised an id for each destination');
    return id;
  });
}

function planCounters(state: Live, ids: readonly number[]): Write[] {
  const isNew = (id: number): boolean => (state.destinations.get(id)?.service ?? 0) === 0;
  const retired = ids.filter(isNew).flatMap((id) => {
    const counter = state.counters.get(id);
    return counter && counter.packets > 0n ? [{ id, counter }] : [];
  });
  if (retired.length === 0) return [];
  let { packets, bytes } = state.counters.get(0) ?? { packets: 0n, bytes: 0n };
  for (const { counter } of retired) {
    packets += counter.packets;
    bytes += counter.bytes;
  }
  return [
    { map: 'counters', key: 0, value: { packets, bytes } },
    ...retired.map(({ id }) => ({
      map: 'counters' as const,
      key: id,
      value: { packets: 0n, bytes: 0n },
    })),
  ];
}

function planDestinations(
  state: Live,
  wanted: Wanted,
  destinations: readonly WantedDestination[],
  ids: readonly number[],
): Write[] {
  return destinations.flatMap(({ address, mac, weight }, index) => {
    const key = ids[index] ?? 0;
    const value: Destination = {
      address,
      mac,
      weight,
      service: wanted.service.id,
      source: wanted.source,
      headerSum: headerSum(wanted.source, address),
      largestInner: largestInner(wanted.mtu),
    };
    const there = state.destinations.get(key);
    return there && sameDestination(there, value)
      ? []
      : [{ map: 'destinations', key, value }];
  });
}

function planSlots(
  state: Live,
  service: Service,
  destinations: readonly WantedDestination[],
  ids: readonly number[],
): Write[] {
  const writes: Write[] = [];
  table(destinations, 1 << service.log2Slots).forEach((index, slot) => {
    const key = service.firstSlot + slot;
    const current = index === -1 ? 0 : (ids[index] ?? 0);
    if (current === (state.slots.get(key)?.current ?? 0)) return;
    writes.push({ map: 'slots', key, value: { current, previous: 0, since: 0 } });
  });
  return writes;
}

/** The ways of all services and notes for fragments, each in a cell of its own. */
function place(state: Live, wanted: Wanted): Placement {
  const { service } = wanted;
  const live = [...reachable(state).values()].filter(isWay);
  const others = new Map(
    live
      .filter((cell) => cell.service !== service.id)
      .map((cell) => [wayKey(cell), cell]),
  );
  const kept =
    live.find((cell) => cell.service === service.id && cell.port === 0)?.flags ??
    CELL_KEEPS_SSH;
  const takes = wanted.takeSsh ?? (kept & CELL_KEEPS_SSH) === 0;
  const own = service.ways.map(({ address, port, protocol }) => ({
    address,
    port,
    protocol,
    firstSlot: service.firstSlot,
    service: service.id,
    log2Slots: service.log2Slots,
    flags: CELL_USED | (takes || port !== 0 ? 0 : CELL_KEEPS_SSH),
  }));
  const cells = withNotes([...others.values(), ...own]);
  return placeCells(cells, state.cells, state.device.cellSeed, state.sizes.cells);
}

function planNewCells(state: Live, { cells }: Placement): Write[] {
  return [...cells].flatMap(([key, value]) => {
    const there = state.cells.get(key);
    return there && sameCell(there, value) ? [] : [{ map: 'services', key, value }];
  });
}

function planGoneCells(state: Live, { cells }: Placement): Write[] {
  return [...state.cells.keys()]
    .filter((key) => !cells.has(key))
    .map((key) => ({ map: 'services', key, value: undefined }));
}

/** The address stays: a packet on its way may still read the entry. */
function planGoneDestinations(
  state: Live,
  service: Service,
  ids: readonly number[],
): Write[] {
  const stays = new Set(ids);
  return [...ownedBy(state, service.id)]
    .filter(([id]) => !stays.has(id))
    .map(([key, entry]) => ({
      map: 'destinations',
      key,
      value: { ...entry, service: 0 },
    }));
}

function deviceFor(state: Live, wanted: Wanted, cellSeed: number): Device {
  const filled = state.device.abi !== 0;
  return {
    abi: ABI,
    generation: state.device.generation,
    cellSeed,
    slotSeed: filled ? state.device.slotSeed : SLOT_SEED,
    mac: wanted.mac,
    // A run from a timer has no session; the last one's port stays kept.
    sessionPort: wanted.sessionPort === 0 ? state.device.sessionPort : wanted.sessionPort,
    mtu: wanted.mtu,
  };
}

function ownedBy(state: Live, service: number): Map<number, Destination> {
  return new Map(
    [...state.destinations].filter(([, entry]) => entry.service === service),
  );
}

/** Id 0 is none, and never free. */
function freeIds(state: Live): number[] {
  const ids: number[] = [];
  for (let id = 1; id <= state.sizes.destinations; id++) {
    if ((state.destinations.get(id)?.service ?? 0) === 0) ids.push(id);
  }
  return ids;
}

function byAddress<T extends { address: Buffer }>(entries: readonly T[]): Map<string, T> {
  return new Map(entries.map((entry) => [formatAddress(entry.address), entry]));
}

function sameDevice(one: Device, other: Device): boolean {
  return encodeDevice(one).equals(encodeDevice(other));
}
function sameCell(one: Cell, other: Cell): boolean {
  return encodeCell(one).equals(encodeCell(other));
}
function sameDestination(one: Destination, other: Destination): boolean {
  return encodeDestination(one).equals(encodeDestination(other));
}
