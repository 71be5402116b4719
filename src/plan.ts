// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * From what the maps hold and what is wanted to the writes that lead from one
 * to the other. Pure: it reads no clock and starts no process. See writes.ts for
 * the order of the writes.
 */
import { CELL_HASH_SOURCE, CELL_UDP_STAYS, DEVICE_NO_ECHO } from './abi.js';
import { formatAddress, formatMac } from './address.js';
import { Failure } from './failure.js';
import type { Live, Write } from './live.js';
import { applyWrites, byAddress, freeIds, ownedBy } from './live.js';
import { isHot } from './memory.js';
import type { Service } from './services.js';
import { keepsSsh, servicesIn } from './services.js';
import { formatSource, sourcesIn } from './source.js';
import { formatWay, reachable } from './ways.js';
import type { Wanted, WantedDestination } from './writes.js';
import { planStep } from './writes.js';

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
  /** Slots that remember a previous destination, or that they had one. */
  slotsHot: number;
  waysAdded: string[];
  waysRemoved: string[];
  /** What else changes, as `mtu 1500`. */
  settings: string[];
  /** A service on all ports leaves ssh to the host; undefined where it has none. */
  keepsSsh: boolean | undefined;
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

  const ways = waysOf(state, service);
  const waysBefore = waysOf(live, service);
  const old = byAddress([...before.values()]);
  const after = byAddress(target);
  return {
    writes,
    isNew: wanted.isNew,
    ways,
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
    slotsHot: [...state.slots.values()].filter(isHot).length,
    waysAdded: ways.filter((way) => !waysBefore.includes(way)),
    waysRemoved: waysBefore.filter((way) => !ways.includes(way)),
    settings: settingsChanged(live, state, service),
    keepsSsh: keepsSsh(state, service),
    isEmpty: target.every(({ weight }) => weight === 0),
  };
}

function waysOf(state: Live, { id }: Service): string[] {
  return (servicesIn(reachable(state)).get(id)?.ways ?? []).map(formatWay);
}

/** What is not told by destinations, slots and ways. */
function settingsChanged(before: Live, after: Live, service: Service): string[] {
  if (before.device.abi === 0) return [];
  const values = (state: Live): [string, string][] => {
    const { ipv4, ipv6 } = sourcesIn(ownedBy(state, service.id).values());
    const { mtu, mac, sessionPort } = state.device;
    const echo = state.device.flags & DEVICE_NO_ECHO ? 'left to the host' : 'answered';
    const keeps = keepsSsh(state, service);
    const flags = servicesIn(reachable(state)).get(service.id)?.flags;
    const isSet = (flag: number, yes: string, no: string): string =>
      flags === undefined ? '' : flags & flag ? yes : no;
    return [
      ['mtu', String(mtu)],
      ['MAC', formatMac(mac)],
      ['session port', String(sessionPort)],
      ['source', ipv4 ? formatSource(ipv4) : ''],
      ['IPv6 source', ipv6 ? formatSource(ipv6) : ''],
      ['ssh', keeps === undefined ? '' : keeps ? 'kept for the host' : 'taken'],
      ['hash', isSet(CELL_HASH_SOURCE, 'source', 'source+ports')],
      ['udp', isSet(CELL_UDP_STAYS, 'previous', 'current')],
      ['echo', echo],
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

/** An id can come back with another address, so the address is what counts. */
function addressIn(state: Live, slot: number): string | undefined {
  const id = state.slots.get(slot)?.current ?? 0;
  const entry = id === 0 ? undefined : state.destinations.get(id);
  return entry && formatAddress(entry.address);
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
