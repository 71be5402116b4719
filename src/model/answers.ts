// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The answers that the program sends itself: to echo requests and to packets too big. */
import { at } from '../text/must.js';
import { checksum } from '../wire/checksum.js';
import { carriedChecksum, isIpv4 } from './bytes.js';
import { etherType, ipv4Header, ipv6Header } from './encapsulate.js';
import { HEADER_LENGTH } from './icmp.js';
import type { Connection, Ip, Link } from './parse.js';
import { ICMP, ICMPV6 } from './parse.js';

const HOPS = 64;
const ECHO_REQUEST = 8;
const ECHO_REPLY = 0;
const ECHO_REQUEST_V6 = 128;
const ECHO_REPLY_V6 = 129;
/** "Fragmentation needed" of RFC 1191, and "packet too big" of RFC 4443. */
const UNREACHABLE = 3;
const FRAGMENTATION_NEEDED = 4;
const TOO_BIG_V6 = 2;
/** The traffic class of internetwork control (RFC 1812). */
const CONTROL_CLASS = 0xc0;
/** How many bytes of a packet an answer quotes; shorter packets get no answer. */
const QUOTE = 512;
const QUOTE_V6 = 1024;

export function isEchoRequest(link: Link, ip: Ip): boolean {
  const type = isIpv4(ip.address) ? ECHO_REQUEST : ECHO_REQUEST_V6;
  return ip.isPlain && link.rest[ip.end] === type && link.rest[ip.end + 1] === 0;
}

/** Turns the packet around. A checksum that was wrong stays wrong by as much. */
export function echoReply(link: Link, ip: Ip): Buffer {
  const packet = Buffer.from(link.rest);
  const family = isIpv4(ip.address) ? 'IPv4' : 'IPv6';
  const icmp = packet.subarray(ip.end, ip.length);
  const wasIcmp = takeChecksum(icmp, 2);
  const before = Buffer.from(icmp);
  if (family === 'IPv4') {
    const header = packet.subarray(0, ip.end);
    const was = takeChecksum(header, 10);
    const headerBefore = Buffer.from(header);
    ip.address.copy(packet, 12);
    ip.source.copy(packet, 16);
    header.writeUInt8(HOPS, 8);
    header.writeUInt16BE(carriedChecksum(was, [headerBefore], [header]), 10);
    icmp.writeUInt8(ECHO_REPLY, 0);
    // A message of zeros needs the checksum 0xffff. For any other, 0xffff means 0.
    icmp.writeUInt16BE(carriedChecksum(wasIcmp, [before], [icmp]) || 0xffff, 2);
  } else {
    ip.address.copy(packet, 8);
    ip.source.copy(packet, 24);
    packet.writeUInt8(HOPS, 7);
    icmp.writeUInt8(ECHO_REPLY_V6, 0);
    const pseudo = pseudoHeader(ip.source, ip.address, icmp.length);
    const sum = carriedChecksum(wasIcmp, [pseudo, before], [pseudo, icmp]);
    // A receiver takes 0 and 0xffff for the same here; the program never sends 0.
    icmp.writeUInt16BE(sum || 0xffff, 2);
  }
  return Buffer.concat([link.from, link.to, link.tags, etherType(family), packet]);
}

/** Returns the checksum and leaves 0 in its place. */
function takeChecksum(bytes: Buffer, at: number): number {
  const sum = bytes.readUInt16BE(at);
  bytes.writeUInt16BE(0, at);
  return sum;
}

/** Builds RFC 8200's pseudo header (8.1): length and next header take 4 bytes each. */
export function pseudoHeader(from: Buffer, to: Buffer, length: number): Buffer {
  const end = Buffer.alloc(8);
  end.writeUInt32BE(length, 0);
  end.writeUInt32BE(ICMPV6, 4);
  return Buffer.concat([from, to, end]);
}

/**
 * Tells whether an answer would reach a single host: the source is an address that one
 * host can have (RFC 1122, 3.2.1.3; RFC 4291, 2.5), and its MAC address is not a group's.
 */
export function isOneHost(link: Link, ip: Ip): boolean {
  const [first = 0] = ip.source;
  if ((at(link.from, 0) & 1) === 1) return false;
  if (isIpv4(ip.source)) return first >= 1 && first <= 223 && first !== 127;
  const isUnspecified = ip.source.equals(UNSPECIFIED);
  return first !== 0xff && !isUnspecified && !ip.source.equals(LOOPBACK_V6);
}

const UNSPECIFIED = Buffer.alloc(16);
const LOOPBACK_V6 = Buffer.from('00000000000000000000000000000001', 'hex');

/** Tells whether RFC 1122, 3.2.2 and RFC 4443, 2.4 allow an answer to this packet. */
export function mayBeTold(link: Link, ip: Ip, connection: Connection): boolean {
  if (connection.isError || ip.isLater || !ip.dontFragment) return false;
  if (ip.length < (isIpv4(ip.address) ? QUOTE : QUOTE_V6)) return false;
  return isOneHost(link, ip);
}

export function tooBigAnswer(link: Link, ip: Ip, mtu: number): Buffer {
  const family = isIpv4(ip.address) ? 'IPv4' : 'IPv6';
  const head = [link.from, link.to, link.tags, etherType(family)];
  const from = ip.address;
  const to = ip.source;
  const trafficClass = CONTROL_CLASS;
  const icmp = Buffer.alloc(HEADER_LENGTH);
  if (family === 'IPv4') {
    const quote = link.rest.subarray(0, QUOTE);
    const length = 20 + HEADER_LENGTH + QUOTE;
    icmp.writeUInt8(UNREACHABLE, 0);
    icmp.writeUInt8(FRAGMENTATION_NEEDED, 1);
    icmp.writeUInt16BE(mtu, 6);
    icmp.writeUInt16BE(checksum(icmp, quote), 2);
    const header = ipv4Header({ trafficClass, length, protocol: ICMP, from, to });
    return Buffer.concat([...head, header, icmp, quote]);
  }
  const quote = link.rest.subarray(0, QUOTE_V6);
  const payloadLength = HEADER_LENGTH + QUOTE_V6;
  icmp.writeUInt8(TOO_BIG_V6, 0);
  icmp.writeUInt32BE(mtu, 4);
  const pseudo = pseudoHeader(from, to, payloadLength);
  icmp.writeUInt16BE(checksum(pseudo, icmp, quote), 2);
  const fields = { trafficClass, flowLabel: 0, payloadLength, next: ICMPV6, from, to };
  return Buffer.concat([...head, ipv6Header(fields), icmp, quote]);
}
