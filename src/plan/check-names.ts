// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Refuses services whose destinations could not follow what packets name. */
import { CELL_NAMES } from '../abi/cell.js';
import { Failure } from '../text/failure.js';
import { formatAddress } from '../wire/address.js';
import type { Names } from '../wire/names.js';
import { formatNames, isInNames } from '../wire/names.js';
import type { Source } from '../wire/outer-source.js';
import { FAMILY_NAMES, familyOf } from '../wire/outer-source.js';
import { reachable } from './cells.js';
import { isHot } from './hot-slots.js';
import { servicesIn } from './services.js';
import type { State } from './state.js';
import type { Wanted } from './steps.js';

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
  const isHotNow = [...live.slots.values()].some(isHot);
  const others = there && (there.flags ^ service.flags) & CELL_NAMES;
  if (others && isHotNow) {
    throw new Failure('who remembers cannot change while slots are hot', {
      cause: 'the one does not know the connections that the other knows',
      next: 'wait until none is hot, with l4lb-map --settle --wait, or give them up with --settle --now',
    });
  }
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
