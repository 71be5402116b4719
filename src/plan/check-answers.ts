// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Refuses what would take the answers of nat and full-nat. A packet is looked up as one of
 * a service first, so no service may have an address of a pool, and none on any address may
 * stand beside these. It may be the plan's order alone that brings two of them together, so
 * each is a matter of room.
 */
import type { Destination } from '../abi/destination.js';
import { ANY_ADDRESS } from '../wire/address.js';
import { formatEndpoint } from '../wire/endpoint.js';
import type { Endpoint } from '../wire/endpoint.js';
import type { Forward } from '../wire/forward.js';
import { answersComeBack, forwardIn } from '../wire/forward.js';
import type { Source } from '../wire/outer-source.js';
import { FAMILIES, formatSource } from '../wire/outer-source.js';
import type { Way } from '../wire/way.js';
import { formatWay } from '../wire/way.js';
import { NoRoom } from './no-room.js';
import { overlap, usedPools } from './pools.js';
import { servicesIn } from './services.js';
import type { State } from './state.js';
import type { Wanted } from './steps.js';

/** What a service has that answers can meet. */
interface Part {
  ways: readonly Way[];
  forward: Forward;
  /** Not those on this host. */
  destinations: readonly Endpoint[];
  pools: readonly Source[];
}

export function checkAnswersReach(live: State, wanted: Wanted): void {
  const own = partOf(wanted);
  const entries = byService(live.destinations.values());
  const others = [...servicesIn(live.cells).values()]
    .filter(({ id }) => id !== wanted.service.id)
    .map(({ id, ways }) => partIn(ways, entries.get(id) ?? []));
  checkPools(own, own);
  for (const other of others) {
    checkAny(own, other);
    checkAny(other, own);
    checkPools(own, other);
    checkPools(other, own);
    checkParts(own.pools, other.pools);
  }
}

function partOf({ service, forward, destinations, sources }: Wanted): Part {
  return {
    ways: service.ways,
    forward,
    destinations: destinations.filter((one) => one.forward !== 'local'),
    pools: forward === 'full-nat' ? FAMILIES.flatMap((one) => sources[one] ?? []) : [],
  };
}

/** There may be many services, so the entries are gone through once for all of them. */
function byService(entries: Iterable<Destination>): Map<number, Destination[]> {
  const owned = new Map<number, Destination[]>();
  for (const entry of entries) {
    if (entry.service === 0) continue;
    const there = owned.get(entry.service);
    if (there) there.push(entry);
    else owned.set(entry.service, [entry]);
  }
  return owned;
}

function partIn(ways: readonly Way[], entries: readonly Destination[]): Part {
  return {
    ways,
    forward: forwardIn(entries),
    destinations: entries.filter((one) => one.forward !== 'local'),
    pools: usedPools(entries),
  };
}

function checkAny(taker: Part, answered: Part): void {
  if (!answersComeBack(answered.forward)) return;
  const any = taker.ways.find(({ address }) => address.equals(ANY_ADDRESS));
  const way = answered.ways.find(({ protocol }) =>
    taker.ways.some(
      (one) => one.address.equals(ANY_ADDRESS) && one.protocol === protocol,
    ),
  );
  if (!any || !way) return;
  throw new NoRoom(
    `the service ${formatWay(any)} would take the answers of ${formatWay(way)}, which come back by ${answered.forward}`,
    {
      cause: 'a packet that a service wants is no answer, and this one wants all',
      next: 'name its addresses with --vip, or with address in a config file',
    },
  );
}

function checkPools({ pools }: Part, { ways, destinations }: Part): void {
  for (const pool of pools) {
    const has = (address: Buffer): boolean => overlap(pool, { address, spread: 0 });
    const way = ways.find(({ address }) => has(address));
    if (way) throw inPool(pool, `the service ${formatWay(way)} has`);
    const end = destinations.find(({ address }) => has(address));
    if (end) throw inPool(pool, `the destination ${formatEndpoint(end)} has`);
  }
}

/** Two services may have the same pool, but not parts of one: an address has one block. */
function checkParts(own: readonly Source[], others: readonly Source[]): void {
  for (const source of own) {
    const other = others.find(
      (pool) => overlap(pool, source) && formatSource(pool) !== formatSource(source),
    );
    if (!other) continue;
    throw inPool(source, `another service sends from ${formatSource(other)}, which has`);
  }
}

function inPool(source: Source, who: string): NoRoom {
  return new NoRoom(`${who} an address of ${formatSource(source)}`, {
    cause: 'what comes to an address that full-nat sends from has to be an answer',
    next: 'give one of the two other addresses: full-nat needs some that nothing else uses',
  });
}
