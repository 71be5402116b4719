// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Builds frames from readable parts. They are right by default, and wrong where asked.
 */
import { parseAddress, parseMac } from '../src/wire/address.js';

/** 4 or 16 bytes. */
export function ip(text: string): Buffer {
  const address = parseAddress(text);
  if (!address) throw new Error(`${text} is not an address`);
  return text.includes(':') ? address : address.subarray(12);
}

export function mac(text: string): Buffer {
  const bytes = parseMac(text);
  if (!bytes) throw new Error(`${text} is not a MAC address`);
  return bytes;
}

export const TCP = 6;
export const UDP = 17;
export const ICMP = 1;
export const ICMPV6 = 58;
export const IPIP = 4;
export const IPV6 = 41;
export const IPV6_TYPE = 0x86dd;
export const DONT_FRAGMENT = 0x4000;
export const MORE_FRAGMENTS = 0x2000;

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** RFC 1071, word by word. */
export function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export interface Ethernet {
  to: string;
  from: string;
  type?: number;
  /** VLAN tags, outermost first: TPID and number. */
  tags?: [number, number][];
}

export function ethernet(fields: Ethernet, payload: Buffer, padding = 0): Buffer {
  const tags = (fields.tags ?? []).flat().map(u16);
  return Buffer.concat([
    mac(fields.to),
    mac(fields.from),
    ...tags,
    u16(fields.type ?? ((payload[0] ?? 0) >> 4 === 6 ? IPV6_TYPE : 0x0800)),
    payload,
    Buffer.alloc(padding),
  ]);
}

export interface Ipv4 {
  from: string;
  to: string;
  protocol: number;
  tos?: number;
  ttl?: number;
  id?: number;
  fragment?: number;
  options?: Buffer;
  version?: number;
  /** In words of four bytes; by default the real length. */
  headerWords?: number;
  /** By default the real length. */
  length?: number;
}

export function ipv4(fields: Ipv4, payload: Buffer): Buffer {
  const options = fields.options ?? Buffer.alloc(0);
  const header = Buffer.alloc(20 + options.length);
  const words = fields.headerWords ?? header.length / 4;
  header.writeUInt8(((fields.version ?? 4) << 4) | words, 0);
  header.writeUInt8(fields.tos ?? 0, 1);
  header.writeUInt16BE(fields.length ?? header.length + payload.length, 2);
  header.writeUInt16BE(fields.id ?? 0, 4);
  header.writeUInt16BE(fields.fragment ?? 0, 6);
  header.writeUInt8(fields.ttl ?? 64, 8);
  header.writeUInt8(fields.protocol, 9);
  ip(fields.from).copy(header, 12);
  ip(fields.to).copy(header, 16);
  options.copy(header, 20);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, payload]);
}

export interface Ipv6 {
  from: string;
  to: string;
  /** The next header, which may be an extension header. */
  next: number;
  trafficClass?: number;
  flowLabel?: number;
  hopLimit?: number;
  /** By default the real length. */
  length?: number;
}

export function ipv6(fields: Ipv6, payload: Buffer): Buffer {
  const header = Buffer.alloc(8);
  const word = ((fields.trafficClass ?? 0) << 20) | (fields.flowLabel ?? 0);
  header.writeUInt32BE(((6 << 28) | word) >>> 0, 0);
  header.writeUInt16BE(fields.length ?? payload.length, 4);
  header.writeUInt8(fields.next, 6);
  header.writeUInt8(fields.hopLimit ?? 64, 7);
  return Buffer.concat([header, ip(fields.from), ip(fields.to), payload]);
}

/** An IP packet of the family of its addresses. */
export function packet(
  fields: { from: string; to: string; protocol: number; tos?: number; ttl?: number },
  payload: Buffer,
): Buffer {
  const { from, to, protocol, tos = 0, ttl = 64 } = fields;
  return from.includes(':')
    ? ipv6({ from, to, next: protocol, trafficClass: tos, hopLimit: ttl }, payload)
    : ipv4({ from, to, protocol, tos, ttl, fragment: DONT_FRAGMENT }, payload);
}

/**
 * An extension header of eight bytes, with the next header and the six bytes in its
 * middle.
 */
export function extension(next: number, rest: Buffer = Buffer.alloc(6)): Buffer {
  return Buffer.concat([Buffer.from([next, 0]), rest]);
}

/** A message with its checksum, which in ICMPv6 includes the addresses and the length. */
export function icmp(
  type: number,
  code: number,
  rest: Buffer,
  payload: Buffer,
  between?: { from: string; to: string },
): Buffer {
  const message = Buffer.concat([Buffer.from([type, code, 0, 0]), rest, payload]);
  const pseudo = between
    ? Buffer.concat([
        ip(between.from),
        ip(between.to),
        u16(0),
        u16(message.length),
        u16(0),
        u16(ICMPV6),
      ])
    : Buffer.alloc(0);
  message.writeUInt16BE(checksum(Buffer.concat([pseudo, message])), 2);
  return message;
}

export interface Ports {
  from: number;
  to: number;
}

export function udp({ from, to }: Ports, payload = Buffer.alloc(0)): Buffer {
  return Buffer.concat([u16(from), u16(to), u16(8 + payload.length), u16(0), payload]);
}

export function tcp({ from, to }: Ports, flags = 0x02, sequence = 0): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(from, 0);
  header.writeUInt16BE(to, 2);
  header.writeUInt32BE(sequence, 4);
  header.writeUInt8(5 << 4, 12);
  header.writeUInt8(flags, 13);
  return header;
}
