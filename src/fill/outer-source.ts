// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Chooses the source address of the outer headers, or of what full-nat sends: asked for,
 * kept, or, of outer headers, the device's own.
 */
import { readFileSync } from 'node:fs';

import { FIRST_PORT } from '../abi/pool.js';
import { overlap } from '../plan/pools.js';
import { formatAddress, parseAddress } from '../wire/address.js';
import type { DestinationRow } from '../config/destinations-csv.js';
import { Failure } from '../text/failure.js';
import type { Forward } from '../wire/forward.js';
import type { Link } from '../system/ip/links.js';
import type { ChosenAddress } from '../system/ip/own.js';
import type { AskedSources, Family, Source, Sources } from '../wire/outer-source.js';
import {
  FAMILIES,
  FAMILY_NAMES,
  familyOfText,
  formatSource,
} from '../wire/outer-source.js';

/**
 * The device's addresses for the families of some rows, and the error where it has none.
 */
export interface OwnSources {
  sources: Sources;
  missing: ReadonlyMap<Family, Failure>;
  /** Addresses of the whole host that its connections may have, where full-nat needs them. */
  chosen?: readonly ChosenAddress[];
}

export function ownSources(
  link: Link,
  rows: readonly DestinationRow[],
  chosen: readonly ChosenAddress[] = [],
): OwnSources {
  const sources: Sources = {};
  const missing = new Map<Family, Failure>();
  for (const family of FAMILIES) {
    const row = rows.find(
      ({ address, isLocal }) => !isLocal && familyOfText(address) === family,
    );
    if (!row) continue;
    const own = parseAddress(link.addresses[family] ?? '');
    if (own) sources[family] = { address: own, spread: 0 };
    else missing.set(family, noSource(link, family, row));
  }
  return { sources, missing, chosen };
}

/**
 * For each family: the address asked for, else what the service has, else the device's
 * own. Packets that keep their source need none.
 */
export function chooseSources(
  wanted: AskedSources,
  kept: Sources,
  own: OwnSources,
  forward: Forward,
): Sources {
  if (forward === 'full-nat') return choosePools(wanted, kept, own);
  if (forward !== 'tunnel') return {};
  const { isOwn, ...asked } = wanted;
  const sources = { ...own.sources, ...(isOwn ? {} : kept), ...asked };
  for (const [family, failure] of own.missing) if (!sources[family]) throw failure;
  return sources;
}

/**
 * Full-nat takes what answers to its ports bring, so it must not share an address with
 * connections of the host, unless these have other ports. A pool of a family that no
 * destination has would take its blocks for nothing.
 */
function choosePools(
  { isOwn, ...asked }: AskedSources,
  kept: Sources,
  own: OwnSources,
): Sources {
  if (isOwn) throw ownPool('the address of the device');
  const sources: Sources = {};
  for (const family of FAMILIES) {
    if (!own.sources[family] && !own.missing.has(family)) continue;
    const source = asked[family] ?? kept[family];
    if (!source) throw noPool(family);
    sources[family] = source;
    const taken = takenBy(source, family, own);
    if (taken === undefined || lastOwnPort() < FIRST_PORT) continue;
    throw ownPool(`${formatSource(source)} has ${taken}, which`);
  }
  return sources;
}

/** The first address of a pool that connections of this host have. */
function takenBy(
  pool: Source,
  family: Family,
  { sources, chosen = [] }: OwnSources,
): string | undefined {
  const own = sources[family];
  if (own && overlap(pool, own)) return formatAddress(own.address);
  const other = chosen.find((one) => {
    const address = parseAddress(one.address);
    return address !== undefined && overlap(pool, { address, spread: 0 });
  });
  return other && `${other.address} of ${other.device}`;
}

/** The last port that the host gives to connections of its own. */
function lastOwnPort(): number {
  const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1');
  return Number(range.trim().split(/\s+/)[1]);
}

function ownPool(what: string): Failure {
  return new Failure(`${what} is the host's own, and full-nat cannot send from it`, {
    cause: 'connections of the host have ports from 32768, as those of full-nat have',
    next: "name addresses that nothing else uses with --source, or let the host take others: sysctl -w net.ipv4.ip_local_port_range='1024 32767'",
  });
}

function noPool(family: Family): Failure {
  const example = family === 'ipv4' ? '192.0.2.16/30' : '2001:db8::10/126';
  return new Failure(`full-nat has no ${FAMILY_NAMES[family]} addresses to send from`, {
    cause: 'it sends connections on from ports of addresses that nothing else uses',
    next: `name them, with a way for answers to this host: --source ${example} (source in a config file)`,
  });
}

function noSource({ name }: Link, family: Family, row: DestinationRow): Failure {
  return new Failure(`${name} has no ${FAMILY_NAMES[family]} address to send from`, {
    cause: `${row.place}: ${row.address} needs an outer header of its own family`,
    next: `name one with --source, or: ip addr add ADDRESS/LENGTH dev ${name}`,
  });
}
