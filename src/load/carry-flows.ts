// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Carries what hot slots remember when a program is swapped for one whose flows
 * have another size. All other maps stay the same, so slots, ids and counters do.
 *
 * The records are copied by l4lb_carry_flows.c, which also tells how one of another
 * size finds them. Connections begin meanwhile, so that runs three times: just
 * before the swap, right after it, and once more when no CPU can still be in the
 * old program. The first two and the swap are one batch, with no process to start
 * between them: only a connection that begins in the milliseconds of the first and
 * goes on before the second reaches it can miss its record.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import type { Loaded } from '../program/load.js';
import { updateLine } from '../system/bpftool-text.js';
import type { MapInfo } from '../system/bpftool-text.js';
import { decodeCarriedFlows, flowsFrame } from '../abi/carry.js';
import type { CarriedFlows } from '../abi/carry.js';
import { SEEN_SECONDS } from '../abi/record.js';
import type { Slot } from '../abi/slot.js';
import { encodeDevice } from '../abi/device.js';
import { encodeKey } from '../abi/bytes.js';
import type { Mode } from '../text/mode.js';
import type { Maps } from '../program/find.js';
import type { Bpftool } from '../system/bpftool.js';
import type { Pins } from '../program/pins.js';
import { packaged } from '../system/package.js';
import { readTables } from '../program/read.js';
import { smallest } from '../text/lists.js';

/** Long enough that no CPU still runs a program after its swap. */
export const GRACE_MS = 50;

/** Whether all maps but flows are the same: then those can stay. */
export function onlyFlowsDiffer(
  old: readonly MapInfo[],
  fresh: readonly MapInfo[],
  same: (one: readonly MapInfo[], other: readonly MapInfo[]) => boolean,
): boolean {
  const others = (maps: readonly MapInfo[]): MapInfo[] =>
    maps.filter((map) => !isFlows(map));
  const hasFlows = [old, fresh].every((maps) => maps.some(isFlows));
  return hasFlows && same(others(old), others(fresh));
}

const isFlows = ({ name }: MapInfo): boolean => name === 'flows';
/** It holds the number of sets, which must change with the program. */
const isDevice = ({ name }: MapInfo): boolean => name === 'device';

/** The old maps, with the fresh program's flows and device in their places. */
export function mapsWithFlows(
  old: readonly MapInfo[],
  fresh: readonly MapInfo[],
): MapInfo[] {
  const isOwn = (map: MapInfo): boolean => isFlows(map) || isDevice(map);
  return [...old.filter((map) => !isOwn(map)), ...fresh.filter(isOwn)];
}

export interface FlowsSwap {
  mode: Mode;
  device: string;
  loaded: Loaded;
  before: Maps;
  after: Maps;
  /** Those that remember something; none: there is nothing to carry. */
  hot: readonly Slot[];
  lock: number;
}

/** Attaches the program; where slots are hot it says what became of the records. */
export async function swapFlows(
  bpftool: Bpftool,
  pins: Pins,
  { mode, device, loaded, before, after, hot, lock }: FlowsSwap,
): Promise<CarriedFlows | undefined> {
  const [from, to] = [before.flows, after.flows];
  const tables = await readTables(bpftool, before);
  if (tables.device.abi !== 0 && to) {
    const value = encodeDevice({ ...tables.device, log2Sets: Math.log2(to.entries) });
    const line = updateLine(after.device, encodeKey(0), value);
    await bpftool.write([line], lock);
  }
  if (!from || !to || hot.length === 0) {
    await bpftool.attach(mode, loaded.pin, device, { overwrite: true });
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
  await bpftool.attachBetween(mode, loaded.pin, device, copy, lock);
  await sleep(GRACE_MS);
  return decodeCarriedFlows(await bpftool.runRepeated(copy));
}
