// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What the program answers itself: echo requests, and packets that are too big. */
import { checksum, isIpv4, updateChecksum } from './bytes.js';
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
/** Internetwork control. */
const CONTROL_CLASS = 0xc0;
/** How much of a packet is quoted; shorter ones are never answered. */
const QUOTE = 512;
const QUOTE_V6 = 1024;

export function isEchoRequest(link: Link, ip: Ip): boolean {
  const type = isIpv4(ip.address) ? ECHO_REQUEST : ECHO_REQUEST_V6;
  return ip.isPlain && link.rest[ip.end] === type && link.rest[ip.end + 1] === 0;
}

/** The same packet the other way, with both checksums as right or wrong as they were. */
export function echoReply(link: Link, ip: Ip): Buffer {
  const packet = Buffer.from(link.rest);
  const family = isIpv4(ip.address) ? 'IPv4' : 'IPv6';
  if (family === 'IPv4') {
    ip.address.copy(packet, 12);
    ip.source.copy(packet, 16);
    change(packet, 8, (HOPS << 8) | ip.protocol, 10);
    change(packet, ip.end, ECHO_REPLY << 8, ip.end + 2);
  } else {
    ip.address.copy(packet, 8);
    ip.source.copy(packet, 24);
    packet.writeUInt8(HOPS, 7);
    change(packet, ip.end, ECHO_REPLY_V6 << 8, ip.end + 2);
  }
  return Buffer.concat([link.from, link.to, link.tags, etherType(family), packet]);
}

/** Another word in its place, and the checksum at another place brought up to date. */
function change(packet: Buffer, at: number, word: number, checksumAt: number): void {
  const was = packet.readUInt16BE(at);
  packet.writeUInt16BE(word, at);
  const sum = updateChecksum(packet.readUInt16BE(checksumAt), was, word);
  packet.writeUInt16BE(sum, checksumAt);
}

/** Whether a sender may be told: RFC 1122, 3.2.2 and RFC 4443, 2.4 forbid the rest. */
export function mayBeTold(ip: Ip, connection: Connection): boolean {
  if (connection.isError || ip.isLater || !ip.dontFragment) return false;
  if (ip.length < (isIpv4(ip.address) ? QUOTE : QUOTE_V6)) return false;
  const [first = 0] = ip.source;
  if (isIpv4(ip.source)) return first >= 1 && first <= 223 && first !== 127;
  return first !== 0xff && !ip.source.equals(Buffer.alloc(16));
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
  // The pseudo header of RFC 8200, 8.1: length and next header are words of 4 bytes.
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(payloadLength, 0);
  pseudo.writeUInt32BE(ICMPV6, 4);
  icmp.writeUInt16BE(checksum(from, to, pseudo, icmp, quote), 2);
  const fields = { trafficClass, flowLabel: 0, payloadLength, next: ICMPV6, from, to };
  return Buffer.concat([...head, ipv6Header(fields), icmp, quote]);
}
