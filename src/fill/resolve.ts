// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Completes rows by what the kernel knows of the way to each destination: the next hop's
 * MAC, and the device that leads there. A row that names a MAC is for the device of the
 * program, unless it names another one.
 */
import type { Context } from '../program/tools.js';
import type { DestinationRow } from '../config/destinations-csv.js';
import type { State } from '../plan/state.js';
import type { WantedDestination } from '../plan/steps.js';
import type { Link } from '../system/ip/links.js';
import type { Answering } from '../system/ip/neighbours.js';
import { Neighbours } from '../system/ip/neighbours.js';
import { Failure } from '../text/failure.js';
import { at, must } from '../text/must.js';
import { parseAddress, parseMac } from '../wire/address.js';
import { exitsOf } from '../program/exits.js';
import { addAddress } from '../plan/local-servers.js';
import { ownAddresses } from '../system/ip/own.js';

/** A program that cannot send by another device asks for all rows on its own. */
export async function resolveRows(
  tools: Pick<Context, 'run' | 'ip'>,
  link: Link,
  rows: readonly DestinationRow[],
  { canLeave }: Pick<State['sizes'], 'canLeave'>,
): Promise<WantedDestination[]> {
  const remote = rows.filter(({ isLocal }) => !isLocal);
  await checkOwn(tools.run, rows);
  const neighbours = new Neighbours(tools.run);
  const devices = await devicesOf(neighbours, link, remote, canLeave ?? false);
  const exits = await exitsOf(tools, link, devices);
  const hops = new Map<string, Answering>();
  for (const device of new Set(devices.values())) {
    const missing = remote
      .filter(({ address, mac }) => mac === undefined && devices.get(address) === device)
      .map(({ address }) => address);
    if (missing.length === 0) continue;
    const found = await neighbours.resolve(device, missing);
    for (const [address, hop] of found) hops.set(address, hop);
  }
  const unknown = remote.filter(
    ({ address, mac }) => mac === undefined && !hops.has(address),
  );
  if (unknown.length > 0)
    throw noMac(unknown, (row) => devices.get(row.address) ?? link.name);
  return rows.map((row): WantedDestination => {
    if (row.isLocal) return localDestination(row);
    const hop = hops.get(row.address);
    return {
      address: parseAddress(row.address) as Buffer,
      ...(row.port !== undefined && { port: row.port }),
      mac: must(
        parseMac(row.mac ?? must(hop, row.address).mac),
        `the MAC of ${row.address}`,
      ),
      weight: row.weight,
      router: hop?.router,
      // What the file names stays as it is there.
      isFound: row.mac === undefined && row.device === undefined,
      exit: exits.get(must(devices.get(row.address), row.address)),
    };
  });
}

const NO_MAC = Buffer.alloc(6);

/** A destination on this host, which packets pass to as they are. */
export function localDestination({
  address,
  port,
  weight,
}: DestinationRow): WantedDestination {
  const bytes = must(parseAddress(address), address);
  return { address: bytes, port, forward: 'local', mac: NO_MAC, weight };
}

async function checkOwn(
  run: Context['run'],
  rows: readonly DestinationRow[],
): Promise<void> {
  const local = rows.filter(({ isLocal }) => isLocal);
  const own = await ownAddresses(
    run,
    local.map(({ address }) => address),
  );
  const others = local.filter(({ address }) => !own.has(address));
  const [first] = others;
  if (!first) return;
  const list = others.map(({ place, address }) => `${place}: ${address}`);
  throw new Failure(
    `not an address of this host, nothing was written\n${list.join('\n')}`,
    {
      cause: 'it is not on any device here, or that device is down',
      next: addAddress(first.address),
    },
  );
}

/**
 * The device towards each address: the one that the row names, or that its route has. An
 * address without a route is missing: asked about a device, the kernel would take it for the
 * right one, and whoever answers there would get the packets.
 */
async function devicesOf(
  neighbours: Neighbours,
  link: Link,
  rows: readonly DestinationRow[],
  canLeave: boolean,
): Promise<Map<string, string>> {
  const asked = rows.filter(
    ({ mac, device: named }) => canLeave && mac === undefined && named === undefined,
  );
  const routed = await neighbours.devices(asked.map(({ address }) => address));
  const isAsked = new Set(asked);
  return new Map(
    rows.flatMap((row) => {
      const device = isAsked.has(row)
        ? routed.get(row.address)
        : (row.device ?? link.name);
      return device === undefined ? [] : [[row.address, device] as const];
    }),
  );
}

function noMac(
  rows: readonly DestinationRow[],
  deviceOf: (row: DestinationRow) => string,
): Failure {
  const list = rows.map((row) => `${row.place}: no host answers for ${row.address}`);
  const first = at(rows, 0);
  const name = deviceOf(first);
  return new Failure(`no MAC address found, nothing was written\n${list.join('\n')}`, {
    cause: `there is no route to it over ${name}, or its host is down`,
    next: `run ip route get ${first.address} oif ${name}; or write the MAC into the row`,
  });
}
