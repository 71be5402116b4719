// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Builds a frame with one TCP or UDP packet, its sums right. */
import { isIpv6, onWire } from './address.js';
import { checksum } from './checksum.js';
import { TCP } from './protocols.js';

export interface Endpoint {
  /** 16 bytes. */
  address: Buffer;
  port: number;
}

/** A TCP or UDP packet to be built. */
export interface Packet {
  from: Endpoint;
  to: Endpoint;
  protocol: number;
  /** The byte of the TCP header that holds SYN and ACK. */
  tcpFlags: number;
  /** The length of the IP packet; less than its headers means only the headers. */
  length: number;
  /** VLAN numbers, outermost first. */
  vlans: number[];
  /** Where the frame goes. */
  mac: Buffer;
  /** Where it comes from; any if it is left out. */
  fromMac?: Buffer | undefined;
}

const MAC_OF_NOBODY = Buffer.from('020000000001', 'hex');
const TTL = 64;
const SYN = 0x02;
const ACK = 0x10;

export function buildFrame(packet: Packet): Buffer {
  const { from, to, vlans, mac, fromMac = MAC_OF_NOBODY } = packet;
  const [source, target] = [onWire(from.address), onWire(to.address)];
  const isV6 = isIpv6(to.address);
  const header = isV6 ? 40 : 20;
  const transport = packet.protocol === TCP ? 20 : 8;
  const payload = Math.max(0, packet.length - header - transport);
  const body = transportOf(packet, payload);
  const pseudo = Buffer.concat([source, target, Buffer.alloc(isV6 ? 8 : 4)]);
  pseudo.writeUInt8(packet.protocol, pseudo.length - (isV6 ? 1 : 3));
  pseudo.writeUInt16BE(body.length, pseudo.length - (isV6 ? 6 : 2));
  body.writeUInt16BE(checksum(pseudo, body), packet.protocol === TCP ? 16 : 6);

  const tags = vlans.map((vlan) => Buffer.from([0x81, 0x00, vlan >> 8, vlan & 0xff]));
  const type = Buffer.from(isV6 ? '86dd' : '0800', 'hex');
  const ip = isV6
    ? ipv6Header(packet.protocol, body.length, source, target)
    : ipv4Header(packet.protocol, body.length, source, target);
  return Buffer.concat([mac, fromMac, ...tags, type, ip, body]);
}

function transportOf({ from, to, protocol, tcpFlags }: Packet, payload: number): Buffer {
  const isTcp = protocol === TCP;
  const bytes = Buffer.alloc((isTcp ? 20 : 8) + payload);
  bytes.writeUInt16BE(from.port, 0);
  bytes.writeUInt16BE(to.port, 2);
  if (isTcp) {
    // A packet follows the SYN that this builds, so the balancer may know it by its record.
    bytes.writeUInt32BE((tcpFlags & (SYN | ACK)) === SYN ? 0 : 1, 4);
    bytes.writeUInt8(5 << 4, 12);
    bytes.writeUInt8(tcpFlags, 13);
    bytes.writeUInt16BE(0xffff, 14);
  } else {
    bytes.writeUInt16BE(bytes.length, 4);
  }
  return bytes;
}

function ipv4Header(protocol: number, length: number, from: Buffer, to: Buffer): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(0x4500, 0);
  header.writeUInt16BE(20 + length, 2);
  header.writeUInt16BE(0x4000, 6);
  header.writeUInt8(TTL, 8);
  header.writeUInt8(protocol, 9);
  const whole = Buffer.concat([header, from, to]);
  whole.writeUInt16BE(checksum(whole), 10);
  return whole;
}

function ipv6Header(protocol: number, length: number, from: Buffer, to: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(0x60, 0);
  header.writeUInt16BE(length, 4);
  header.writeUInt8(protocol, 6);
  header.writeUInt8(TTL, 7);
  return Buffer.concat([header, from, to]);
}
