// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Destinations on this host: what such services may be, and which servers they need. */
import { CELL_NAMES } from '../abi/cell.js';
import type { Server } from '../abi/steer.js';
import { Failure } from '../text/failure.js';
import { formatAddress } from '../wire/address.js';
import { formatEndpoint } from '../wire/endpoint.js';
import type { Endpoint } from '../wire/endpoint.js';
import { FAMILY_NAMES, familyOf } from '../wire/outer-source.js';
import { protocolName } from '../wire/protocols.js';
import { formatWay } from '../wire/way.js';
import { reachable } from './cells.js';
import { servicesIn } from './services.js';
import type { State, Tables } from './state.js';
import { ownedBy } from './state.js';
import type { Wanted } from './steps.js';

/** A server on this host that packets are for. */
export interface LocalServer extends Server {
  /** The destination's name. */
  destination: string;
  /** One of the services that have it. */
  service: number;
  /** The addresses that packets for it have. They must be of this host too. */
  addresses: string[];
}

export function formatServer({ address, port, protocol }: Server): string {
  return `${formatEndpoint({ address, port })}/${protocolName(protocol) ?? protocol}`;
}

/** All servers that packets are for, each once. */
export function localServersIn(state: Tables): LocalServer[] {
  const servers = new Map<string, LocalServer>();
  for (const { id, ways } of servicesIn(reachable(state)).values()) {
    const protocols = new Set(ways.map(({ protocol }) => protocol));
    for (const entry of ownedBy(state, id).values()) {
      if (entry.forward !== 'local') continue;
      const { address, port } = entry;
      for (const protocol of protocols) {
        const server = { address, port, protocol };
        const own = ways.filter((way) => way.protocol === protocol);
        const before = servers.get(formatServer(server))?.addresses ?? [];
        const addresses = own.map((way) => formatAddress(way.address));
        servers.set(formatServer(server), {
          ...server,
          destination: formatEndpoint(entry),
          service: id,
          addresses: [...new Set([...before, ...addresses])],
        });
      }
    }
  }
  return [...servers.values()];
}

/** The command that makes an address this host's own. */
export function addAddress(address: string): string {
  return `ip address add ${address}/${address.includes(':') ? 128 : 32} dev lo`;
}

export function isLocal({ forward }: Endpoint): boolean {
  return forward === 'local';
}

/** Refuses what no server on this host could get. */
export function checkLocal({ sizes }: State, wanted: Wanted): void {
  const { service, destinations } = wanted;
  const first = destinations.find(isLocal);
  if (!first) return;
  const name = formatEndpoint(first);
  if (sizes.sets === undefined) {
    throw new Failure(
      `${name} is on this host, and this program cannot pass packets to it`,
      {
        cause: 'a card and the portable build know nothing of the sockets of this host',
        next: 'load the host build, with -m xdpdrv or -m xdpgeneric',
      },
    );
  }
  if (service.flags & CELL_NAMES) {
    throw new Failure(`${name} is on this host, so the destinations cannot remember`, {
      cause:
        'a packet that passes to a server on this host has no outer header to name others in',
      next: 'let the balancer remember: remember = "balancer", or --remember balancer',
    });
  }
  const [any] = service.ways.filter(({ address }) => formatAddress(address) === 'any');
  if (any) {
    throw new Failure(`${name} is on this host, and its service is on any address`, {
      cause: 'the kernel gives a server only packets to addresses of this host',
      next: 'name the addresses of the service, with address = or --vip',
    });
  }
  for (const destination of destinations.filter(isLocal))
    checkFamily(wanted, destination);
}

/** A socket of one family gets no packets of the other. */
function checkFamily({ service: { ways } }: Wanted, destination: Endpoint): void {
  const family = familyOf(destination.address);
  const other = ways.find(({ address }) => familyOf(address) !== family);
  if (!other) return;
  throw new Failure(
    `${formatEndpoint(destination)} gets only ${FAMILY_NAMES[family]}, and its service is ${formatWay(other)} too`,
    {
      cause: 'a packet for a server on this host stays as it is, so both have one family',
      next: 'make a service for each family, each with its own local destination',
    },
  );
}
