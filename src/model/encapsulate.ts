// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A tunnel adds an outer header (RFC 2003, 4213 for IPv6 in IPv4, 2473 for IPv6). */
import { onWire } from '../wire/address.js';
import { checksum } from '../wire/checksum.js';
import { evenOut } from '../wire/hash.js';
import { isIpv4 } from './bytes.js';
import type { Ip, Link } from './parse.js';
import { IPV4_TYPE, IPV6_TYPE } from './parse.js';
import type { ModelDestination } from './types.js';

const IPV4_INSIDE = 4;
const IPV6_INSIDE = 41;
const HOPS = 64;
export const DONT_FRAGMENT = 0x4000;

export interface Ipv4Fields {
  trafficClass: number;
  length: number;
  protocol: number;
  from: Buffer;
  to: Buffer;
}

/** Builds a header with id 0, because the packet is never fragmented (RFC 6864). */
export function ipv4Header(fields: Ipv4Fields): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt8(0x45, 0);
  header.writeUInt8(fields.trafficClass, 1);
  header.writeUInt16BE(fields.length & 0xffff, 2);
  header.writeUInt16BE(DONT_FRAGMENT, 6);
  header.writeUInt8(HOPS, 8);
  header.writeUInt8(fields.protocol, 9);
  fields.from.copy(header, 12);
  fields.to.copy(header, 16);
  header.writeUInt16BE(checksum(header), 10);
  return header;
}

export interface Ipv6Fields {
  trafficClass: number;
  flowLabel: number;
  payloadLength: number;
  next: number;
  from: Buffer;
  to: Buffer;
}

export function ipv6Header(fields: Ipv6Fields): Buffer {
  const header = Buffer.alloc(40);
  header.writeUInt32BE(6 * 2 ** 28 + fields.trafficClass * 2 ** 20 + fields.flowLabel, 0);
  header.writeUInt16BE(fields.payloadLength & 0xffff, 4);
  header.writeUInt8(fields.next, 6);
  header.writeUInt8(HOPS, 7);
  fields.from.copy(header, 8);
  fields.to.copy(header, 24);
  return header;
}

export function etherType(family: 'IPv4' | 'IPv6'): Buffer {
  const type = Buffer.alloc(2);
  type.writeUInt16BE(family === 'IPv4' ? IPV4_TYPE : IPV6_TYPE);
  return type;
}

/** Returns the outer source. The bits that the entry allows vary by flow. */
function outerSource({ source, spread }: ModelDestination, h: number): Buffer {
  const spreadOut = Buffer.from(source);
  const last = spreadOut.readUInt16BE(14) | (evenOut(h) & spread);
  spreadOut.writeUInt16BE(last, 14);
  return spreadOut;
}

export function encapsulate(
  link: Link,
  ip: Ip,
  destination: ModelDestination,
  mac: Buffer,
  h: number,
  naming?: Buffer,
): Buffer {
  const inside = isIpv4(ip.address) ? IPV4_INSIDE : IPV6_INSIDE;
  const to = onWire(destination.address);
  const from = naming ?? outerSource(destination, h);
  const { trafficClass } = ip;
  const head = [destination.mac, mac, link.tags];
  if (isIpv4(to)) {
    const header = ipv4Header({
      trafficClass,
      length: ip.length + 20,
      protocol: inside,
      from: from.subarray(12),
      to,
    });
    return Buffer.concat([...head, etherType('IPv4'), header, link.rest]);
  }
  const header = ipv6Header({
    trafficClass,
    flowLabel: evenOut(h) & 0xfffff,
    payloadLength: ip.length,
    next: inside,
    from,
    to,
  });
  return Buffer.concat([...head, etherType('IPv6'), header, link.rest]);
}
