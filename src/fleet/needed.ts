// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Whether this node still needs the oldest set of a history: whether packets of late went
 * where only that set has their slots remember. Each node says so of itself, and the leader
 * leaves the set out when none needs it.
 */
import { readHot } from '../fill/settle.js';
import { idleOf } from '../plan/hot-slots.js';
import type { DestinationSet, FoldOptions } from '../plan/history.js';
import { tablesOf } from '../plan/history.js';
import type { Service } from '../plan/services.js';
import type { Tables } from '../plan/state.js';
import type { Maps } from '../program/find.js';
import type { Tools } from '../program/tools.js';
import { kernelSeconds } from '../system/clock.js';
import { memoryOf } from './agreement/shorten.js';

/** For how many seconds at least; 0: not any more. */
export async function neededFor(
  { bpftool }: Pick<Tools, 'bpftool'>,
  maps: Maps,
  { slots }: Tables,
  service: Service,
  sets: readonly DestinationSet[],
  fold: FoldOptions,
): Promise<number> {
  const all = sets.map((_, index) => index);
  const tables = tablesOf(sets, fold);
  const whole = memoryOf(sets, all, fold, tables);
  const rest = memoryOf(sets, all.slice(1), fold, tables);
  const isOlder = (key: number): boolean => {
    const number = key - service.firstSlot;
    return whole[number]?.join() !== rest[number]?.join();
  };
  const hot = await readHot(
    bpftool,
    maps,
    new Map([...slots].filter(([key]) => isOlder(key))),
    service,
  );
  const now = kernelSeconds();
  const idle = idleOf(service);
  return hot.reduce(
    (most, { slot, kept }) => Math.max(most, Math.max(slot.since, kept) + idle - now),
    0,
  );
}
