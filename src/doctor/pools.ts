// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Finds out who answers for the addresses that full-nat sends from. */
import { usedPools } from '../plan/pools.js';
import type { UsedPool } from '../plan/pools.js';
import type { State, Tables } from '../plan/state.js';
import type { Maps } from '../program/find.js';
import { readCounted } from '../program/read.js';
import type { Context } from '../program/tools.js';
import type { Device } from '../system/ip/namespaces.js';
import type { Place } from '../system/ip/own.js';
import { ownNetworks, placesOf, proxiedBy } from '../system/ip/own.js';
import { readAsked } from '../system/settings.js';
import { formatAddress } from '../wire/address.js';
import { formatSource } from '../wire/outer-source.js';
import type { ExitFacts, PoolsFacts } from './facts.js';
import { works } from './findings.js';

/** Returns undefined where nobody sends by full-nat. */
export async function readPools(
  { run, bpftool }: Context,
  device: Device,
  exits: readonly ExitFacts[],
  tables: Tables,
  maps: Maps,
): Promise<PoolsFacts | undefined> {
  const used = usedPools(tables.destinations.values());
  if (used.length === 0) return undefined;
  const names = [device, ...exits.filter(works).flatMap((exit) => exit.device ?? [])];
  const networks = await ownNetworks(run);
  const all = await placesOf(run, used.flatMap(addressesOf));
  const { returned } = await readCounted(bpftool, maps, tables.destinations);
  const none: Place = { isLocal: false, device: undefined };
  return {
    links: await Promise.all(
      [...new Set(names.map(({ name }) => name))].map(async (name) => ({
        name,
        networks: networks.get(name) ?? [],
        proxied: await proxiedBy(run, name),
        ...(await readAsked(name)),
      })),
    ),
    pools: used.map((pool) => ({
      source: formatSource(pool),
      addresses: addressesOf(pool).map((address) => ({
        address,
        ...(all.get(address) ?? none),
      })),
      returned: returnedTo(pool, tables, returned),
    })),
  };
}

/** All of them: blocks of ports allow 1,024. */
function addressesOf({ address, spread }: UsedPool): string[] {
  return Array.from({ length: spread + 1 }, (_, index) => {
    const one = Buffer.from(address);
    one.writeUInt16BE(one.readUInt16BE(14) + index, 14);
    return formatAddress(one);
  });
}

/** How many answers came to a pool since the program was loaded. */
function returnedTo(
  pool: UsedPool,
  { destinations }: Tables,
  returned: State['returned'],
): bigint {
  let sum = 0n;
  for (const [id, { forward, service, source, spread }] of destinations) {
    const isOf = forward === 'full-nat' && service !== 0;
    if (isOf && spread === pool.spread && source.equals(pool.address)) {
      sum += returned?.get(id)?.packets ?? 0n;
    }
  }
  return sum;
}
