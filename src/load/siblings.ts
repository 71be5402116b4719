// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reports what a destination and its siblings had to do with each other. */
import type { PairEvents } from '../abi/siblings.js';
import type { DecapRead } from '../program/decap.js';
import { kernelSeconds } from '../system/clock.js';
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

/** Returns nothing for a destination that does not send on. */
export function siblingsStatus(
  { names, self, siblings }: Pick<DecapRead, 'names' | 'self' | 'siblings'>,
  now = { wall: Date.now(), kernel: kernelSeconds() },
): Partial<SiblingsStatus> {
  const prefixes = Object.values(names);
  if (prefixes.length === 0) return {};
  const events = ({ packets, last }: PairEvents): Events => ({
    packets,
    last:
      packets === 0n
        ? null
        : new Date(now.wall - (now.kernel - Number(last)) * 1000).toISOString(),
  });
  return {
    names: prefixes.map(formatNames),
    self: self.map(formatAddress),
    siblings: siblings.map(({ address, number, mac, found, sent, named }) => ({
      address: formatAddress(address),
      number,
      mac: formatMac(mac),
      found: events(found),
      sent: { ...events(sent), bytes: sent.bytes },
      named: events(named),
    })),
  };
}

/** Siblings without a packet are only counted. */
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
  const lines = siblings.flatMap(({ address, found, sent, named }) => {
    const told = [
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
