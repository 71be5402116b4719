// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Plans the writes that bring entries up to date with the network: MACs, exits and MTUs.
 * No slot moves, and no destination comes or goes.
 */
import type { Destination } from '../abi/destination.js';
import { encodeDestination } from '../abi/destination.js';
import { afterWriting, encodeDevice } from '../abi/device.js';
import type { Exit } from '../abi/exit.js';
import { formatEndpoint } from '../wire/endpoint.js';
import { formatMac } from '../wire/address.js';
import { largestPacket } from '../wire/outer-header.js';
import { answersIn, planAnswers } from './answers.js';
import { reachable } from './cells.js';
import { exitKey, exitNumbers, isSameExit, planExits } from './exits.js';
import type { Tables, Write } from './state.js';
import type { WantedExit } from './steps.js';

/** What the kernel says of the way to a destination. */
export interface Way {
  mac: Buffer;
  /** Undefined: by the device that packets come in on. */
  exit: WantedExit | Exit | undefined;
}

export interface Seen {
  /** Of the device that packets come in on. */
  device: { name: string; mac: Buffer; mtu: number };
  /** By id, of destinations whose way is looked up. One that is missing stays as it is. */
  ways: ReadonlyMap<number, Way>;
  /** What an exit is now; undefined if it is gone. */
  exitNow: (exit: Exit) => WantedExit | undefined;
}

export interface Refresh {
  writes: Write[];
  /** What changes, in words. */
  changes: string[];
}

export function planRefresh(state: Tables, seen: Seen): Refresh {
  // Nobody has filled these tables, so there is nothing to keep right.
  if (state.device.abi === 0) return { writes: [], changes: [] };
  const { device } = seen;
  const changes: string[] = [];
  const tell = (what: string, before: string, now: string): void => {
    if (before !== now) changes.push(`${what} ${now}, was ${before}`);
  };
  tell(`${device.name}: MAC`, formatMac(state.device.mac), formatMac(device.mac));
  tell(`${device.name}: MTU`, String(state.device.mtu), String(device.mtu));

  const wanted = [...state.destinations]
    .filter(([, { service }]) => service !== 0)
    .flatMap(([id, entry]) => {
      const way = wayOf(state, seen, id, entry);
      return way ? [{ id, entry, ...way }] : [];
    });
  const numbers = exitNumbers(
    state,
    wanted.map(({ entry, mac, exit }) => ({ ...entry, mac, exit })),
  );
  const exits = planExits(state, numbers);
  for (const { exit } of numbers.values()) {
    const there = [...(state.exits?.values() ?? [])].find((one) => isSameExit(one, exit));
    if (!there) continue;
    const name = nameOf(exit);
    tell(`${name}: MAC`, formatMac(there.mac), formatMac(exit.mac));
    tell(`${name}: MTU`, String(there.mtu), String(exit.mtu));
  }
  const entries = wanted.flatMap(({ id, entry, mac, exit }): Write[] => {
    const value: Destination = {
      ...entry,
      mac,
      exit: exit ? (numbers.get(exitKey(exit))?.number ?? 0) : 0,
      largestPacket: largestPacket(exit?.mtu ?? device.mtu, entry.address, entry.forward),
    };
    if (encodeDestination(value).equals(encodeDestination(entry))) return [];
    const name = formatEndpoint(entry);
    tell(`${name}: MAC`, formatMac(entry.mac), formatMac(mac));
    if (!isSameExit(state.exits?.get(entry.exit), exit)) {
      changes.push(`${name}: leaves by ${exit ? nameOf(exit) : device.name}`);
    }
    return [{ map: 'destinations', key: id, value }];
  });
  const answers = planAnswersOf(state, entries);
  const own = { ...state.device, mac: device.mac, mtu: device.mtu };
  const isOwn = encodeDevice(own).equals(encodeDevice(state.device));
  const writes = [...exits, ...answers.added, ...entries, ...answers.gone];
  if (isOwn && writes.length === 0) return { writes, changes };
  // Who keeps the tables in memory must see that they are others now.
  const value = { ...own, generation: afterWriting(own.generation) };
  return { writes: [...writes, { map: 'device', key: 0, value }], changes };
}

/** By link the MAC address of a destination tells its answers. */
function planAnswersOf(
  state: Tables,
  entries: readonly Write[],
): ReturnType<typeof planAnswers> {
  if (entries.length === 0) return { added: [], gone: [] };
  const destinations = new Map(state.destinations);
  for (const write of entries) {
    if (write.map === 'destinations') destinations.set(write.key, write.value);
  }
  return planAnswers(state, answersIn(reachable(state), destinations));
}

function nameOf(exit: Exit | WantedExit): string {
  return 'name' in exit ? exit.name : `device ${exit.ifindex}`;
}

/**
 * A way that was given stays, but its exit may have another MAC or MTU by now. Undefined if
 * the exit is gone: then nothing is right, and the entry stays as it is.
 */
function wayOf(
  { exits }: Tables,
  { ways, exitNow }: Seen,
  id: number,
  { mac, exit: number }: Destination,
): Way | undefined {
  const way = ways.get(id);
  if (way) return way;
  const exit = exits?.get(number);
  if (!exit) return { mac, exit };
  const now = exitNow(exit);
  return now && { mac, exit: now };
}
