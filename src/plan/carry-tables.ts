// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Plans what goes from old maps into new ones when a program of another build replaces
 * one: the tables before the swap, the sums after it.
 */
import { must } from '../text/must.js';
import { reachable } from './cells.js';
import { asWanted } from './exits.js';
import { addCounters } from '../abi/counter.js';
import type { Counter } from '../abi/counter.js';
import { DEVICE_XDP_ANSWERS } from '../abi/device.js';
import type { State, Write } from './state.js';
import { applyWrites } from './state.js';
import { plan } from './service.js';
import type { Service } from './services.js';
import type { Slots } from './slots.js';
import { SlotTable } from './slots.js';
import { keepsSsh, servicesIn } from './services.js';
import { sameEndpoint } from '../wire/endpoint.js';
import { forwardIn } from '../wire/forward.js';
import { sourcesIn } from '../wire/outer-source.js';
import { formatWay } from '../wire/way.js';
import { append } from '../text/lists.js';

export interface CarriedTables {
  writes: Write[];
  /** From an old id to the new one. What did not fit is missing. */
  ids: Map<number, number>;
  /** What did not fit, as sentences. */
  losses: string[];
}

/**
 * Plans the tables for the new maps. A service keeps its number of slots if it fits, and
 * then no packet moves. A minimal table needs the old slots for that.
 */
export function carryTables(
  old: State,
  sizes: State['sizes'],
  device: { mac: Buffer; mtu: number; ifindex?: number },
): CarriedTables {
  const losses: string[] = [];
  const ids = new Map<number, number>();
  const writes: Write[] = [];
  let state: State = {
    sizes,
    device: old.device,
    cells: new Map(),
    destinations: new Map(),
    ...(sizes.canLeave && { exits: new Map() }),
    ...(sizes.canRewrite && { answers: new Map() }),
    ...(sizes.blocks !== undefined && { pools: [] }),
    counters: new Map(),
    slots: new Map(),
  };
  for (const service of fitServices(
    [...servicesIn(reachable(old)).values()],
    sizes.slots,
    losses,
  )) {
    const owned = [...old.destinations].filter(
      ([, entry]) => entry.service === service.id,
    );
    if (owned.length === 0) continue;
    const step = plan(state, {
      service,
      isNew: true,
      destinations: owned.map(([, entry]) => asWanted(old, entry)),
      forward: forwardIn(owned.map(([, entry]) => entry)),
      sources: sourcesIn(owned.map(([, entry]) => entry)),
      takeSsh: keepsSsh(old, service) === false,
      sessionPort: old.device.sessionPort,
      from: { ...old, slots: movedSlots(old, service) },
      ...device,
    });
    if (step.used < step.wanted) {
      losses.push(`only ${step.used} of ${step.wanted} destinations fit the new program`);
    }
    state = applyWrites(state, step.writes);
    append(writes, step.writes);
    for (const [id, entry] of owned) {
      const match = [...state.destinations].find(
        ([, other]) => other.service === service.id && sameEndpoint(other, entry),
      );
      if (match) ids.set(id, match[0]);
    }
  }
  if (old.device.flags & DEVICE_XDP_ANSWERS && !sizes.canRewrite) {
    losses.push('the kernel sends answers from now on, as the new program cannot');
  }
  return { writes, ids, losses };
}

/**
 * The old slots of a service at its new place. If it has fewer slots now, only the first.
 */
function movedSlots(old: State, { id, firstSlot, log2Slots }: Service): Slots {
  const there = servicesIn(reachable(old)).get(id);
  const before = must(there, `service ${id} of the old program`).firstSlot;
  const slots = new SlotTable();
  for (let number = 0; number < 1 << log2Slots; number++) {
    const slot = old.slots.get(before + number);
    if (slot) slots.set(firstSlot + number, slot);
  }
  return slots;
}

/** Places the largest service first, so that each lies at a multiple of its length. */
function fitServices(services: Service[], slots: number, losses: string[]): Service[] {
  const total = services.reduce((sum, { log2Slots }) => sum + (1 << log2Slots), 0);
  const most =
    total <= slots
      ? Infinity
      : Math.max(0, Math.floor(Math.log2(slots / services.length)));
  let firstSlot = 0;
  return [...services]
    .sort((a, b) => b.log2Slots - a.log2Slots)
    .map((service) => {
      const log2Slots = Math.min(service.log2Slots, most);
      if (log2Slots < service.log2Slots) {
        losses.push(
          `${service.ways.map(formatWay).join(', ')}: ${1 << log2Slots} slots now, ` +
            `not ${1 << service.log2Slots}, so most of its connections move`,
        );
      }
      const placed = { ...service, log2Slots, firstSlot };
      firstSlot += 1 << log2Slots;
      return placed;
    });
}

/** The sums by new id. Id 0 gets those of ids that are gone. */
export function carrySums(
  counters: ReadonlyMap<number, Counter>,
  ids: ReadonlyMap<number, number>,
): Map<number, Counter> {
  const sums = new Map<number, Counter>();
  for (const [id, counter] of counters) {
    if (counter.packets === 0n) continue;
    const to = ids.get(id) ?? 0;
    const before = sums.get(to);
    sums.set(to, before ? addCounters(before, counter) : counter);
  }
  return sums;
}
