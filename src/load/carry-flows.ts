// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Carries the records of hot slots over when a program is swapped for one whose `flows`
 * has another size. All other maps stay, and with them slots, ids and counters.
 *
 * l4lb_carry_flows.c copies the records, and explains how it finds their new sets.
 * Connections begin meanwhile, so it runs three times: just before the swap, right after
 * it, and once more when no CPU can still be running the old program. The first two runs
 * and the swap are one batch, so no process has to start between them. A connection can
 * miss its record only if it begins during the first run, which takes milliseconds, and
 * sends its next packet before the second run reaches its record.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import type { Loaded } from '../program/load.js';
import type { MapInfo } from '../system/bpftool-text.js';
import { decodeCarriedFlows, flowsFrame } from '../abi/carry.js';
import type { CarriedFlows } from '../abi/carry.js';
import { SEEN_SECONDS } from '../abi/record.js';
import type { Slot } from '../abi/slot.js';
import { encodeDevice } from '../abi/device.js';
import type { Device } from '../abi/device.js';
import { encodeKey } from '../abi/bytes.js';
import type { Mode } from '../text/mode.js';
import type { Maps } from '../program/find.js';
import type { Bpftool } from '../system/bpftool.js';
import type { Pins } from '../program/pins.js';
import type { MapShape } from '../program/declared.js';
import type { ChosenSizes } from '../program/load.js';
import { makeMaps } from '../program/load.js';
import { packaged } from '../system/package.js';
import { smallest } from '../text/lists.js';
import { must } from '../text/must.js';
import { update } from '../system/entries.js';

/** After this time no CPU still runs a program that was swapped out. */
export const GRACE_MS = 50;

/** Tells whether all maps but `flows` are the same. Then those can stay. */
export function onlyFlowsDiffer(
  old: readonly MapShape[],
  fresh: readonly MapShape[],
  same: (one: readonly MapShape[], other: readonly MapShape[]) => boolean,
): boolean {
  const others = (maps: readonly MapShape[]): MapShape[] =>
    maps.filter((map) => !isFlows(map));
  const hasFlows = [old, fresh].every((maps) => maps.some(isFlows));
  return hasFlows && same(others(old), others(fresh));
}

const isFlows = ({ name }: MapShape): boolean => name === 'flows';
/** The map `device` holds the number of sets, which must change with the program. */
const isDevice = ({ name }: MapShape): boolean => name === 'device';

/** Makes the two maps that a program with another number of sets has for itself. */
export async function makeFlows(
  bpftool: Bpftool,
  pins: Pins,
  old: readonly MapInfo[],
  { sets }: ChosenSizes,
): Promise<MapInfo[]> {
  const device = must(old.find(isDevice), 'the map of the device');
  const pin = pins.next();
  await bpftool.createArray(pin, device.name, device.valueSize, device.entries);
  const made = await bpftool.mapPinned(pin);
  return [made, ...(await makeMaps(bpftool, pins, { sets }))];
}

/** Returns the old maps, but `flows` and `device` of the fresh program. */
export function mapsWithFlows(
  old: readonly MapInfo[],
  fresh: readonly MapInfo[],
): MapInfo[] {
  const isOwn = (map: MapInfo): boolean => isFlows(map) || isDevice(map);
  return [...old.filter((map) => !isOwn(map)), ...fresh.filter(isOwn)];
}

export interface FlowsSwap {
  mode: Mode;
  /** The name of the device. */
  link: string;
  loaded: Loaded;
  before: Maps;
  after: Maps;
  /** The entry of `device` in the old map. */
  device: Device;
  /** The hot slots; without any there is nothing to carry. */
  hot: readonly Slot[];
  lock: number;
}

/** Attaches the program. If slots are hot, returns what became of the records. */
export async function swapFlows(
  bpftool: Bpftool,
  pins: Pins,
  { mode, link, loaded, before, after, device, hot, lock }: FlowsSwap,
): Promise<CarriedFlows | undefined> {
  const from = must(before.flows, 'the old map of flows');
  const to = must(after.flows, 'the new map of flows');
  if (device.abi !== 0) {
    const value = encodeDevice({ ...device, log2Sets: Math.log2(to.entries) });
    const change = update(after.device, encodeKey(0), value);
    await bpftool.write([change], lock);
  }
  if (hot.length === 0) {
    await bpftool.attach(mode, loaded.pin, link, { overwrite: true });
    return undefined;
  }
  const pin = pins.next();
  const reuse = [{ ...from, name: 'flows_before' }, to];
  await bpftool.load(packaged('l4lb_carry_flows.o'), pin, { reuse });
  const since = smallest(hot.map((slot) => slot.since));
  const copy = {
    pin,
    frame: flowsFrame(from.entries, to.entries, Math.floor(since / SEEN_SECONDS)),
    repeat: Math.max(from.entries, to.entries),
  };
  await bpftool.attachBetween(mode, loaded.pin, link, copy, lock);
  await sleep(GRACE_MS);
  return decodeCarriedFlows(await bpftool.runRepeated(copy));
}
