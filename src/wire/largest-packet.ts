// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The room that the outer header leaves in an MTU for incoming packets. */
import { largestInner } from './outer-header.js';
import { smallest } from '../text/lists.js';

const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const TCP_HEADER = 20;
/** The largest packet that can be sent to any of the destinations. */
export function roomFor(
  mtu: number,
  destinations: readonly { address: Buffer }[],
): number {
  const rooms = destinations.map(({ address }) => largestInner(mtu, address));
  return smallest([mtu, ...rooms]);
}

/** Says in one line which MTU or MSS clients and destinations need. */
export function describeRoom(room: number): string {
  const segment = (header: number): number => Math.max(0, room - header - TCP_HEADER);
  return `  largest packet that fits: ${room} bytes; TCP MSS ${segment(IPV4_HEADER)} (IPv6 ${segment(IPV6_HEADER)})`;
}
