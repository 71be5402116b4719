// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The pools of full-nat: which addresses it sends from, and which blocks of ports these
 * have. They follow from the entries of a state; only their places in the map are kept, so
 * that a packet on its way finds each where it was.
 */
import { MOST_POOLS } from '../abi/pool.js';
import type { Pool } from '../abi/pool.js';
import type { Destination } from '../abi/destination.js';
import { encodePools } from '../abi/pool.js';
import { many } from '../text/format.js';
import type { Family, Source } from '../wire/outer-source.js';
import { FAMILIES, familyOf, formatSource } from '../wire/outer-source.js';
import { NoRoom } from './no-room.js';
import type { State, Write } from './state.js';
import type { Wanted } from './steps.js';

/** A place in the map; undefined where a pool was. */
export type PoolPlaces = readonly (Pool | undefined)[];

/** The first block of a service's pool, for each family that it has one of. */
export type Blocks = Partial<Record<Family, number>>;

/** The addresses that services send from by full-nat, and their blocks of ports. */
export interface UsedPool {
  /** The first address. */
  address: Buffer;
  /** Mask of the last bits, which differ by block. */
  spread: number;
  firstBlock: number;
  /** Ids. */
  services: number[];
}

/** The pools that entries send from, and whose these are. */
export function usedPools(destinations: Iterable<Destination>): UsedPool[] {
  const pools = new Map<string, UsedPool>();
  for (const { forward, service, source, spread, block } of destinations) {
    if (forward !== 'full-nat' || service === 0) continue;
    const key = `${source.toString('hex')} ${spread} ${block}`;
    const pool = pools.get(key) ?? {
      ...{ address: source, spread, firstBlock: block, services: [] },
    };
    if (!pool.services.includes(service)) pool.services.push(service);
    pools.set(key, pool);
  }
  return [...pools.values()];
}

function poolsIn(destinations: Iterable<Destination>): Pool[] {
  return usedPools(destinations).map(({ address, spread, firstBlock }) => ({
    ...{ address, hostBits: bitsOf(spread), firstBlock },
  }));
}

/**
 * Gives a service's pool its blocks: those that it has, those that a service with the same
 * pool has, or the first that are free. Its own former pool is not in the way, since it
 * ends with this change.
 */
export function blocksFor(state: State, { service, sources, forward }: Wanted): Blocks {
  if (forward !== 'full-nat') return {};
  const others = poolsIn(
    [...state.destinations.values()].filter((one) => one.service !== service.id),
  );
  const own = poolsIn(
    [...state.destinations.values()].filter((one) => one.service === service.id),
  );
  const blocks: Blocks = {};
  for (const family of FAMILIES) {
    const source = sources[family];
    if (!source) continue;
    const same = [...others, ...own].find((pool) => isPoolOf(pool, source));
    const firstBlock = same?.firstBlock ?? freeBlock(state, others, source);
    blocks[family] = firstBlock;
    const hostBits = bitsOf(source.spread);
    if (!same) others.push({ address: source.address, hostBits, firstBlock });
  }
  return blocks;
}

/** Where a pool was before, its records may still be good: it goes there if it can. */
function freeBlock(state: State, taken: readonly Pool[], source: Source): number {
  const { blocks = 0 } = state.sizes;
  const hostBits = bitsOf(source.spread);
  const size = 1 << hostBits;
  const before = state.pools?.find((pool) => pool && isPoolOf(pool, source));
  const all = Array.from({ length: Math.floor(blocks / size) }, (_, at) => at * size);
  const isFree = (firstBlock: number): boolean =>
    firstBlock + size <= blocks &&
    taken.every(
      (pool) =>
        firstBlock + size <= pool.firstBlock ||
        pool.firstBlock + (1 << pool.hostBits) <= firstBlock,
    );
  const first = [...(before ? [before.firstBlock] : []), ...all].find(isFree);
  if (first !== undefined) return first;
  const used = taken.reduce((sum, pool) => sum + (1 << pool.hostBits), 0);
  throw new NoRoom(
    `${formatSource(source)} needs ${many(size, 'block')} of ports, and ${blocks - used} of ${blocks} are free`,
    {
      cause:
        blocks - used >= size
          ? 'they do not lie in a row from a multiple of that, as those of a pool do'
          : 'each address of a pool has a block of 32,768 ports, which takes 2.25 MiB',
      next:
        blocks - used >= size
          ? 'take the services by full-nat out and fill them in again: that ends their connections'
          : `load the program anew with --blocks ${used + size}, or name fewer addresses with --source`,
    },
  );
}

/** Plans what comes before packets need it, and what goes when none does any more. */
export function planPools(
  { pools: there }: State,
  later: Iterable<Destination>,
): { added: Write[]; gone: Write[]; areThere: boolean } {
  const wanted = poolsIn(later);
  if (!there) return { added: [], gone: [], areThere: false };
  const isWanted = (pool: Pool | undefined): boolean =>
    pool !== undefined && wanted.some((one) => textOf(one) === textOf(pool));
  const before = [...there];
  for (const pool of wanted) {
    if (before.some((one) => one && textOf(one) === textOf(pool))) continue;
    before[placeFor(before, isWanted)] = pool;
  }
  const after = before.map((pool) => (isWanted(pool) ? pool : undefined));
  return {
    added: write(there, before),
    gone: write(before, after),
    areThere: wanted.length > 0,
  };
}

function placeFor(
  places: PoolPlaces,
  isWanted: (pool: Pool | undefined) => boolean,
): number {
  const hole = places.findIndex((pool) => pool === undefined);
  if (hole !== -1) return hole;
  if (places.length < MOST_POOLS) return places.length;
  const old = places.findIndex((pool) => !isWanted(pool));
  if (old !== -1) return old;
  throw new NoRoom(`there are ${MOST_POOLS} pools at most`, {
    cause: 'the program compares each packet that may be an answer with all of them',
    next: 'let several services of full-nat share one --source',
  });
}

function write(before: PoolPlaces, after: PoolPlaces): Write[] {
  const value = after.slice(0, after.findLastIndex((pool) => pool !== undefined) + 1);
  const isSame = encodePools(before).equals(encodePools(value));
  return isSame ? [] : [{ map: 'pools', key: 0, value }];
}

/** The first address and the last of a pool or source, as numbers. */
function rangeOf(address: Buffer, hostBits: number): [bigint, bigint] {
  const first = BigInt(`0x${address.toString('hex')}`);
  return [first, first + (1n << BigInt(hostBits)) - 1n];
}

/** Whether two sources have addresses in common. */
export function overlap(one: Source, other: Source): boolean {
  const [first, last] = rangeOf(one.address, bitsOf(one.spread));
  const [start, end] = rangeOf(other.address, bitsOf(other.spread));
  return (
    first <= end && start <= last && familyOf(one.address) === familyOf(other.address)
  );
}

function isPoolOf(pool: Pool, { address, spread }: Source): boolean {
  return pool.address.equals(address) && pool.hostBits === bitsOf(spread);
}

function bitsOf(spread: number): number {
  return 32 - Math.clz32(spread);
}

function textOf({ address, hostBits, firstBlock }: Pool): string {
  return `${address.toString('hex')}/${hostBits}@${firstBlock}`;
}
