// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Plans the writes that lead from what the maps hold to what is wanted of one service.
 * See steps.ts for the order of the writes.
 */
import { reachable } from './cells.js';
import {
  CELL_HASH_SOURCE,
  CELL_MINIMAL_TABLE,
  CELL_NAMES,
  CELL_UDP_STAYS,
} from '../abi/cell.js';
import type { Destination } from '../abi/destination.js';
import type { Slot } from '../abi/slot.js';
import { DEVICE_NO_ECHO, DEVICE_XDP_ANSWERS } from '../abi/device.js';
import { ANY_ADDRESS, formatMac } from '../wire/address.js';
import { formatEndpoint } from '../wire/endpoint.js';
import { checkForward } from './check-forward.js';
import { checkLocal, isLocal } from './local-servers.js';
import { checkNames, nameable } from './check-names.js';
import { asWanted, isSameExit } from './exits.js';
import { chainOf } from './names.js';
import { NoRoom } from './no-room.js';
import type { State, Write } from './state.js';
import { applyWrites, byName, freeIds, ownedBy } from './state.js';
import { chooseTable, liveTable } from './choose-table.js';
import { foldHistory } from './history.js';
import type { DestinationSet } from './history.js';
import { idleOf } from './hot-slots.js';
import { idealMoves } from './minimal.js';
import type { Service } from './services.js';
import { keepsSsh, servicesIn } from './services.js';
import type { Forward } from '../wire/forward.js';
import { forwardIn } from '../wire/forward.js';
import { FAMILIES, formatSource, sourcesIn } from '../wire/outer-source.js';
import { must } from '../text/must.js';
import type { NamesPrefix } from '../wire/names.js';
import { formatNames } from '../wire/names.js';
import { formatWay } from '../wire/way.js';
import type { Wanted, WantedDestination } from './steps.js';
import { planStep, remembersIn, withNames } from './steps.js';
import { append, smallest } from '../text/lists.js';

/** A destination, and how many slots forget that connections of theirs are on it. */
export interface Forgets {
  address: string;
  slots: number;
}

/** The slots of a destination, before and after. */
export interface Share {
  address: string;
  /** Undefined if the destination was not there. */
  weightBefore: number | undefined;
  /** Undefined if the destination is removed. */
  weight: number | undefined;
  slotsBefore: number;
  slots: number;
}

export interface Plan {
  writes: Write[];
  /** What the maps hold after these writes. */
  after: State;
  isNew: boolean;
  /** All ways into the service, as text. */
  ways: string[];
  /** How many destinations are used, and how many are wanted. */
  used: number;
  wanted: number;
  added: string[];
  removed: string[];
  /** Destinations whose weight becomes 0. */
  drained: string[];
  /** Destinations that get no packets any more, not even those of their connections. */
  forgotten: string[];
  /** Destinations of weight 0 that get one again. */
  restored: string[];
  /** Destinations that change otherwise: in weight, in MAC, or in where packets leave. */
  changed: string[];
  forward: Forward;
  /** Destinations that packets leave for by another device, by the name of that. */
  exits: { device: string; destinations: string[] }[];
  /** Destinations on this host. */
  local: string[];
  /** Bytes of the largest packet that can be sent to any of them. */
  room: number;
  slots: number;
  slotsMoved: number;
  /**
   * The fewest slots that a perfectly balanced table could have moved, but at most those
   * that moved.
   */
  slotsIdeal: number;
  /** Destinations that are there, but that slots no longer remember. */
  forgets: Forgets[];
  /** Destinations that packets cannot name, where destinations decide: what is wrong with them. */
  unnamed: string[];
  /** By full-nat: addresses that it sends from no more, whose connections end. */
  poolsLeft: string[];
  /** All wanted destinations, then those that are removed. */
  shares: Share[];
  waysAdded: string[];
  waysRemoved: string[];
  /** Other settings that change, as `mtu 1500`. */
  settings: string[];
  /**
   * Whether a service on all ports leaves ssh to the host; undefined if it is not on all
   * ports.
   */
  keepsSsh: boolean | undefined;
  /** No destination has a weight, so no slot has a destination. */
  isEmpty: boolean;
}

/**
 * Plans one service. A step never gives out an id that it freed itself, so several steps
 * lead to the goal where free ids run short. Each step could stand alone; all of them run
 * as one batch.
 */
export function plan(live: State, wanted: Wanted): Plan {
  const { service } = wanted;
  checkLocal(live, wanted);
  checkNames(live, wanted);
  checkForward(live, wanted);
  const slots = 1 << service.log2Slots;
  const before = ownedBy(live, service.id);
  const limit = Math.min(slots, before.size + freeIds(live).length);
  const target = wanted.destinations.slice(0, limit);

  const writes: Write[] = [];
  let state = live;
  for (let done = false; !done;) {
    const destinations = nextStep(state, service, target);
    done = destinations === target;
    // The last step starts from the live table, and not from one in between.
    const from = wanted.from ?? (done ? live : state);
    const table =
      done && wanted.history
        ? { agreed: agreedSlots(state, wanted, wanted.history, destinations) }
        : { places: chooseTable(from, service, destinations) };
    const step = planStep(state, wanted, destinations, table);
    state = applyWrites(state, step);
    append(writes, step);
  }

  const were = addressesById(live);
  const are = addressesById(state);
  const slotsMoved = countMoved(live, state, were, are);
  // A consistent table that stays as it is need not be balanced to the slot.
  const slotsIdeal = idealMoves(target, liveTable(live, service, target).current);
  const ways = waysOf(state, service);
  const waysBefore = waysOf(live, service);
  const old = byName([...before.values()]);
  const after = byName(target);
  const sent = [...ownedBy(state, service.id).values()];
  const had = slotsByAddress(live, were);
  const shares = sharesOf(had, slotsByAddress(state, are), old, after);
  const turned = (which: (before: number, after: number) => boolean): string[] =>
    shares.flatMap(({ address, weightBefore: before, weight }) =>
      before !== undefined && weight !== undefined && which(before, weight)
        ? [address]
        : [],
    );
  const forgotten = [...after].flatMap(([address, { isForgotten }]) => {
    const was = old.get(address);
    return isForgotten && was && !was.isForgotten ? [address] : [];
  });
  const drained = turned((before, weight) => before > 0 && weight === 0).filter(
    (address) => !forgotten.includes(address),
  );
  const restored = turned((before, weight) => before === 0 && weight > 0);
  const told = new Set([...drained, ...forgotten, ...restored]);
  return {
    writes,
    after: state,
    isNew: wanted.isNew,
    ways,
    used: target.length,
    wanted: wanted.destinations.length,
    added: [...after.keys()].filter((address) => !old.has(address)),
    removed: [...old.keys()].filter((address) => !after.has(address)),
    drained,
    forgotten,
    restored,
    changed: [...after].flatMap(
      ([address, { mac, weight, isForgotten = false, exit }]) => {
        const was = old.get(address);
        const isOther =
          was &&
          (!was.mac.equals(mac) ||
            was.weight !== weight ||
            was.isForgotten !== isForgotten ||
            !isSameExit(live.exits?.get(was.exit), exit));
        return isOther && !told.has(address) ? [address] : [];
      },
    ),
    forward: wanted.forward,
    exits: exitsIn(target),
    local: target.filter(isLocal).map(formatEndpoint),
    room: smallest([wanted.mtu, ...sent.map(({ largestPacket }) => largestPacket)]),
    slots,
    slotsMoved,
    slotsIdeal: Math.min(slotsMoved, slotsIdeal),
    forgets: forgetsOf(live, state, service),
    unnamed: unnamedIn(state, service, target),
    poolsLeft: wanted.forward === 'full-nat' ? poolsLeft([...before.values()], sent) : [],
    shares,
    waysAdded: ways.filter((way) => !waysBefore.includes(way)),
    waysRemoved: waysBefore.filter((way) => !ways.includes(way)),
    settings: settingsChanged(live, state, service),
    keepsSsh: keepsSsh(state, service),
    isEmpty: target.every(({ weight }) => weight === 0),
  };
}

/** What all agree on who have the same history. */
function agreedSlots(
  state: State,
  wanted: Wanted,
  history: readonly DestinationSet[],
  destinations: readonly WantedDestination[],
): Slot[] {
  const { log2Slots, flags } = wanted.service;
  const remember = remembersIn(state, wanted);
  const { names } = withNames(state, wanted).device;
  return foldHistory([...history, destinations], { log2Slots, flags, remember, names });
}

/** Where destinations decide: those that a slot had connections on, and now names no more. */
function forgetsOf(before: State, after: State, service: Service): Forgets[] {
  if ((service.flags & CELL_NAMES) === 0) return [];
  const counts = new Map<number, number>();
  const [was, addresses] = [addressesById(before), addressesById(after)];
  before.slots.forEach((slot, key) => {
    const is = after.slots.get(key);
    if (!is || is === slot) return;
    const knows = new Set([is.current, ...chainOf(is)]);
    for (const id of [slot.current, ...chainOf(slot)]) {
      // An id may have another owner by now, where so many come that ids are short.
      const isSame = was.get(id) === addresses.get(id);
      const entry = after.destinations.get(id);
      const isThere = isSame && entry?.service === service.id && !entry.isForgotten;
      if (isThere && !knows.has(id)) counts.set(id, (counts.get(id) ?? 0) + 1);
    }
  });
  return [...counts].map(([id, slots]) => ({
    address: must(addresses.get(id), `the address of ${id}`),
    slots,
  }));
}

/** Where destinations decide: what keeps packets from naming some of them. */
function unnamedIn(
  { device }: State,
  { flags }: Service,
  destinations: readonly WantedDestination[],
): string[] {
  if ((flags & CELL_NAMES) === 0) return [];
  const addresses = destinations.map(({ address }) => address);
  return nameable(device.names, addresses).warnings;
}

function poolsLeft(
  before: readonly Destination[],
  after: readonly Destination[],
): string[] {
  const [was, is] = [sourcesIn(before), sourcesIn(after)];
  return FAMILIES.flatMap((family) => {
    const [from, to] = [was[family], is[family]];
    const isLeft = from && !(to && formatSource(from) === formatSource(to));
    return isLeft ? [formatSource(from)] : [];
  });
}

function waysOf(state: State, { id }: Service): string[] {
  return (servicesIn(reachable(state)).get(id)?.ways ?? []).map(formatWay);
}

function exitsIn(destinations: readonly WantedDestination[]): Plan['exits'] {
  const exits = new Map<string, string[]>();
  for (const { exit, ...destination } of destinations) {
    if (!exit || !('name' in exit)) continue;
    exits.set(exit.name, [...(exits.get(exit.name) ?? []), formatEndpoint(destination)]);
  }
  return [...exits].map(([device, names]) => ({ device, destinations: names }));
}

/** The settings that neither destinations, slots nor ways show. */
function settingsChanged(before: State, after: State, service: Service): string[] {
  if (before.device.abi === 0) return [];
  const values = (state: State): [string, string][] => {
    const { ipv4, ipv6 } = sourcesIn(ownedBy(state, service.id).values());
    const { mtu, mac, sessionPort } = state.device;
    const echo = state.device.flags & DEVICE_NO_ECHO ? 'left to the host' : 'answered';
    const keeps = keepsSsh(state, service);
    const there = servicesIn(reachable(state)).get(service.id);
    const isSet = (flag: number, yes: string, no: string): string =>
      there === undefined ? '' : there.flags & flag ? yes : no;
    return [
      ['mtu', String(mtu)],
      ['MAC', formatMac(mac)],
      ['session port', String(sessionPort)],
      ['source', ipv4 ? formatSource(ipv4) : ''],
      ['IPv6 source', ipv6 ? formatSource(ipv6) : ''],
      ['ssh', keeps === undefined ? '' : keeps ? 'kept for the host' : 'taken'],
      ['hash', isSet(CELL_HASH_SOURCE, 'source', 'source+ports')],
      ['udp', isSet(CELL_UDP_STAYS, 'previous', 'current')],
      ['table', isSet(CELL_MINIMAL_TABLE, 'minimal', 'consistent')],
      ['forward', there ? forwardIn(ownedBy(state, service.id).values()) : ''],
      ['remember', isSet(CELL_NAMES, 'destinations', 'balancer')],
      ['names', prefix(state.device.names.ipv4)],
      ['IPv6 names', prefix(state.device.names.ipv6)],
      ['idle', there ? `${idleOf(there)} s` : ''],
      ['drain deadline', there ? deadline(there) : ''],
      ['echo', echo],
      ['answers', state.device.flags & DEVICE_XDP_ANSWERS ? 'xdp' : 'kernel'],
    ];
  };
  const was = new Map(values(before));
  return values(after)
    .filter(([name, value]) => {
      const before = was.get(name);
      return before !== '' && value !== '' && before !== value;
    })
    .map((setting) => setting.join(' '));
}

/** The first prefix is told like any other, so without one this is not empty. */
function prefix(names: NamesPrefix | undefined): string {
  return names ? formatNames(names) : 'none';
}

function deadline({ drainDeadline }: Service): string {
  return drainDeadline === 0 ? 'none' : `${drainDeadline} s`;
}

/** Compares addresses, since an id can come back with another address. */
function countMoved(
  before: State,
  after: State,
  was: ReadonlyMap<number, string>,
  is: ReadonlyMap<number, string>,
): number {
  // Most slots stay, and numbers are quicker to compare than addresses.
  const changed = new Set(
    [...is].flatMap(([id, one]) => (was.get(id) === one ? [] : [id])),
  );
  let moved = 0;
  after.slots.forEach(({ current }, key) => {
    const earlier = before.slots.get(key)?.current ?? 0;
    if (current === earlier ? changed.has(current) : is.get(current) !== was.get(earlier))
      moved++;
  });
  return moved;
}

/** Leaves out ids that never had an address, such as 0, which means none. */
function addressesById({ destinations }: State): Map<number, string> {
  return new Map(
    [...destinations]
      .filter(([id, { address }]) => id !== 0 && !address.equals(ANY_ADDRESS))
      .map(([id, entry]) => [id, formatEndpoint(entry)]),
  );
}

/** Lists the wanted destinations in the order of the file, and then the removed ones. */
function sharesOf(
  had: ReadonlyMap<string, number>,
  has: ReadonlyMap<string, number>,
  old: ReadonlyMap<string, { weight: number }>,
  wanted: ReadonlyMap<string, { weight: number }>,
): Share[] {
  return [...new Set([...wanted.keys(), ...old.keys()])].map((address) => ({
    address,
    weightBefore: old.get(address)?.weight,
    weight: wanted.get(address)?.weight,
    slotsBefore: had.get(address) ?? 0,
    slots: has.get(address) ?? 0,
  }));
}

function slotsByAddress(
  state: State,
  addresses: ReadonlyMap<number, string>,
): Map<string, number> {
  const byId = new Uint32Array(state.sizes.destinations + 1);
  state.slots.forEach(({ current }) => {
    byId[current] = (byId[current] ?? 0) + 1;
  });
  const counts = new Map<string, number>();
  for (const [id, address] of addresses) {
    const count = byId[id] ?? 0;
    if (count > 0) counts.set(address, (counts.get(address) ?? 0) + count);
  }
  return counts;
}

/**
 * The destinations to go to next, so that there are ids for all in the end. Some of them
 * must have a weight, or the table would be empty in between.
 */
function nextStep(
  state: State,
  service: Service,
  target: readonly WantedDestination[],
): readonly WantedDestination[] {
  const entries = [...ownedBy(state, service.id).values()];
  const there = byName(entries);
  const isThere = (one: WantedDestination): boolean => there.has(formatEndpoint(one));
  const missing = target.filter((destination) => !isThere(destination));
  const free = freeIds(state).length;
  if (missing.length <= free) return target;

  const after = byName(target);
  const owned = entries.map((entry) => asWanted(state, entry));
  const kept = target.filter(isThere);
  const step = [...kept, ...byWeight(missing).slice(0, free)];
  if (step.some(({ weight }) => weight > 0)) return step;
  // Every id is taken, and all with a weight have to go: half of them stay for now.
  const leaving = byWeight(owned.filter((one) => !after.has(formatEndpoint(one))));
  if (leaving.length > 1) return [...kept, ...leaving.slice(0, leaving.length >> 1)];
  throw new NoRoom('there is no id for a new destination', {
    cause: 'the destinations of other services take nearly all of them',
    next: 'take destinations out of another service first',
  });
}

function byWeight<T extends { weight: number }>(destinations: readonly T[]): T[] {
  return [...destinations].sort((a, b) => b.weight - a.weight);
}
