// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** ICMP (RFC 792) and ICMPv6 (RFC 4443): whose connection an error is about. */
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

/** Whether its header is there, so that it can be looked at. */
export function isWholeIcmp(bytes: Buffer, ip: Ip): boolean {
  const { isFragment, length, end } = ip;
  return !isFragment && length <= bytes.length && end + HEADER_LENGTH <= length;
}

/** The connection that an error is about, seen from the end that began it. */
export function quotedConnection(bytes: Buffer, ip: Ip): Connection | undefined {
  const family = isIpv4(ip.address);
  const types = family ? ERRORS : ERRORS_V6;
  if (!types.includes(bytes.readUInt8(ip.end))) return undefined;

  const start = ip.end + HEADER_LENGTH;
  // Its first header must be within the ICMP packet, extension headers in the frame.
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
    isError: true,
  };
  // Its header must be there to its end, and a piece needs no more.
  if (start + quoted.end > ip.length) return undefined;
  if (quoted.isFragment) return { ...connection, ports: undefined };
  // RFC 792 promises 8 bytes of what the packet carried: the ports are among them.
  if (start + quoted.end + 8 > ip.length) return undefined;
  return {
    ...connection,
    ports: {
      source: quote.readUInt16BE(quoted.end + 2),
      destination: quote.readUInt16BE(quoted.end),
    },
  };
}
