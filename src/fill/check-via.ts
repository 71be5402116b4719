// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Chooses how checks reach destinations, as far as this host and its program let them. */
import { addressesOf, ownVia, viaFault } from '../config/via.js';
import type { WantedService } from '../config/read.js';
import type { Via } from '../health/check.js';
import { ownAddresses } from '../system/ip/own.js';
import type { Run } from '../system/run.js';
import { Failure } from '../text/failure.js';
import { ANY_ADDRESS, formatAddress } from '../wire/address.js';

const ANY = formatAddress(ANY_ADDRESS);

/**
 * The same services with a way for each check: what the file says, or that of the service's
 * packets if it can be. What the file says and cannot be is refused.
 */
export async function chooseVias<T extends WantedService>(
  run: Run,
  services: readonly T[],
  isHostBuild: boolean,
): Promise<T[]> {
  const wanted = services.map((service): Via => {
    const via = service.check?.via ?? ownVia(service);
    return service.check && !viaFault(service, via, services) ? via : 'address';
  });
  const isAsked = wanted.some((via) => via !== 'address');
  const own = isAsked
    ? await ownAddresses(run, services.flatMap(addressesOf).filter(isOne))
    : new Set<string>();
  const taking = services.find(({ ways }) =>
    ways.some(({ address, port }) => port === 0 && own.has(formatAddress(address))),
  );
  return services.map((service, index) => {
    const { check } = service;
    if (!check) return service;
    const via = wanted[index] ?? 'address';
    const fault =
      via === 'address' ? undefined : hostFault(service, { own, taking, isHostBuild });
    if (fault && check.isViaWanted) throw refusedVia(service, fault);
    return { ...service, check: { ...check, via: fault ? 'address' : via } };
  });
}

interface Host {
  /** Addresses of services that are its own. */
  own: ReadonlySet<string>;
  /** A service that gets all that is sent to one of them. */
  taking: WantedService | undefined;
  isHostBuild: boolean;
}

function hostFault(
  service: WantedService,
  { own, taking, isHostBuild }: Host,
): string | undefined {
  if (!isHostBuild) {
    return 'only the host build can do it: what the host sends does not get to a card';
  }
  const address = addressesOf(service).find((one) => own.has(one));
  if (address !== undefined) {
    return `${address} is an address of this host, so its packets would never leave`;
  }
  return (
    taking &&
    `the service at ${taking.place} has all ports of an address of this host, and takes the answers`
  );
}

function isOne(address: string): boolean {
  return address !== ANY;
}

/** What to do about it may be known; to ask otherwise always helps. */
export function refusedVia(
  { name, check }: WantedService,
  why: string | Failure,
): Failure {
  const usual = 'write via = "address", or leave via out';
  const [reason, next] =
    typeof why === 'string' ? [why, undefined] : [why.message, why.advice.next];
  return new Failure(`${check?.viaPlace ?? name}: via: ${reason}`, {
    next: next === undefined ? usual : `${next}; or ${usual}`,
  });
}
