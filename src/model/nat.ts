// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Puts another address and port into one end of a packet: into the destination of what a
 * client sends, or into the source of an answer (RFC 3022; RFC 5508 for ICMP errors).
 * Checksums are computed over all that they cover, before and after. One that was wrong
 * stays wrong by as much.
 */
import { onWire } from '../wire/address.js';
import { carriedChecksum, isIpv4 } from './bytes.js';
import { HEADER_LENGTH } from './icmp.js';
import type { Connection, Ip } from './parse.js';
import { ICMPV6, TCP, UDP, parseIp } from './parse.js';

export type Side = 'source' | 'destination';

export interface End {
  /** As in the tables: 16 bytes. */
  address: Buffer;
  /** 0: the packet keeps its own. */
  port: number;
}

const IPV4_SUM = 10;
const ICMP_SUM = 2;
const SUM_AT = new Map([
  [TCP, 16],
  [UDP, 6],
]);

/** Why a packet cannot get this address and port; undefined if it can. */
export function whyNot(
  ip: Ip,
  connection: Connection,
  to: End,
): 'other family' | 'fragment' | undefined {
  if (onWire(to.address).length !== ip.address.length) return 'other family';
  if (!connection.ports && to.port !== 0) return 'fragment';
  // The first fragment has the checksum, which covers the address.
  const needed = ip.end + (SUM_AT.get(ip.protocol) ?? 0) + 2;
  const isFirst = ip.isFragment && !ip.isLater;
  return isFirst && !connection.isError && ip.length < needed ? 'fragment' : undefined;
}

/** Returns the IP packet, with what follows it in the frame. */
export function translate(
  bytes: Buffer,
  ip: Ip,
  connection: Connection,
  side: Side,
  to: End,
): Buffer {
  const changed = Buffer.from(bytes);
  if (!connection.isError) {
    translatePacket(changed.subarray(0, ip.length), ip, side, to);
    return changed;
  }
  const start = ip.end + HEADER_LENGTH;
  const quote = changed.subarray(start, ip.length);
  const quoted = parseIp(bytes.subarray(start), isIpv4(ip.address));
  if ('refused' in quoted) throw new Error('the quote of an error cannot be parsed');
  const other = side === 'source' ? quoted.address : quoted.source;
  const own = side === 'source' ? ip.source : ip.address;
  const isItsOwn = own.equals(other);
  const message = changed.subarray(ip.end, ip.length);
  const before = [...pseudo(changed, ip, ICMPV6, message), zeroed(message, ICMP_SUM)];
  translatePacket(quote, quoted, side === 'source' ? 'destination' : 'source', to);
  if (isItsOwn) translateHeader(changed, ip, side, to);
  const after = [...pseudo(changed, ip, ICMPV6, message), zeroed(message, ICMP_SUM)];
  carry(message, ICMP_SUM, before, after);
  return changed;
}

/** `bytes` ends where the packet does, or the quote of it. */
function translatePacket(bytes: Buffer, ip: Ip, side: Side, to: End): void {
  const transport = bytes.subarray(ip.end);
  const at = SUM_AT.get(ip.protocol) ?? 0;
  const cover = (): Buffer[] => [
    ...ends(bytes, ip),
    ...protocolAndLength(ip.protocol, transport.length),
    zeroed(transport, at),
  ];
  const hasSum = !ip.isLater && transport.length >= at + 2;
  const before = hasSum ? cover() : [];
  translateHeader(bytes, ip, side, to);
  if (to.port !== 0) transport.writeUInt16BE(to.port, side === 'source' ? 0 : 2);
  if (!hasSum) return;
  if (ip.protocol !== UDP) {
    carry(transport, at, before, cover());
  } else if (transport.readUInt16BE(at) !== 0) {
    // In UDP 0 says that there is no checksum.
    carry(transport, at, before, cover());
    if (transport.readUInt16BE(at) === 0) transport.writeUInt16BE(0xffff, at);
  }
}

function translateHeader(bytes: Buffer, ip: Ip, side: Side, to: End): void {
  const address = onWire(to.address);
  const header = bytes.subarray(0, ip.end);
  if (!isIpv4(address)) {
    address.copy(header, side === 'source' ? 8 : 24);
    return;
  }
  const before = zeroed(header, IPV4_SUM);
  address.copy(header, side === 'source' ? 12 : 16);
  carry(header, IPV4_SUM, [before], [zeroed(header, IPV4_SUM)]);
}

/** Writes the checksum at this place anew. */
function carry(bytes: Buffer, at: number, before: Buffer[], after: Buffer[]): void {
  bytes.writeUInt16BE(carriedChecksum(bytes.readUInt16BE(at), before, after), at);
}

/** A copy without its checksum. */
function zeroed(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  if (copy.length >= at + 2) copy.writeUInt16BE(0, at);
  return copy;
}

/** The addresses as they stand in the header. */
function ends(bytes: Buffer, { address }: Ip): Buffer[] {
  const [from, to] = isIpv4(address) ? [12, 20] : [8, 40];
  return [Buffer.from(bytes.subarray(from, to))];
}

/** In both pseudo headers these sum up to the same, in any order. */
function protocolAndLength(protocol: number, length: number): Buffer[] {
  const end = Buffer.alloc(8);
  end.writeUInt32BE(length, 0);
  end.writeUInt32BE(protocol, 4);
  return [end];
}

/** ICMP has none over IPv4. */
function pseudo(bytes: Buffer, ip: Ip, protocol: number, content: Buffer): Buffer[] {
  if (isIpv4(ip.address)) return [];
  return [...ends(bytes, ip), ...protocolAndLength(protocol, content.length)];
}
