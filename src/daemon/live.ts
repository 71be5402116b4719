// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What the tables know better than the file: the next hops that were found, which the watch
 * keeps right, also of hosts that do not answer at this moment.
 */
import type { Destination } from '../abi/destination.js';
import type { DestinationRow } from '../config/destinations-csv.js';
import type { Given } from '../health/weights.js';
import type { ResolvedService } from '../plan/all.js';
import { reachable } from '../plan/cells.js';
import { matchServices } from '../plan/match-services.js';
import type { Tables } from '../plan/state.js';
import { ownedBy } from '../plan/state.js';
import type { WantedDestination } from '../plan/steps.js';
import { servicesIn } from '../plan/services.js';
import { must } from '../text/must.js';
import { formatMac, parseAddress } from '../wire/address.js';
import type { Endpoint } from '../wire/endpoint.js';
import { formatEndpoint } from '../wire/endpoint.js';

/** Next hops by the endpoint that they lead to, as far as they were found. */
export type Found = ReadonlyMap<string, Destination>;

export function foundIn({ destinations }: Tables): Found {
  return new Map(
    [...destinations.values()]
      .filter(({ isFound }) => isFound)
      .map((entry) => [formatEndpoint(entry), entry]),
  );
}

export const isToBeFound = ({ mac, device, isLocal }: DestinationRow): boolean =>
  mac === undefined && device === undefined && !isLocal;

/** A row need not be looked up whose next hop is known: its host may be down. */
export function withHop(row: DestinationRow, found: Found): DestinationRow {
  const entry = isToBeFound(row) ? found.get(endpointOf(row)) : undefined;
  return entry ? { ...row, mac: formatMac(entry.mac) } : row;
}

/** The same destination with the next hop that the tables have now. */
export function withLiveHop(
  one: WantedDestination,
  found: Found,
  { exits }: Tables,
): WantedDestination {
  const entry = one.isFound ? found.get(formatEndpoint(one)) : undefined;
  if (!entry) return one;
  const exit = entry.exit === 0 ? undefined : exits?.get(entry.exit);
  return { ...one, mac: entry.mac, exit };
}

/** What the tables give to each destination of the services that they have. */
export function givenIn(
  tables: Tables,
  services: readonly ResolvedService[],
): (service: string, row: DestinationRow) => Given | undefined {
  const idOf = idsIn(tables, services);
  return (service, row) => {
    const entry = tables.destinations.get(idOf(service, row) ?? 0);
    return entry && { weight: entry.weight, isForgotten: entry.isForgotten };
  };
}

/** The ids that the tables have for the destinations of these services. */
export function idsIn(
  tables: Tables,
  services: readonly ResolvedService[],
): (service: string, row: DestinationRow) => number | undefined {
  const idOf = idsByEndpoint(tables, services);
  return (service, row) => idOf(service, endpointOf(row));
}

/** The same by what formatEndpoint() writes. */
export function idsByEndpoint(
  tables: Tables,
  services: readonly ResolvedService[],
): (service: string, endpoint: string) => number | undefined {
  const live = [...servicesIn(reachable(tables)).values()];
  const ids = new Map<string, number>();
  for (const [{ name }, { id: service }] of matchServices(live, services)) {
    for (const [id, entry] of ownedBy(tables, service))
      ids.set(`${name} ${formatEndpoint(entry)}`, id);
  }
  return (service, endpoint) => ids.get(`${service} ${endpoint}`);
}

export function endpointOf({ address, port, isLocal }: DestinationRow): string {
  const endpoint: Endpoint = {
    address: must(parseAddress(address), address),
    ...(port !== undefined && { port }),
    ...(isLocal && { forward: 'local' as const }),
  };
  return formatEndpoint(endpoint);
}
