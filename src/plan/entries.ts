// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The entries of a service's destinations: what each holds, and how it changes. */
import { encodeDestination } from '../abi/destination.js';
import type { Destination } from '../abi/destination.js';
import { at, must } from '../text/must.js';
import { ANY_ADDRESS, formatAddress } from '../wire/address.js';
import type { EntryForward } from '../wire/forward.js';
import { hasSource } from '../wire/forward.js';
import { headerSum, largestPacket } from '../wire/outer-header.js';
import type { Source } from '../wire/outer-source.js';
import { familyOf } from '../wire/outer-source.js';
import type { ExitNumbers } from './exits.js';
import { exitKey } from './exits.js';
import type { Blocks } from './pools.js';
import type { State, Write } from './state.js';
import type { Wanted, WantedDestination } from './steps.js';

export function planDestinations(
  state: State,
  wanted: Wanted,
  destinations: readonly WantedDestination[],
  ids: readonly number[],
  numbers: ExitNumbers,
  blocks: Blocks,
): Write[] {
  return destinations.flatMap((destination, index) => {
    const { address, mac, weight, exit, port = 0 } = destination;
    const { isFound = false, isForgotten = false } = destination;
    if (isForgotten && weight > 0) {
      throw new Error(`${formatAddress(address)} is forgotten, but has a weight`);
    }
    const forward = destination.forward ?? wanted.forward;
    const key = at(ids, index);
    const there = state.destinations.get(key);
    const source = sourceFor(wanted, forward, address, there);
    const value: Destination = {
      address,
      mac,
      weight,
      service: wanted.service.id,
      spread: source.spread,
      source: source.address,
      headerSum: forward === 'tunnel' ? headerSum(source.address, address) : 0,
      largestPacket: largestPacket(exit?.mtu ?? wanted.mtu, address, forward),
      forward,
      isFound,
      isForgotten,
      exit: exit ? must(numbers.get(exitKey(exit)), 'the number of an exit').number : 0,
      port,
      block:
        forward === 'full-nat' ? (blocks[familyOf(address)] ?? there?.block ?? 0) : 0,
    };
    if (!there || there.service === 0) return [{ map: 'destinations', key, value }];
    if (sameDestination(there, value)) return [];
    return rewrite(there, value).map((one) => ({ map: 'destinations', key, value: one }));
  });
}

const NO_SOURCE: Source = { address: ANY_ADDRESS, spread: 0 };

function sourceFor(
  { sources }: Wanted,
  forward: EntryForward,
  address: Buffer,
  there: Destination | undefined,
): Source {
  if (!hasSource(forward)) return NO_SOURCE;
  const source = sources[familyOf(address)];
  if (source) return source;
  // A destination that stays only for one more step may be the last of its family.
  if (there) return { address: there.source, spread: there.spread };
  throw new Error(`${formatAddress(address)} was promised a source`);
}

/**
 * An entry that packets are using changes word by word. A tunnel needs several of them, so
 * it gets its source last when it goes, and first when it comes.
 */
function rewrite(there: Destination, value: Destination): Destination[] {
  if (there.forward === value.forward) return [value];
  if (there.forward !== 'tunnel' && value.forward !== 'tunnel') return [value];
  const [tunnel, other] = there.forward === 'tunnel' ? [there, value] : [value, there];
  return [{ ...tunnel, forward: other.forward }, value];
}

function sameDestination(one: Destination, other: Destination): boolean {
  return encodeDestination(one).equals(encodeDestination(other));
}
