// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What holds for a device, and so for all of its services: it cannot change under them. */
import type { Device } from '../abi/device.js';
import { Failure } from '../text/failure.js';
import { SLOT_SEED } from '../wire/hash.js';
import type { Answering } from '../wire/forward.js';
import { formatNames } from '../wire/names.js';
import type { Names } from '../wire/names.js';
import { FAMILIES } from '../wire/outer-source.js';
import { reachable } from './cells.js';
import { isHot } from './hot-slots.js';
import { servicesIn } from './services.js';
import { someSlot } from './slots.js';
import type { State } from './state.js';

export interface AskedSeed {
  value: number;
  /** It was drawn at random, and counts only if the device has none yet. */
  isDrawn: boolean;
}

/** What a fill asks for the device; what is missing stays as it is. */
export interface WantedDevice {
  names?: Names | undefined;
  slotSeed?: AskedSeed | undefined;
  /** Who sends answers on that come through the balancer. */
  answers?: Answering | undefined;
  /** The name of the device, for advice. */
  deviceName?: string | undefined;
}

export function slotSeedFor({ abi, slotSeed }: Device, asked?: AskedSeed): number {
  if (abi === 0) return asked?.value ?? SLOT_SEED;
  return asked && !asked.isDrawn ? asked.value : slotSeed;
}

/** Whether a prefix that is there becomes another one. */
export function changesNames(device: Device, { names }: WantedDevice): boolean {
  return FAMILIES.some((family) => {
    const [before, after] = [device.names[family], names?.[family]];
    return before && after && formatNames(before) !== formatNames(after);
  });
}

/** Refuses what would break connections of any service. Needs the slots of all. */
export function checkDevice(live: State, wanted: WantedDevice): void {
  const { device } = live;
  if (changesNames(device, wanted) && someSlot(live.slots, isHot)) {
    throw new Failure('the prefix of names cannot change while slots are hot', {
      cause: 'the destinations still read packets by the old one',
      next: 'wait until none is hot, with l4lb-map --settle --wait, or give them up with --settle --now',
    });
  }
  const hasServices = servicesIn(reachable(live)).size > 0;
  if (hasServices && slotSeedFor(device, wanted.slotSeed) !== device.slotSeed) {
    throw new Failure('the seed of slots cannot change while there are services', {
      cause: 'every connection would come to another slot',
      next: `leave the seed out, or load the program anew: l4lb-load -i ${wanted.deviceName ?? 'DEVICE'} --off`,
    });
  }
}
