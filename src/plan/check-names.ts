// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Refuses services whose destinations could not follow what packets name, and says who cannot be named. */
import { CELL_NAMES } from '../abi/cell.js';
import { Failure } from '../text/failure.js';
import { many } from '../text/format.js';
import { formatAddress } from '../wire/address.js';
import type { Names } from '../wire/names.js';
import { formatNames, isInNames, numberOf } from '../wire/names.js';
import type { Source } from '../wire/outer-source.js';
import { FAMILY_NAMES, familyOf } from '../wire/outer-source.js';
import { reachable } from './cells.js';
import { isHot } from './hot-slots.js';
import type { Service } from './services.js';
import { someSlot } from './slots.js';
import { servicesIn } from './services.js';
import type { State } from './state.js';
import type { Wanted } from './steps.js';

const MOST_WARNINGS = 5;

/** Refuses what no destination could follow. */
export function checkNames(live: State, wanted: Wanted): void {
  const { service, destinations, names, sources } = wanted;
  const there = servicesIn(reachable(live)).get(service.id);
  const isNaming = (service.flags & CELL_NAMES) !== 0;
  const named = { ...live.device.names, ...names };
  const family = destinations
    .map(({ address }) => familyOf(address))
    .find((one) => !named[one]);
  if (isNaming && family !== undefined) {
    throw new Failure(
      `there is no prefix to name ${FAMILY_NAMES[family]} destinations by`,
      {
        cause:
          'the destinations are to remember, but --names, or names in a config file, is missing',
        next: `add --names ${family === 'ipv4' ? '10.7.0.0/16' : 'fd00:7::/112'}, a prefix that your network routes nowhere`,
      },
    );
  }
  if (isNaming) {
    const used = [
      ...destinations.map(({ address }) => address),
      ...Object.values(sources).flatMap((one?: Source) => (one ? [one.address] : [])),
    ];
    checkOutside(named, used);
  }
  const others = there && (there.flags ^ service.flags) & CELL_NAMES;
  if (others && someSlot(live.slots, isHot)) {
    throw new Failure('who remembers cannot change while slots are hot', {
      cause: 'the one does not know the connections that the other knows',
      next: 'wait until none is hot, with l4lb-map --settle --wait, or give them up with --settle --now',
    });
  }
}

/** Refuses a prefix that no service on the device would use: whoever names one means to. */
export function checkNamesUsed(
  { names = {} }: Pick<Wanted, 'names'>,
  services: Iterable<Pick<Service, 'flags'>>,
): void {
  if (Object.keys(names).length === 0) return;
  if ([...services].some(({ flags }) => (flags & CELL_NAMES) !== 0)) return;
  throw new Failure('--names is for services whose destinations remember', {
    cause: 'here the balancer remembers, and its packets name nobody',
    next: 'add --remember destinations, or leave --names out',
  });
}

/** Refuses prefixes that hold the address of a host: its packets would seem to name somebody. */
export function checkOutside(names: Names, addresses: readonly Buffer[]): void {
  for (const prefix of Object.values(names)) {
    const inside = addresses.find((address) => isInNames(prefix, address));
    if (!inside) continue;
    throw new Failure(
      `${formatNames(prefix)} cannot name destinations: ${formatAddress(inside)} lies in it`,
      {
        cause: 'its packets would be taken for those that name somebody',
        next: 'give the balancers and their destinations a prefix in which nobody has an address',
      },
    );
  }
}

/** A file of thousands of rows may have as many that cannot be named. */
export function shortened(warnings: readonly string[]): string[] {
  const rest = warnings.length - MOST_WARNINGS;
  if (rest <= 0) return [...warnings];
  return [...warnings.slice(0, MOST_WARNINGS), `and ${many(rest, 'warning')} like these`];
}

/**
 * Two destinations of the same number cannot be told apart, so neither can be named; 0 is
 * nobody.
 */
export function nameable(
  names: Names,
  addresses: readonly Buffer[],
): { named: Buffer[]; warnings: string[] } {
  const warnings: string[] = [];
  const byNumber = new Map<string, Buffer[]>();
  for (const address of addresses) {
    const family = familyOf(address);
    const prefix = names[family];
    if (!prefix) continue;
    const number = numberOf(prefix, address);
    if (number === 0) {
      warnings.push(
        `${formatAddress(address)} cannot be named: its last bits, which are its number, are 0`,
      );
      continue;
    }
    const key = `${family} ${number}`;
    byNumber.set(key, [...(byNumber.get(key) ?? []), address]);
  }
  for (const [key, same] of byNumber) {
    if (same.length === 1) continue;
    const shown = same.slice(0, MOST_WARNINGS).map(formatAddress).join(', ');
    const list = same.length > MOST_WARNINGS ? `${shown} and others` : shown;
    warnings.push(
      `${list} cannot be named: all have the number ${key.split(' ')[1] ?? ''}; a shorter prefix tells more apart`,
    );
  }
  const missing = (['ipv4', 'ipv6'] as const).filter(
    (family) =>
      !names[family] && addresses.some((address) => familyOf(address) === family),
  );
  for (const family of missing) {
    warnings.push(
      `the ${FAMILY_NAMES[family]} destinations cannot be named: there is no prefix of theirs`,
    );
  }
  const named = [...byNumber.values()].flatMap((same) => (same.length === 1 ? same : []));
  return { named, warnings };
}
