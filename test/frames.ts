// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Builds frames from readable parts, right by default and wrong where asked. */
import { parseAddress, parseMac } from '../src/address.js';

export function ip(text: string): Buffer {
  const address = parseAddress(text);
  if (!address) throw new Error(`${text} is not an address`);
  return address.subarray(12);
}

export function mac(text: string): Buffer {
  const bytes = parseMac(text);
  if (!bytes) throw new Error(`${text} is not a MAC address`);
  return bytes;
}

export const TCP = 6;
export const UDP = 17;
export const ICMP = 1;
export const IPIP = 4;
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
}

export function ethernet(fields: Ethernet, payload: Buffer, padding = 0): Buffer {
  const type = u16(fields.type ?? 0x0800);
  return Buffer.concat([
    mac(fields.to),
    mac(fields.from),
    type,
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
  /** In words of four bytes; by default what is there. */
  headerWords?: number;
  /** By default what is there. */
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

export interface Ports {
  from: number;
  to: number;
}

export function udp({ from, to }: Ports, payload = Buffer.alloc(0)): Buffer {
  return Buffer.concat([u16(from), u16(to), u16(8 + payload.length), u16(0), payload]);
}

export function tcp({ from, to }: Ports, flags = 0x02): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(from, 0);
  header.writeUInt16BE(to, 2);
  header.writeUInt8(5 << 4, 12);
  header.writeUInt8(flags, 13);
  return header;
}
