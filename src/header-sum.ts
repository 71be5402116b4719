// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What can be said of the outer IPv4 header before there is a packet. */
import { OUTER_LENGTH } from './abi.js';

const VERSION_AND_IHL = 0x4500;
const DONT_FRAGMENT = 0x4000;
const TTL_AND_IPIP = 0x4004;

/**
 * The one's complement sum of the header without its length and TOS, folded:
 * the program adds those two and takes the complement (RFC 1071).
 */
export function headerSum(source: Buffer, address: Buffer): number {
  let sum = VERSION_AND_IHL + DONT_FRAGMENT + TTL_AND_IPIP;
  for (const end of [source, address]) sum += end.readUInt16BE(12) + end.readUInt16BE(14);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

/** The longest IP packet that still fits the MTU with an outer header. */
export function largestInner(mtu: number): number {
  return Math.max(0, Math.min(mtu, 0xffff) - OUTER_LENGTH);
}
