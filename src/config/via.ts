// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Whether a check can take the way of its service's packets, as far as the file says. */
import type { Kind, Via } from '../health/check.js';
import { ANY_ADDRESS, formatAddress } from '../wire/address.js';
import { USUAL_FORWARD } from '../wire/forward.js';
import { TCP, UDP } from '../wire/protocols.js';
import type { WantedService } from './read.js';

/** The way of its packets, which is the usual one of its check. */
export function ownVia({ forward = USUAL_FORWARD }: WantedService): Via {
  return forward === 'tunnel' || forward === 'link' ? forward : 'address';
}

/** The addresses of a service, each once. */
export function addressesOf({ ways }: Pick<WantedService, 'ways'>): string[] {
  return [...new Set(ways.map(({ address }) => formatAddress(address)))];
}

/** Why a check cannot take this way; undefined: nothing in the file is against it. */
export function viaFault(
  service: WantedService,
  via: Via,
  services: readonly WantedService[],
): string | undefined {
  const { check, ways, forward = USUAL_FORWARD } = service;
  if (!check || via === 'address') return undefined;
  if (ownVia(service) === 'address') {
    return `by ${forward} packets go to the destination's own address; write via = "address"`;
  }
  if (via !== forward) {
    return `packets of this service go by ${forward}; write via = "${forward}" or "address"`;
  }
  if (check.question.kind === 'exec') {
    return 'a program opens sockets of its own, whose way nobody can choose; write via = "address"';
  }
  if (ways.some(({ address }) => address.equals(ANY_ADDRESS))) {
    return 'the service is on any address, so it has none to ask at; write via = "address"';
  }
  const protocol = protocolOf(check.question.kind);
  const taking = services.find((other) =>
    other.ways.some(
      (way) => way.address.equals(ANY_ADDRESS) && way.protocol === protocol,
    ),
  );
  if (taking) {
    return `the service at ${taking.place} is on any address, and takes the answers; write via = "address"`;
  }
  return undefined;
}

function protocolOf(kind: Kind): number {
  return kind === 'udp' || kind === 'dns' ? UDP : TCP;
}
