// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** How many of the ports of full-nat are taken: datapath/ports.h says by whom, and until when. */
import { BLOCK_PORTS, CLAIM_SETS } from '../abi/pool.js';
import type { Claim } from '../abi/port.js';
import {
  CLAIM_CLIENT_FIN,
  CLAIM_ENDED,
  CLAIM_ESTABLISHED,
  CLAIM_LASTS,
  CLAIM_READY,
  CLAIM_RESET,
  CLAIM_RST,
  CLAIM_SERVER_FIN,
  CLAIM_TCP,
  CLAIM_UDP,
} from '../abi/port.js';
import { SEEN_SECONDS } from '../abi/record.js';
import { formatShare, many } from '../text/format.js';
import { Unseen } from '../text/unseen.js';
import { formatSource } from '../wire/outer-source.js';
import type { UsedPool } from './pools.js';

/**
 * From here on a new connection may find both of its sets full: each port of them is of a
 * connection that is established and not over.
 */
const RUNNING_OUT = 0.75;
const TICK = 1;

export interface PoolUse extends UsedPool {
  /** How many of its ports were looked at. */
  seen: number;
  /** How many of these have a connection that is not over. */
  taken: number;
  /** And how many of these no other connection can get. */
  established: number;
}

export interface PortsRead {
  /** How many blocks of ports the program has for all pools. */
  blocks: number;
  pools: PoolUse[];
}

/** What is known of the ports; undefined where nobody needs any. */
export type Ports = PortsRead | Unseen | undefined;

/** Sets that are a fair sample of a pool's: a hash chooses the set of each connection. */
export function setsToSee({ spread, firstBlock }: UsedPool, most: number): number[] {
  const all = (spread + 1) * CLAIM_SETS;
  const seen = Math.min(most, all);
  return Array.from(
    { length: seen },
    (_, index) => firstBlock * CLAIM_SETS + Math.floor((index * all) / seen),
  );
}

/** `now` is in seconds of the clock that the program reads. */
export function judgePool(
  pool: UsedPool,
  claims: readonly Claim[],
  now: number,
): PoolUse {
  const taken = claims.filter((claim) => isTaken(claim, now));
  return {
    ...pool,
    seen: claims.length,
    taken: taken.length,
    established: taken.filter(isKept).length,
  };
}

/** As rank_claim() has it: another CPU's clock may be a tick ahead. */
function isTaken({ signature, state, seen }: Claim, now: number): boolean {
  if (signature === 0) return false;
  const silent = (Math.floor(now / SEEN_SECONDS) + TICK - seen) & 0xffff;
  const finished = CLAIM_CLIENT_FIN | CLAIM_SERVER_FIN;
  const usual = state & CLAIM_TCP ? CLAIM_LASTS : CLAIM_UDP;
  const open = state & CLAIM_RST ? CLAIM_RESET : usual;
  const lasts = (state & finished) === finished ? CLAIM_ENDED : open;
  return silent <= lasts + TICK;
}

/** One that is just being taken counts as established. */
function isKept({ state }: Claim): boolean {
  return (state & CLAIM_ESTABLISHED) !== 0 || (state & CLAIM_READY) === 0;
}

/** From 0 to 1. */
export function establishedShare({ established, seen }: PoolUse): number {
  return seen === 0 ? 0 : established / seen;
}

export function runsOut(pool: PoolUse): boolean {
  return establishedShare(pool) >= RUNNING_OUT;
}

export function portsOf({ spread }: UsedPool): number {
  return (spread + 1) * BLOCK_PORTS;
}

export function nameOf(pool: UsedPool): string {
  return formatSource(pool);
}

export function describePool(pool: PoolUse): string {
  const { seen, taken, established } = pool;
  return `${nameOf(pool)}: ${formatShare(taken, seen)} of ${many(portsOf(pool), 'port')} are taken, ${formatShare(established, seen)} by established connections`;
}

/** How full each pool is, and what is wrong with the ports, in lines. */
export function describePorts(ports: Ports): string[] {
  if (ports === undefined) return [];
  if (ports instanceof Unseen) return [ports.why];
  return [...ports.pools.map(describePool), ...troubleWithPorts(ports)];
}

/** What is wrong with the ports, in lines; none if there are enough. */
export function troubleWithPorts(ports: Ports): string[] {
  if (ports === undefined) return [];
  if (ports instanceof Unseen) return [ports.why];
  return ports.pools
    .filter(runsOut)
    .map(
      (pool) =>
        `ports of ${nameOf(pool)} run out: ${formatShare(pool.established, pool.seen)} are of established connections, and from 75% on new ones are dropped`,
    );
}

/** Nothing where nobody needs ports; what could not be read is said. */
export function poolsJson(
  pools: readonly PoolUse[] | Unseen | undefined,
): Record<string, unknown> {
  if (pools === undefined) return {};
  return {
    pools: pools instanceof Unseen ? { unseen: pools.why } : pools.map(poolJson),
  };
}

function poolJson(pool: PoolUse): Record<string, unknown> {
  const share = (part: number): number =>
    Number((pool.seen === 0 ? 0 : part / pool.seen).toFixed(4));
  return {
    source: nameOf(pool),
    ports: portsOf(pool),
    taken_share: share(pool.taken),
    established_share: share(pool.established),
  };
}

export function portsJson(ports: Ports): Record<string, unknown> {
  return poolsJson(ports instanceof Unseen ? ports : ports?.pools);
}
