// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The devices that a program can send by. The kernel ties a map of devices to the first
 * program that uses it: one for frames in several buffers cannot share it with one for a
 * single buffer. So each program has its own, filled from `exits`, which all share.
 */
import { decodeExit } from '../abi/exit.js';
import type { Exit } from '../abi/exit.js';
import { decodeKey, encodeKey } from '../abi/bytes.js';
import type { Bpftool } from '../system/bpftool.js';
import { valueOf } from '../system/bpftool-text.js';
import type { MapInfo } from '../system/bpftool-text.js';
import { EntriesFailure, update } from '../system/entries.js';

/** The maps that a program may share with another. */
export function shareable(maps: readonly MapInfo[]): MapInfo[] {
  return maps.filter(({ name }) => name !== 'exit_devices');
}

export async function fillExitDevices(
  bpftool: Bpftool,
  maps: readonly MapInfo[],
): Promise<void> {
  const exits = maps.find(({ name }) => name === 'exits');
  const devices = maps.find(({ name }) => name === 'exit_devices');
  if (!exits || !devices) return;
  for (const entry of await bpftool.dump(exits.id)) {
    const exit = decodeExit(valueOf(entry));
    if (!exit) continue;
    try {
      const change = update(devices, entry.key, encodeKey(exit.ifindex));
      await bpftool.write([change], undefined);
    } catch (error) {
      // The kernel takes no device that is gone; its packets count as "exit gone".
      if (!(error instanceof EntriesFailure)) throw error;
    }
  }
}

/**
 * The exits whose device the program no longer has. The kernel takes a device out when it
 * is removed or moves to another namespace, even if it comes back with the same number.
 */
export async function readLostExits(
  bpftool: Bpftool,
  { id }: MapInfo,
  exits: ReadonlyMap<number, Exit>,
): Promise<Set<number>> {
  // An entry without a device is not there.
  const there = (await bpftool.dump(id)).map(({ key }) => decodeKey(key));
  return new Set([...exits.keys()].filter((number) => !there.includes(number)));
}
