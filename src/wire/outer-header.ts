// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The parts of the outer header that do not depend on the packet. */
import { isIpv6 } from './address.js';
import type { EntryForward } from './forward.js';

const DONT_FRAGMENT = 0x4000;
const TTL_AND_IPIP = 0x4004;

/** The length of the outer header, which has the destination's family. */
export function outerLength(address: Buffer): number {
  return isIpv6(address) ? 40 : 20;
}

/**
 * The one's complement sum of the header without its first word, folded: the
 * program adds that word and takes the complement (RFC 1071). It is the sum for an
 * inner IPv4 packet and the unvaried source; an IPv6 header has no sum.
 */
export function headerSum(source: Buffer, address: Buffer): number {
  if (isIpv6(address)) return 0;
  let sum = DONT_FRAGMENT + TTL_AND_IPIP;
  for (const end of [source, address]) sum += end.readUInt16BE(12) + end.readUInt16BE(14);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

/** The longest IP packet that fits the MTU on its way to an address. On this host any fits. */
export function largestPacket(
  mtu: number,
  address: Buffer,
  forward: EntryForward,
): number {
  if (forward === 'local') return 0xffff;
  const added = forward === 'tunnel' ? outerLength(address) : 0;
  return Math.max(0, Math.min(mtu, 0xffff) - added);
}
