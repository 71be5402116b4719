// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Chooses the source address of the outer headers: asked for, kept, or the device's own.
 */
import { parseAddress } from '../wire/address.js';
import type { DestinationRow } from '../config/destinations-csv.js';
import { Failure } from '../text/failure.js';
import type { Forward } from '../wire/forward.js';
import type { Link } from '../system/ip/links.js';
import type { AskedSources, Family, Sources } from '../wire/outer-source.js';
import { FAMILIES, FAMILY_NAMES, familyOfText } from '../wire/outer-source.js';

/**
 * The device's addresses for the families of some rows, and the error where it has none.
 */
export interface OwnSources {
  sources: Sources;
  missing: ReadonlyMap<Family, Failure>;
}

export function ownSources(link: Link, rows: readonly DestinationRow[]): OwnSources {
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
  return { sources, missing };
}

/**
 * For each family: the address asked for, else what the service has, else the device's
 * own. Without a tunnel there is no outer header to have a source.
 */
export function chooseSources(
  { isOwn, ...asked }: AskedSources,
  kept: Sources,
  own: OwnSources,
  forward: Forward,
): Sources {
  if (forward !== 'tunnel') return {};
  const sources = { ...own.sources, ...(isOwn ? {} : kept), ...asked };
  for (const [family, failure] of own.missing) if (!sources[family]) throw failure;
  return sources;
}

function noSource({ name }: Link, family: Family, row: DestinationRow): Failure {
  return new Failure(`${name} has no ${FAMILY_NAMES[family]} address to send from`, {
    cause: `${row.place}: ${row.address} needs an outer header of its own family`,
    next: `name one with --source, or: ip addr add ADDRESS/LENGTH dev ${name}`,
  });
}
