// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The packet that is asked about, made from words. Pure. */
import { isIpv6, parseAddress } from '../wire/address.js';
import { checksum, onWire } from '../model/bytes.js';
import { TCP, protocolNamed } from '../wire/way.js';

export interface Endpoint {
  /** 16 bytes. */
  address: Buffer;
  port: number;
}

export interface Question {
  from: Endpoint;
  to: Endpoint;
  protocol: number;
  /** Of TCP: the byte with SYN and ACK in it. */
  tcpFlags: number;
  /** Of the IP packet; less than its headers means just these. */
  length: number;
  /** VLAN numbers, outermost first. */
  vlans: number[];
  /** Of the frame. */
  mac: Buffer;
}

/** ADDR:PORT, with brackets around an IPv6 address, or what is wrong with it. */
export function parseEndpoint(text: string): Endpoint | string {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (!match) return 'is not of the form ADDR:PORT, or [ADDR]:PORT in IPv6';
  const [, ipv6, ipv4, portText] = match;
  const address = parseAddress(ipv6 ?? ipv4 ?? '');
  if (!address || isIpv6(address) !== (ipv6 !== undefined)) {
    return 'has no IP address before its port';
  }
  const port = Number(portText);
  return port > 65535 ? 'has no port from 0 to 65535' : { address, port };
}

/** ADDR:PORT[/PROTO]; TCP where no protocol stands. */
export function parseTarget(text: string): (Endpoint & { protocol: number }) | string {
  const [where = '', name = 'tcp', ...more] = text.split('/');
  const protocol = protocolNamed(name);
  if (protocol === undefined || more.length > 0) return 'does not end in /tcp or /udp';
  const endpoint = parseEndpoint(where);
  return typeof endpoint === 'string' ? endpoint : { ...endpoint, protocol };
}

const FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR'];

/** Names with commas in between, or what is wrong with them. */
export function parseTcpFlags(text: string): number | string {
  let flags = 0;
  for (const name of text === 'none' ? [] : text.split(',')) {
    const bit = FLAGS.indexOf(name.toUpperCase());
    if (bit < 0) return `has a name that is none of ${FLAGS.join(', ')}, nor "none"`;
    flags |= 1 << bit;
  }
  return flags;
}

export function nameTcpFlags(flags: number): string {
  return FLAGS.filter((_, bit) => flags & (1 << bit)).join(',') || 'none';
}

const MAC_OF_NOBODY = Buffer.from('020000000001', 'hex');
const TTL = 64;

export function frameOf(question: Question): Buffer {
  const { from, to, vlans, mac } = question;
  const [source, target] = [onWire(from.address), onWire(to.address)];
  const isV6 = isIpv6(to.address);
  const header = isV6 ? 40 : 20;
  const transport = question.protocol === TCP ? 20 : 8;
  const payload = Math.max(0, question.length - header - transport);
  const body = transportOf(question, payload);
  const pseudo = Buffer.concat([source, target, Buffer.alloc(isV6 ? 8 : 4)]);
  pseudo.writeUInt8(question.protocol, pseudo.length - (isV6 ? 1 : 3));
  pseudo.writeUInt16BE(body.length, pseudo.length - (isV6 ? 6 : 2));
  body.writeUInt16BE(checksum(pseudo, body), question.protocol === TCP ? 16 : 6);

  const tags = vlans.map((vlan) => Buffer.from([0x81, 0x00, vlan >> 8, vlan & 0xff]));
  const type = Buffer.from(isV6 ? '86dd' : '0800', 'hex');
  const ip = isV6
    ? ipv6Header(question.protocol, body.length, source, target)
    : ipv4Header(question.protocol, body.length, source, target);
  return Buffer.concat([mac, MAC_OF_NOBODY, ...tags, type, ip, body]);
}

function transportOf(
  { from, to, protocol, tcpFlags }: Question,
  payload: number,
): Buffer {
  const isTcp = protocol === TCP;
  const bytes = Buffer.alloc((isTcp ? 20 : 8) + payload);
  bytes.writeUInt16BE(from.port, 0);
  bytes.writeUInt16BE(to.port, 2);
  if (isTcp) {
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
