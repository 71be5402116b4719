// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reports what a destination and its siblings had to do with each other. */
import type { PairEvents } from '../abi/siblings.js';
import type { DecapRead } from '../program/decap.js';
import { formatCount, many } from '../text/format.js';
import { formatAddress, formatMac } from '../wire/address.js';
import { formatNames } from '../wire/names.js';

interface Events {
  packets: bigint;
  /** When the last of them came, by the wall clock; null: never. */
  last: string | null;
}

export interface SiblingStatus {
  address: string;
  number: number;
  mac: string;
  /** The MAC by which this host's kernel would reach it now; null if it knows none. */
  neighbour: string | null;
  /** Since when this host knows the sibling, and counts. */
  known_since: string;
  /** Packets that the sibling sent on, and that found a socket here. */
  found: Events;
  /** Packets sent on to the sibling. */
  sent: Events & { bytes: bigint };
  /** Packets that name the sibling first, and found a socket here. */
  named: Events;
}

export interface SiblingsStatus {
  names: string[];
  /** Which of the destinations that can be named this host is. */
  self: string[];
  siblings: SiblingStatus[];
}

/** One moment by both clocks: milliseconds as Date.now(), and the kernel's seconds. */
export interface Moment {
  wall: number;
  kernel: number;
}

/**
 * Returns nothing for a destination that does not send on. `neighbours` are MACs by the
 * siblings' addresses, as the kernel knows them.
 */
export function siblingsStatus(
  { names, self, siblings }: Pick<DecapRead, 'names' | 'self' | 'siblings'>,
  neighbours: ReadonlyMap<string, string>,
  now: Moment,
): Partial<SiblingsStatus> {
  const prefixes = Object.values(names);
  if (prefixes.length === 0) return {};
  const time = (seconds: bigint): string =>
    new Date(now.wall - (now.kernel - Number(seconds)) * 1000).toISOString();
  const events = ({ packets, last }: PairEvents): Events => ({
    packets,
    last: packets === 0n ? null : time(last),
  });
  return {
    names: prefixes.map(formatNames),
    self: self.map(formatAddress),
    siblings: siblings.map(({ address, number, mac, since, found, sent, named }) => ({
      address: formatAddress(address),
      number,
      mac: formatMac(mac),
      neighbour: neighbours.get(formatAddress(address)) ?? null,
      known_since: time(since),
      found: events(found),
      sent: { ...events(sent), bytes: sent.bytes },
      named: events(named),
    })),
  };
}

/** Siblings without a packet and with the right MAC are only counted. */
export function describeSiblings({
  names,
  self = [],
  siblings = [],
}: Partial<SiblingsStatus>): string[] {
  if (!names) return [];
  const who = self.length === 0 ? 'nobody whom the names can mean' : self.join(', ');
  const describe = (text: string, { packets, last }: Events): string[] =>
    packets === 0n
      ? []
      : [
          `${formatCount(packets)} ${text} (last ${(last ?? '').slice(0, 19).replace('T', ' ')} UTC)`,
        ];
  const lines = siblings.flatMap(({ address, mac, neighbour, found, sent, named }) => {
    const told = [
      ...(isStale({ mac, neighbour })
        ? [`sent to ${mac}, but the kernel finds it at ${neighbour}`]
        : []),
      ...describe('sent on to it', sent),
      ...describe('came from it and found a socket here', found),
      ...describe('named it and found a socket here', named),
    ];
    return told.length === 0 ? [] : [`  ${address}: ${told.join(', ')}`];
  });
  return [
    `  is ${who}; sends on to ${many(siblings.length, 'sibling')} named by ${names.join(', ')}`,
    ...lines,
  ];
}

/** Whether packets to a sibling go to another MAC than the kernel's own would. */
export function isStale(
  sibling: Pick<SiblingStatus, 'mac' | 'neighbour'>,
): sibling is { mac: string; neighbour: string } {
  return sibling.neighbour !== null && sibling.neighbour !== sibling.mac;
}
