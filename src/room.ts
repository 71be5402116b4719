// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What the outer header leaves of an MTU for the packets that come. Pure. */
import { ANY_ADDRESS, parseAddress } from './address.js';

const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const TCP_HEADER = 20;
/** The bytes that IPv4 addresses begin with. */
const IPV4_PREFIX = (parseAddress('1.1.1.1') ?? ANY_ADDRESS).subarray(0, 12);

/** The largest packet that can be sent to any of the destinations. */
export function roomFor(
  mtu: number,
  destinations: readonly { address: Buffer }[],
): number {
  const isIpv4 = destinations.every(({ address }) =>
    address.subarray(0, 12).equals(IPV4_PREFIX),
  );
  return Math.max(0, mtu - (isIpv4 ? IPV4_HEADER : IPV6_HEADER));
}

/** Which MTU or MSS clients and destinations need, in a line. */
export function describeRoom(room: number): string {
  const segment = (header: number): number => Math.max(0, room - header - TCP_HEADER);
  return `  largest packet that fits: ${room} bytes; TCP MSS ${segment(IPV4_HEADER)} (IPv6 ${segment(IPV6_HEADER)})`;
}
