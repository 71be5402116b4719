// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Finds the services that the cells describe, and the one that a fill is for. */
import { isWay, reachable } from './cells.js';
import { QUAD } from '../abi/slot.js';
import {
  CELL_HASH_SOURCE,
  CELL_KEEPS_SSH,
  CELL_MINIMAL_TABLE,
  CELL_NAMES,
  CELL_UDP_STAYS,
} from '../abi/cell.js';
import type { Cell } from '../abi/cell.js';
import { Failure } from '../text/failure.js';
import type { Way } from '../wire/way.js';
import { EVERYTHING, compareWays, formatWay, wayKey } from '../wire/way.js';

/** A set of slots and destinations, and the ways into it. */
export interface Service {
  id: number;
  firstSlot: number;
  log2Slots: number;
  ways: Way[];
  /** Flags of all its cells: those in SERVICE_FLAGS. */
  flags: number;
  /** Seconds, 0 for the default. */
  idle: number;
  /** Seconds, 0 for none. */
  drainDeadline: number;
}

const SERVICE_FLAGS = CELL_HASH_SOURCE | CELL_UDP_STAYS | CELL_MINIMAL_TABLE | CELL_NAMES;

/** Finds the services in reachable cells: see cells.ts. */
export function servicesIn(cells: ReadonlyMap<number, Cell>): Map<number, Service> {
  const services = new Map<number, Service>();
  for (const cell of cells.values()) {
    if (!isWay(cell)) continue;
    const { service: id, firstSlot, log2Slots, idle, drainDeadline } = cell;
    const flags = cell.flags & SERVICE_FLAGS;
    const service = services.get(id) ?? {
      ...{ id, firstSlot, log2Slots, flags, idle, drainDeadline },
      ways: [],
    };
    // After a change of seed was cut short, a way can lie in two cells.
    if (!service.ways.some((way) => wayKey(way) === wayKey(cell)))
      service.ways.push(cell);
    services.set(id, service);
  }
  for (const { ways } of services.values()) ways.sort(compareWays);
  return services;
}

/** Whether a service leaves ssh to the host; undefined if no way is on all ports. */
export function keepsSsh(
  live: Parameters<typeof reachable>[0],
  { id }: Pick<Service, 'id'>,
): boolean | undefined {
  const cell = [...reachable(live).values()].find(
    (one) => isWay(one) && one.service === id && one.port === 0,
  );
  return cell && (cell.flags & CELL_KEEPS_SSH) !== 0;
}

/** The slots of a service if no other number is asked for. */
const DEFAULT_SLOTS = 65536;

export function defaultSlots(sizes: { slots: number }): number {
  return Math.min(DEFAULT_SLOTS, sizes.slots);
}

/**
 * Chooses the service that the ways lead to, or a new one. Without ways it is the only
 * service there is, or a new one for everything.
 */
export function chooseService(
  cells: ReadonlyMap<number, Cell>,
  ways: readonly Way[] | undefined,
  sizes: { slots: number },
  slots?: number,
): { service: Service; isNew: boolean } {
  const services = [...servicesIn(cells).values()];
  const matching = ways
    ? services.filter((service) => service.ways.some((way) => includesWay(ways, way)))
    : services;
  if (matching.length > 1) throw tooMany(matching, ways !== undefined);

  const [there] = matching;
  if (there) {
    const has = 1 << there.log2Slots;
    if (slots !== undefined && slots !== has) {
      throw new Failure(`this service has ${has} slots, and keeps them for life`, {
        cause: 'another number would move nearly all connections',
        next: 'leave --slots out, or load the program anew',
      });
    }
    return { service: { ...there, ways: [...(ways ?? there.ways)] }, isNew: false };
  }
  return { service: newService(services, ways ?? EVERYTHING, sizes, slots), isNew: true };
}

function includesWay(ways: readonly Way[], way: Way): boolean {
  return ways.some((other) => wayKey(other) === wayKey(way));
}

function tooMany(services: Service[], named: boolean): Failure {
  const all = services.map(({ ways }) => ways.map(formatWay).join(', ')).join(' and ');
  return named
    ? new Failure(`these ways lead to ${services.length} services: ${all}`, {
        next: 'name the ways of one service',
      })
    : new Failure(`there are ${services.length} services: ${all}`, {
        next: 'name the one to fill with --vip',
      });
}

function newService(
  services: readonly Service[],
  ways: readonly Way[],
  sizes: { slots: number },
  asked?: number,
): Service {
  const slots = asked ?? defaultSlots(sizes);
  const firstSlot = freeRun(services, slots, sizes);
  if (firstSlot === undefined) {
    throw new Failure(`no ${slots} slots are free, of ${sizes.slots} in all`, {
      cause: 'other services have them, or the program was built with fewer',
      next: 'ask for fewer with --slots, or begin anew with l4lb-load --off and l4lb-load',
    });
  }
  const log2Slots = Math.log2(slots);
  const id = freeService(services);
  const unset = { flags: 0, idle: 0, drainDeadline: 0 };
  return { id, firstSlot, log2Slots, ways: [...ways], ...unset };
}

/** The lowest id that no service has. */
export function freeService(services: readonly Pick<Service, 'id'>[]): number {
  const taken = new Set(services.map(({ id }) => id));
  let id = 1;
  while (taken.has(id)) id++;
  return id;
}

/**
 * The first free run of slots at a multiple of its length, so that no two services share
 * a quad.
 */
export function freeRun(
  services: readonly Pick<Service, 'firstSlot' | 'log2Slots'>[],
  slots: number,
  sizes: { slots: number },
): number | undefined {
  const length = Math.max(slots, QUAD);
  const inOrder = [...services].sort((a, b) => a.firstSlot - b.firstSlot);
  let first = 0;
  for (const { firstSlot, log2Slots } of inOrder) {
    const end = firstSlot + (1 << log2Slots);
    const isTaken = firstSlot < first + length && first < end;
    if (isTaken) first = Math.ceil(end / length) * length;
  }
  return first + length > sizes.slots ? undefined : first;
}
