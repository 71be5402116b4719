// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Refuses what a service's way to forward cannot do. */
import { CELL_NAMES } from '../abi/cell.js';
import { Failure } from '../text/failure.js';
import { formatAddress } from '../wire/address.js';
import { formatEndpoint } from '../wire/endpoint.js';
import type { Wanted } from './steps.js';

export function checkForward({ forward, service, destinations }: Wanted): void {
  checkPorts(destinations);
  if (forward === 'tunnel') return;
  if (service.flags & CELL_NAMES) {
    throw new Failure('the destinations cannot remember without a tunnel', {
      cause: 'the outer header of a tunnel names those that a slot had before',
      next: 'let the balancer remember, with --remember balancer, or use --forward tunnel',
    });
  }
  const behind = destinations.filter(({ router }) => router !== undefined);
  if (behind.length === 0) return;
  const list = behind.map(
    (one) => `${formatEndpoint(one)} is reached through ${one.router}`,
  );
  throw new Failure(
    `not all destinations are on the same link, nothing was written\n${list.join('\n')}`,
    {
      cause: 'a router would send packets to the address of the service back to here',
      next: 'use --forward tunnel for this service',
    },
  );
}

/** The other ways leave the packet as it is. */
function checkPorts(destinations: Wanted['destinations']): void {
  const named = destinations.filter(
    ({ port = 0, forward }) => port !== 0 && forward !== 'local',
  );
  const [first] = named;
  if (!first) return;
  throw new Failure(
    `${formatEndpoint(first)} has a port, and its packets would keep theirs`,
    {
      cause: 'behind a tunnel and by the link a packet stays as it is',
      next: `write ${formatAddress(first.address)}`,
    },
  );
}
