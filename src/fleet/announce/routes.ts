// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What a balancer announces: a blackhole route for each address of a service, in a table of
 * its own that BIRD learns. That is all our tools write, so the routing daemon's
 * configuration never changes, and after a reboot nothing is announced before it is served.
 */
import type { Run } from '../../system/run.js';
import type { Blackhole } from '../../system/ip/routes.js';
import { blackholesIn, changeBlackholes } from '../../system/ip/routes.js';
import { Fault } from '../../text/fault.js';
import {
  addressFault,
  formatAddress,
  parseAddress,
  unusableAddress,
} from '../../wire/address.js';

/** The usual table. Nothing looks into it but BIRD. */
export const ANNOUNCE_TABLE = 196;

export interface Announcement {
  address: string;
  /** The router shall prefer other balancers, and sends here if there is no other. */
  isDrained: boolean;
}

/** A metric says to BIRD whether the address is drained; between the two there are others. */
const METRIC = 100;
export const DRAINED_METRIC = 1000;

/** The tables of the kernel itself: unspec, default, main and local. */
const KERNEL_TABLES = [0, 253, 254, 255];

/** Throws a Fault if routes for BIRD cannot be in this table. */
export function checkAnnounceTable(table: number): number {
  if (!Number.isInteger(table) || table < 0 || table > 0xffff_ffff) {
    throw new Fault(`${table} is not a number of a routing table, from 1 to 4294967295`);
  }
  if (KERNEL_TABLES.includes(table)) {
    throw new Fault(`table ${table} is the kernel's own: its routes would take packets`);
  }
  return table;
}

/** Plans what turns the routes that are there into those that are wanted. */
export function planRoutes(
  there: readonly Blackhole[],
  wanted: readonly Announcement[],
): { add: Blackhole[]; remove: Blackhole[] } {
  const want = new Map(wanted.map((one) => [normal(one.address), metricOf(one)]));
  const has = new Map<string, Set<number>>();
  for (const { address, metric } of there) {
    has.set(address, (has.get(address) ?? new Set<number>()).add(metric));
  }
  return {
    add: [...want].flatMap(([address, metric]) =>
      has.get(address)?.has(metric) ? [] : [{ address, metric }],
    ),
    remove: there.filter(({ address, metric }) => want.get(address) !== metric),
  };
}

/**
 * Announces these addresses and no others: reads what is in the table, and changes what
 * differs. At a drain the new route comes before the old one goes, so the address is
 * announced all the time. Returns whether anything changed.
 */
export async function announce(
  { run }: { run: Run },
  table: number,
  wanted: readonly Announcement[],
): Promise<boolean> {
  checkAnnounceTable(table);
  const change = planRoutes(await blackholesIn(run, table), wanted);
  if (change.add.length + change.remove.length === 0) return false;
  await changeBlackholes(run, table, change);
  return true;
}

/** What is announced at present. Of two routes to an address the lower metric counts. */
export async function announced(
  { run }: { run: Run },
  table: number,
): Promise<Announcement[]> {
  const least = new Map<string, number>();
  for (const { address, metric } of await blackholesIn(run, table)) {
    least.set(address, Math.min(metric, least.get(address) ?? Infinity));
  }
  return [...least].map(([address, metric]) => ({
    address,
    isDrained: metric >= DRAINED_METRIC,
  }));
}

function metricOf({ isDrained }: Announcement): number {
  return isDrained ? DRAINED_METRIC : METRIC;
}

/** The kernel prints addresses in this form. */
function normal(text: string): string {
  const address = parseAddress(text);
  if (!address) throw new Fault(`"${text}" ${addressFault(text)}`);
  const unusable = unusableAddress(address);
  if (unusable) throw new Fault(`${text} cannot be announced: ${unusable}`);
  return formatAddress(address);
}
