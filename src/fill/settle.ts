// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Turns hot slots cold where nobody needs their previous destination any more. */
import { changesOf } from '../program/write.js';
import { reachable } from '../plan/cells.js';
import { CELL_NAMES } from '../abi/cell.js';
import type { Device } from '../abi/device.js';
import { afterWriting } from '../abi/device.js';
import { NOBODY } from '../abi/slot.js';
import type { Slot } from '../abi/slot.js';
import { decodeKey, encodeKey } from '../abi/bytes.js';
import type { Tools } from '../program/tools.js';
import type { Maps } from '../program/find.js';
import type { Tables, Write } from '../plan/state.js';
import type { Settling } from '../plan/hot-slots.js';
import { coldSlot, idleOf, isHot, settling } from '../plan/hot-slots.js';
import type { AddressOf } from '../plan/names.js';
import { forgetPrevious, namesOfSlot } from '../plan/names.js';
import type { Service } from '../plan/services.js';
import { servicesIn } from '../plan/services.js';
import { SlotTable } from '../plan/slots.js';
import type { Asked, Witness } from '../plan/used.js';
import { HotPairs, USUAL_QUIET } from '../plan/used.js';
import type { Change } from '../system/entries.js';
import { kernelSeconds } from '../system/clock.js';
import { readSlots, readTables } from '../program/read.js';
import type { SettledSlots } from './text/settled.js';
import { readRecords } from '../program/records.js';
import { checkWitnesses } from './used.js';

/** How long the slots of a service remember. */
export interface Patience {
  /** Seconds for which no packet has gone elsewhere than to the current destination. */
  idle: number;
  /** Seconds after which a drained destination is forgotten in any case. */
  drainDeadline?: number | undefined;
}

export interface SettleOptions {
  /** Gives the patience of each service by its id. */
  patience: (services: readonly Service[]) => ReadonlyMap<number, Patience>;
  /** Turns all slots cold, or none, ready or not. */
  which: 'ready' | 'all' | 'none';
  used?: Used | undefined;
  /** Looks whether records have room, too. */
  looks: boolean;
  /** Writes nothing. */
  isDryRun: boolean;
}

/** What destinations said about their connections. */
export interface Used {
  witnesses: readonly Witness[];
  /** For how many seconds nobody may have needed a slot's memory; undefined: as usual. */
  quiet: number | undefined;
}

/** The tables as a fill has just left them, with the slots of some services. */
export interface KnownTables {
  tables: Tables;
  /** Ids of the services whose slots are in these tables. */
  slotsOf: ReadonlySet<number>;
  /** Takes the slots as they are once they have settled, and what that makes of the device. */
  after?: { slots: SlotTable; device: Device };
}

/** Settles the slots of every service on the device. What is known is not read again. */
export async function settle(
  { bpftool }: Pick<Tools, 'bpftool'>,
  maps: Maps,
  options: SettleOptions,
  lock: number,
  known?: KnownTables,
): Promise<SettledSlots> {
  const result: SettledSlots = { settled: 0, forgotten: 0, hot: 0, wait: 0 };
  if (!maps.memories) return result;
  const tables = known?.tables ?? (await readTables(bpftool, maps));
  const changes: Iterable<Change>[] = [];
  let isSame = true;
  const services = [...servicesIn(reachable(tables)).values()];
  const patienceOf = options.patience(services);
  const { used } = options;
  if (used) checkWitnesses(used.witnesses, tables, services);
  for (const service of services) {
    const slots = known?.slotsOf.has(service.id)
      ? tables.slots
      : await readSlots(bpftool, maps, service);
    const hot = await readHot(bpftool, maps, slots, service);
    const settledSlots = new SlotTable();
    const now = kernelSeconds();
    const { idle, drainDeadline } = patienceOf.get(service.id) ?? {
      idle: idleOf(service),
    };
    const isNaming = (service.flags & CELL_NAMES) !== 0;
    const addressOf: AddressOf = (id) => tables.destinations.get(id)?.address;
    const namesOf = (slot: Slot): number =>
      namesOfSlot(tables.device.names, addressOf, slot);
    const pairs =
      used && isNaming
        ? new HotPairs(
            used.witnesses,
            used.quiet ?? Math.min(idle, USUAL_QUIET),
            addressOf,
            now,
          )
        : undefined;
    for (const { key, slot, kept } of hot) {
      const isDrained = tables.destinations.get(slot.previous)?.weight === 0;
      const needed: Asked = pairs?.add(slot, kept, idle) ?? { kept, idle };
      const deadline = isDrained ? drainDeadline : undefined;
      const ready = settling(slot, needed.kept, now, needed.idle, deadline);
      const settled = asAsked(slot, ready, options);
      // The one before the previous may be needed still.
      const forgets = isNaming && settled.slot.previous === NOBODY;
      const value = forgets ? forgetPrevious(slot, namesOf) : settled.slot;
      const { wait } = settled;
      if (value !== slot) {
        settledSlots.set(key, value);
        known?.after?.slots.set(key, value);
        isSame = false;
      }
      if (!isHot(value)) {
        result.settled++;
        if (needed.pair) needed.pair.settled++;
        continue;
      }
      if (value !== slot) result.forgotten++;
      result.wait = result.hot === 0 ? wait : Math.min(result.wait, wait);
      result.hot++;
    }
    const written: Write = { map: 'slots', slots: settledSlots };
    changes.push(changesOf(maps, [written], slots));
    if (pairs) result.pairs = [...(result.pairs ?? []), ...pairs.all()];
  }
  if (!options.isDryRun && !isSame) {
    // Who keeps the slots in memory must see that they are others now.
    const generation = afterWriting(tables.device.generation);
    const device = { ...tables.device, generation };
    changes.push(changesOf(maps, [{ map: 'device', key: 0, value: device }], new Map()));
    await bpftool.write(inTurn(changes), lock);
    if (known?.after) known.after.device = device;
  }
  if (options.looks && services.some(({ flags }) => (flags & CELL_NAMES) === 0)) {
    result.records = await readRecords(bpftool, maps);
  }
  return result;
}

function asAsked(slot: Slot, ready: Settling, { which }: SettleOptions): Settling {
  if (which === 'all') return { slot: coldSlot(slot.current), wait: 0 };
  return which === 'none' ? { slot, wait: ready.wait } : ready;
}

function* inTurn<T>(all: Iterable<Iterable<T>>): Generator<T> {
  for (const one of all) yield* one;
}

export interface HotSlot {
  key: number;
  slot: Slot;
  /** When a packet last went elsewhere than to the current destination. */
  kept: number;
}

export async function readHot(
  bpftool: Tools['bpftool'],
  maps: Maps,
  slots: Tables['slots'],
  { firstSlot, log2Slots }: Service,
): Promise<HotSlot[]> {
  const hot: HotSlot[] = [];
  for (let key = firstSlot; key < firstSlot + (1 << log2Slots); key++) {
    const slot = slots.get(key);
    if (slot && isHot(slot)) hot.push({ key, slot, kept: 0 });
  }
  const keys = hot.map(({ key }) => encodeKey(key));
  const kept = maps.kept ? await bpftool.lookup(maps.kept.id, keys) : [];
  return hot.map((one, index) => ({
    ...one,
    kept: decodeKey(kept[index] ?? encodeKey(0)),
  }));
}
