// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Brings the maps of a program of an earlier release into the form of today, so that it
 * can be replaced like any other. ABI 1 had shorter entries of destinations, no exits, no
 * answers, no ports and no clock; everything else is the same, records and hot slots too.
 */
import { decodeDestination, encodeDestination } from '../abi/destination.js';
import { isEarlier } from '../program/find.js';
import type { Bpftool } from '../system/bpftool.js';
import { valueOf } from '../system/bpftool-text.js';
import type { MapInfo } from '../system/bpftool-text.js';
import { update } from '../system/entries.js';

/** Maps that ABI 1 did not have; they are empty at first. */
const LATER = [
  ...['exits', 'exit_devices', 'exit_numbers', 'answers'],
  ...['returned', 'pools', 'claims', 'ports', 'clock'],
];

/**
 * Fills the fresh program's `destinations` from those of the old one, and returns the old
 * maps with that map in place of theirs. If it has another number of entries, the old maps
 * stay as they are: then all tables are planned anew.
 */
export async function renewMaps(
  bpftool: Bpftool,
  old: { name: string; maps: MapInfo[] },
  fresh: readonly MapInfo[],
  lock: number,
): Promise<MapInfo[]> {
  if (!isEarlier(old.name)) return old.maps;
  const isDestinations = ({ name }: MapInfo): boolean => name === 'destinations';
  const [from, to] = [old.maps.find(isDestinations), fresh.find(isDestinations)];
  if (!from || to?.entries !== from.entries) return old.maps;
  const entries = await bpftool.dump(from.id);
  const used = entries.filter((entry) => valueOf(entry).some((byte) => byte !== 0));
  const changes = used.map((entry) =>
    update(to, entry.key, encodeDestination(decodeDestination(valueOf(entry)))),
  );
  await bpftool.write(changes, lock);
  const known = new Set(old.maps.map(({ name }) => name));
  const added = fresh.filter(({ name }) => LATER.includes(name) && !known.has(name));
  return [...old.maps.map((map) => (map === from ? to : map)), ...added];
}
