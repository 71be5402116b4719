// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * One step of a plan: the writes from one state of the maps to another.
 *
 * Their order is what makes a killed tool harmless. After any of them each slot
 * points to its old or to its new destination, and that destination's entry is
 * whole:
 *
 *   0. prefixes of names that are new
 *   1. counters of ids that get a new owner, those of answers too: what they counted moves
 *      to id 0, between two generations of the device's entry, so that no watcher counts
 *      it twice
 *   2. exits, entries of destinations that are new or changed, their answers and pools
 *   3. slots
 *   4. new ways into the service, entries of destinations that are forgotten, and the ids
 *      of those that are gone
 *   5. the device's entry: from here on the ways are found under its seed, and
 *      watchers read the rows anew
 *   6. ways that are gone
 */
import { answersIn, planAnswers } from './answers.js';
import { at } from '../text/must.js';
import { isWay, placeCells, reachable, withNotes } from './cells.js';
import type { Placement } from './cells.js';
import { planDestinations } from './entries.js';
import { exitNumbers, planExits } from './exits.js';
import type { Counter } from '../abi/counter.js';
import { ZERO, addCounters } from '../abi/counter.js';
import { blocksFor, planPools } from './pools.js';
import type { Exit } from '../abi/exit.js';
import { EMPTY_SLOT } from '../abi/slot.js';
import type { Slot } from '../abi/slot.js';
import { CELL_KEEPS_SSH, CELL_NAMES, CELL_USED, encodeCell } from '../abi/cell.js';
import type { Cell, Remember } from '../abi/cell.js';
import {
  DEVICE_ANSWERS,
  DEVICE_NO_ECHO,
  DEVICE_POOLS,
  DEVICE_XDP_ANSWERS,
  afterWriting,
  encodeDevice,
  whileMoving,
} from '../abi/device.js';
import type { Device } from '../abi/device.js';
import { ABI } from '../abi/maps.js';
import type { Endpoint } from '../wire/endpoint.js';
import { formatEndpoint } from '../wire/endpoint.js';
import type { WantedDevice } from './device.js';
import { slotSeedFor } from './device.js';
import type { Forward } from '../wire/forward.js';
import type { State, Write } from './state.js';
import { applyWrites, freeIds, ownedBy } from './state.js';
import { agree } from './history.js';
import type { DestinationSet } from './history.js';
import type { WeightOf } from './hot-slots.js';
import { isHot, isKeptByMove, moveSlot } from './hot-slots.js';
import { moveNaming, namesOfSlot } from './names.js';
import type { Service } from './services.js';
import { keepsSsh } from './services.js';
import { SlotTable } from './slots.js';
import type { Sources } from '../wire/outer-source.js';
import { versionOf, wayKey } from '../wire/way.js';

export interface WantedDestination extends Endpoint {
  mac: Buffer;
  weight: number;
  /** Whether MAC and exit were looked up; undefined: they were given. */
  isFound?: boolean | undefined;
  /** No packet goes there, not even of a connection that it has. Its weight is 0. */
  isForgotten?: boolean | undefined;
  /** The router that has this MAC, if it was looked up and is not the destination's own. */
  router?: string | undefined;
  /** The device that leads to it, if packets do not come in on that. */
  exit?: WantedExit | Exit | undefined;
}

/** An exit with the name of its device, for messages. */
export interface WantedExit extends Exit {
  name: string;
}

export interface Wanted extends WantedDevice {
  service: Service;
  isNew: boolean;
  destinations: readonly WantedDestination[];
  forward: Forward;
  /** Sources of the outer header, for each family that a destination has. */
  sources: Sources;
  /** Undefined: stays as it is; a new service leaves ssh to the host. */
  takeSsh?: boolean | undefined;
  /** The port of the ssh session that runs the tool, 0 for none. */
  sessionPort: number;
  /** The device's own MAC, MTU and index. */
  mac: Buffer;
  mtu: number;
  ifindex?: number | undefined;
  /** Whether ICMP echo is answered; undefined: stays as it is. */
  echo?: boolean | undefined;
  /** Seconds by the clock that the program reads. */
  now?: number | undefined;
  /** The sets that came before, the oldest first: slots then remember these, and nothing else. */
  history?: readonly DestinationSet[] | undefined;
  /** The state that a minimal table begins with, if not the live one. */
  from?: State;
}

/**
 * Where each slot leads: the index of its destination, or -1; then slots remember what they
 * were. Or all that each holds, as a history has it, with places of destinations for ids.
 */
export type TargetTable = { places: Int32Array } | { agreed: readonly Slot[] };

/** Plans the writes that give a service just these destinations. */
export function planStep(
  state: State,
  wanted: Wanted,
  destinations: readonly WantedDestination[],
  table: TargetTable,
): Write[] {
  const { service } = wanted;
  const ids = giveIds(state, service, destinations);
  const placement = place(state, wanted);
  const isSending = sendsAnswers(state, wanted);
  const numbers = exitNumbers(
    state,
    destinations,
    isSending ? ownExit(wanted) : undefined,
  );
  const blocks = blocksFor(state, wanted);
  const entries = planDestinations(state, wanted, destinations, ids, numbers, blocks);
  const goneEntries = planGoneDestinations(state, service, ids);
  const changes = [...entries, ...goneEntries];
  // A slot never leads to a destination that is forgotten.
  const forgotten = entries.filter(isForgetting);
  const later = applyWrites({ ...state, slots: new Map() }, changes).destinations;
  const answers = answersIn(placement.cells, later);
  const { added, gone } = planAnswers(state, answers);
  const pools = planPools(state, later.values());
  const found =
    (answers.size > 0 ? DEVICE_ANSWERS : 0) | (pools.areThere ? DEVICE_POOLS : 0);
  const answerFlags = found | (isSending ? DEVICE_XDP_ANSWERS : 0);
  const device = deviceFor(state, wanted, placement.seed, answerFlags);
  const ready = readyDevice(state, wanted, found);
  const before = [
    ...planReady(state, ready),
    ...planCounters(ready, ids),
    ...planExits(state, numbers),
    ...added,
    ...pools.added,
    ...entries.filter((write) => !isForgetting(write)),
    ...planSlots(state, wanted, destinations, table, ids),
    ...planNewCells(state, placement),
    ...forgotten,
    ...goneEntries,
  ];
  const after = [...planGoneCells(state, placement), ...gone, ...pools.gone];
  if (before.length + after.length === 0 && sameDevice(device, state.device)) return [];
  const last = before.findLast((write) => write.map === 'device') ?? {
    value: state.device,
  };
  const generation = afterWriting(last.value.generation);
  return [
    ...before,
    { map: 'device', key: 0, value: { ...device, generation } },
    ...after,
  ];
}

function isForgetting(write: Write): boolean {
  return write.map === 'destinations' && write.value.isForgotten;
}

export function withNames(state: State, { names }: Wanted): State {
  const { device } = state;
  return { ...state, device: { ...device, names: { ...device.names, ...names } } };
}

/** Whether XDP sends answers on; only a program that can rewrite gets any. */
function sendsAnswers({ device, answers: there }: State, { answers }: Wanted): boolean {
  if (!there) return false;
  return answers === undefined
    ? (device.flags & DEVICE_XDP_ANSWERS) !== 0
    : answers === 'xdp';
}

function ownExit({ ifindex, mac, mtu }: Wanted): Exit | undefined {
  return ifindex === undefined ? undefined : { ifindex, mac, mtu, vlan: 0 };
}

/** With what packets need of the device before their slots and ways lead anywhere new. */
function readyDevice(state: State, wanted: Wanted, addedFlags: number): State {
  const { device, ...others } = withNames(state, wanted);
  const flags = device.flags | addedFlags;
  return { ...others, device: { ...device, flags } };
}

function planReady({ device }: State, ready: State): Write[] {
  const isLater = device.abi === 0 || sameDevice(device, ready.device);
  return isLater ? [] : [{ map: 'device', key: 0, value: ready.device }];
}

/** Gives each destination an id: the one it has, or the lowest free one. */
function giveIds(
  state: State,
  service: Service,
  destinations: readonly WantedDestination[],
): number[] {
  const have = new Map(
    [...ownedBy(state, service.id)].map(([id, entry]) => [formatEndpoint(entry), id]),
  );
  const free = freeIds(state);
  return destinations.map((destination) => {
    const id = have.get(formatEndpoint(destination)) ?? free.shift();
    if (id === undefined)
      throw new Error('nextStep() promised an id for each destination');
    return id;
  });
}

function planCounters(state: State, ids: readonly number[]): Write[] {
  const isNew = (id: number): boolean => (state.destinations.get(id)?.service ?? 0) === 0;
  const fresh = ids.filter(isNew);
  const moves = (['counters', 'returned'] as const).flatMap((map) =>
    retire(map, state[map] ?? new Map(), fresh),
  );
  if (moves.length === 0) return [];
  const { device } = state;
  const moving = { ...device, generation: whileMoving(device.generation) };
  const moved = { ...device, generation: afterWriting(moving.generation) };
  return [
    { map: 'device', key: 0, value: moving },
    ...moves,
    { map: 'device', key: 0, value: moved },
  ];
}

/** Moves what was counted for these ids to id 0. */
function retire(
  map: 'counters' | 'returned',
  counters: ReadonlyMap<number, Counter>,
  ids: readonly number[],
): Write[] {
  const retired = ids.flatMap((id) => {
    const counter = counters.get(id);
    return counter && counter.packets > 0n ? [{ id, counter }] : [];
  });
  if (retired.length === 0) return [];
  const value = retired
    .map(({ counter }) => counter)
    .reduce(addCounters, counters.get(0) ?? ZERO);
  return [
    { map, key: 0, value },
    ...retired.map(({ id }) => ({ map, key: id, value: ZERO })),
  ];
}

/** Plans the slots; hot-slots.ts decides what they remember of a move. */
function planSlots(
  state: State,
  wanted: Wanted,
  destinations: readonly WantedDestination[],
  table: TargetTable,
  ids: readonly number[],
): Write[] {
  const { firstSlot } = wanted.service;
  const hasRecords = remembersIn(state, wanted) === 'balancer';
  const weights = new Map(
    destinations.flatMap(({ weight, isForgotten }, index) =>
      isForgotten ? [] : [[at(ids, index), weight] as const],
    ),
  );
  const weightOf: WeightOf = (id) => weights.get(id);
  const next =
    'agreed' in table
      ? agreedSlots(table.agreed, remembersIn(state, wanted), wanted, ids, weightOf)
      : movedSlots(
          table.places,
          moverFor(state, wanted, destinations, ids),
          ids,
          weightOf,
        );
  const kept: Write[] = [];
  const moved = new SlotTable();
  for (let number = 0; number < 1 << wanted.service.log2Slots; number++) {
    const key = firstSlot + number;
    const slot = state.slots.get(key) ?? EMPTY_SLOT;
    const value = next(slot, number);
    if (value === slot || sameSlot(slot, value)) continue;
    moved.set(key, value);
    if (hasRecords && wanted.now !== undefined && isKeptByMove(slot, value)) {
      kept.push({ map: 'kept', key, value: wanted.now });
    }
  }
  return moved.size === 0 ? kept : [...kept, { map: 'slots', slots: moved }];
}

type NextSlot = (slot: Slot, number: number) => Slot;

function movedSlots(
  places: Int32Array,
  move: (slot: Slot, to: number, weightOf: WeightOf) => Slot,
  ids: readonly number[],
  weightOf: WeightOf,
): NextSlot {
  return (slot, number) => {
    const index = at(places, number);
    const to = index === -1 ? 0 : at(ids, index);
    // Most slots stay as they are.
    return slot.current === to && !isHot(slot) ? slot : move(slot, to, weightOf);
  };
}

function agreedSlots(
  agreed: readonly Slot[],
  remember: Remember | undefined,
  { now }: Wanted,
  ids: readonly number[],
  weightOf: WeightOf,
): NextSlot {
  // What stands for nobody, and for a destination that is gone, stays.
  const idOf = (number: number): number => ids[number - 1] ?? number;
  return (slot, number) => {
    const { current, previous, second, ...rest } = at(agreed, number);
    const own = { ...rest, current: idOf(current), previous: idOf(previous) };
    const value = second === undefined ? own : { ...own, second: idOf(second) };
    if (remember === undefined || now === undefined) return value;
    return agree(slot, value, remember, weightOf, now);
  };
}

/** Who remembers a service's connections: only some builds can, and only at some time. */
export function remembersIn(
  { sizes }: State,
  { service, now }: Wanted,
): Remember | undefined {
  if (now === undefined) return undefined;
  if (service.flags & CELL_NAMES) return 'destinations';
  return sizes.sets === undefined ? undefined : 'balancer';
}

/** What becomes of a slot that moves. */
function moverFor(
  state: State,
  wanted: Wanted,
  destinations: readonly WantedDestination[],
  ids: readonly number[],
): (slot: Slot, to: number, weightOf: WeightOf) => Slot {
  const { now } = wanted;
  if (now === undefined || remembersIn(state, wanted) !== 'destinations') {
    const records = remembersIn(state, wanted) === 'balancer' ? now : undefined;
    return (slot, to, weightOf) => moveSlot(slot, to, weightOf, records);
  }
  const { names } = withNames(state, wanted).device;
  const addresses = new Map(
    ids.map((id, index) => [id, at(destinations, index).address]),
  );
  const namesOf = (slot: Slot): number =>
    namesOfSlot(names, (id) => addresses.get(id), slot);
  return (slot, to, weightOf) => moveNaming(slot, to, weightOf, now, namesOf);
}

/**
 * Places the ways of all services and the notes for fragments, each in a cell of its own.
 */
function place(state: State, wanted: Wanted): Placement {
  const { service } = wanted;
  const live = [...reachable(state).values()].filter(isWay);
  const others = new Map(
    live
      .filter((cell) => cell.service !== service.id)
      .map((cell) => [wayKey(cell), cell]),
  );
  const takes = wanted.takeSsh ?? keepsSsh(state, service) === false;
  const own = service.ways.map(({ address, port, protocol }) => ({
    address,
    port,
    protocol,
    idle: service.idle,
    drainDeadline: service.drainDeadline,
    version: versionOf(address),
    firstSlot: service.firstSlot,
    service: service.id,
    log2Slots: service.log2Slots,
    flags: CELL_USED | service.flags | (takes || port !== 0 ? 0 : CELL_KEEPS_SSH),
  }));
  const cells = withNotes([...others.values(), ...own]);
  return placeCells(cells, state.cells, state.device.cellSeed, state.sizes.cells);
}

function planNewCells(state: State, { cells }: Placement): Write[] {
  return [...cells].flatMap(([key, value]) => {
    const there = state.cells.get(key);
    return there && sameCell(there, value) ? [] : [{ map: 'services', key, value }];
  });
}

function planGoneCells(state: State, { cells }: Placement): Write[] {
  return [...state.cells.keys()]
    .filter((key) => !cells.has(key))
    .map((key) => ({ map: 'services', key, value: undefined }));
}

/**
 * Clears what is gone but leaves the address: a packet on its way may still read the
 * entry.
 */
function planGoneDestinations(
  state: State,
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

function deviceFor(
  state: State,
  wanted: Wanted,
  cellSeed: number,
  answerFlags: number,
): Device {
  const { echo = (state.device.flags & DEVICE_NO_ECHO) === 0 } = wanted;
  return {
    abi: ABI,
    generation: state.device.generation,
    cellSeed,
    slotSeed: slotSeedFor(state.device, wanted.slotSeed),
    mac: wanted.mac,
    // A run from a timer has no session, so the port of the last one stays kept.
    sessionPort: wanted.sessionPort === 0 ? state.device.sessionPort : wanted.sessionPort,
    mtu: wanted.mtu,
    log2Sets: Math.log2(state.sizes.sets ?? 1),
    flags: (echo ? 0 : DEVICE_NO_ECHO) | answerFlags,
    names: withNames(state, wanted).device.names,
  };
}

function sameDevice(one: Device, other: Device): boolean {
  return encodeDevice(one).equals(encodeDevice(other));
}
function sameCell(one: Cell, other: Cell): boolean {
  return encodeCell(one).equals(encodeCell(other));
}
function sameSlot(one: Slot, other: Slot): boolean {
  return (
    one.current === other.current &&
    one.previous === other.previous &&
    one.since === other.since &&
    one.drained === other.drained &&
    one.second === other.second &&
    one.names === other.names
  );
}
