// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** ICMP (RFC 792) and ICMPv6 (RFC 4443): finds the connection that an error is about. */
import { isIpv4 } from './bytes.js';
import type { Connection, Ip } from './parse.js';
import { ICMP, ICMPV6, isTcpOrUdp, parseIp } from './parse.js';

/** Unreachable, time exceeded, parameter problem. */
const ERRORS = [3, 11, 12];
/** Unreachable, too big, time exceeded, parameter problem. */
const ERRORS_V6 = [1, 2, 3, 4];
export const HEADER_LENGTH = 8;

export function isIcmp(ip: Ip): boolean {
  return ip.protocol === (isIpv4(ip.address) ? ICMP : ICMPV6);
}

/** Tells whether the whole packet is here, and with it the ICMP header. */
export function isWholeIcmp(bytes: Buffer, ip: Ip): boolean {
  const { isFragment, length, end } = ip;
  return !isFragment && length <= bytes.length && end + HEADER_LENGTH <= length;
}

/** Returns the connection that an error is about, as its client's packets show it. */
export function quotedConnection(bytes: Buffer, ip: Ip): Connection | undefined {
  const family = isIpv4(ip.address);
  const types = family ? ERRORS : ERRORS_V6;
  if (!types.includes(bytes.readUInt8(ip.end))) return undefined;

  const start = ip.end + HEADER_LENGTH;
  // The quoted IP header must lie within the ICMP packet.
  if (start + (family ? 20 : 40) > ip.length) return undefined;
  const quote = bytes.subarray(start);
  const quoted = parseIp(quote, family);
  if ('refused' in quoted) return undefined;
  if (!isTcpOrUdp(quoted.protocol) || !quoted.source.equals(ip.address)) return undefined;
  const connection = {
    source: quoted.address,
    address: quoted.source,
    protocol: quoted.protocol,
    flags: 0,
    sequence: 0,
    data: 0,
    acknowledges: 0,
    isError: true,
  };
  // The quoted headers must be complete. A fragment needs no more than that.
  if (start + quoted.end > ip.length) return undefined;
  if (quoted.isFragment) return { ...connection, ports: undefined };
  // RFC 792 promises 8 bytes of the quoted payload; they begin with the ports.
  if (start + quoted.end + 8 > ip.length) return undefined;
  return {
    ...connection,
    ports: {
      source: quote.readUInt16BE(quoted.end + 2),
      destination: quote.readUInt16BE(quoted.end),
    },
  };
}
