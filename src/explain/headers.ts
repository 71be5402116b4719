// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Shows a frame header by header: each field, its bytes and what they mean. */
import { at } from '../text/must.js';
import { checksum } from '../wire/checksum.js';
import { formatAddress, formatMac } from '../wire/address.js';
import { nameTcpFlags } from './question.js';

export interface Field {
  /** Offset in the frame. */
  at: number;
  bytes: Buffer;
  name: string;
  meaning: string;
}

export interface Header {
  name: string;
  fields: Field[];
}

const ETHERTYPES: Record<number, string> = {
  0x0800: 'IPv4',
  0x0806: 'ARP',
  0x8100: 'VLAN tag',
  0x86dd: 'IPv6',
  0x88a8: 'service VLAN tag',
};
const PROTOCOLS: Record<number, string> = {
  0: 'hop-by-hop options',
  1: 'ICMP',
  4: 'IPv4',
  6: 'TCP',
  17: 'UDP',
  41: 'IPv6',
  43: 'routing',
  44: 'fragment',
  51: 'authentication',
  58: 'ICMPv6',
  59: 'nothing',
  60: 'destination options',
};
const EXTENSIONS = [0, 43, 44, 51, 60];
const ICMP_NAMES = new Map([
  ['1.0', 'echo reply'],
  ['1.3', 'unreachable'],
  ['1.8', 'echo request'],
  ['1.11', 'time exceeded'],
  ['1.12', 'parameter problem'],
  ['58.1', 'unreachable'],
  ['58.2', 'packet too big'],
  ['58.3', 'time exceeded'],
  ['58.4', 'parameter problem'],
  ['58.128', 'echo request'],
  ['58.129', 'echo reply'],
]);
const QUOTES = ['1.3', '1.11', '1.12', '58.1', '58.2', '58.3', '58.4'];

/** Reads as far as the frame goes, and shows the rest as bytes. */
class Reader {
  readonly headers: Header[] = [];
  at = 0;
  readonly #frame: Buffer;

  constructor(frame: Buffer) {
    this.#frame = frame;
  }

  get left(): number {
    return this.#frame.length - this.at;
  }

  begin(name: string): void {
    this.headers.push({ name, fields: [] });
  }

  peek(length: number, offset = 0): Buffer {
    return this.#frame.subarray(this.at + offset, this.at + offset + length);
  }

  take(
    length: number,
    name: string,
    meaning: string | ((bytes: Buffer) => string),
  ): Buffer {
    const bytes = this.peek(length);
    const text = typeof meaning === 'string' ? meaning : meaning(bytes);
    this.headers.at(-1)?.fields.push({ at: this.at, bytes, name, meaning: text });
    this.at += bytes.length;
    return bytes;
  }

  u16(name: string, meaning: (value: number) => string = String): number {
    return this.take(2, name, (bytes) => meaning(bytes.readUInt16BE())).readUInt16BE();
  }

  u8(name: string, meaning: (value: number) => string = String): number {
    return this.take(1, name, (bytes) => meaning(bytes.readUInt8())).readUInt8();
  }
}

export function headersOf(frame: Buffer): Header[] {
  const reader = new Reader(frame);
  const type = readLink(reader);
  if (type === 0x0800 || type === 0x86dd) readIp(reader, type === 0x86dd);
  if (reader.left > 0) {
    reader.begin('the rest');
    reader.take(reader.left, 'data', (bytes) => `${bytes.length} bytes`);
  }
  return reader.headers;
}

function readLink(reader: Reader): number | undefined {
  if (reader.left < 14) return undefined;
  reader.begin('Ethernet');
  reader.take(6, 'to', formatMac);
  reader.take(6, 'from', formatMac);
  let type = reader.u16('type', nameType);
  while ((type === 0x8100 || type === 0x88a8) && reader.left >= 4) {
    reader.begin(nameType(type));
    reader.u16('control', (value) => `VLAN ${value & 0xfff}, priority ${value >> 13}`);
    type = reader.u16('type', nameType);
  }
  return type;
}

function nameType(type: number): string {
  return ETHERTYPES[type] ?? `0x${type.toString(16).padStart(4, '0')}`;
}

function nameProtocol(protocol: number): string {
  return PROTOCOLS[protocol] ?? `protocol ${protocol}`;
}

/** TOS and traffic class are the same byte: RFC 2474 and RFC 3168. */
function nameTos(tos: number): string {
  const ecn = at(['not ECN-capable', 'ECT(1)', 'ECT(0)', 'congestion'], tos & 3);
  return `DSCP ${tos >> 2}, ${ecn}`;
}

const nameSum = (bytes: Buffer): string => (checksum(bytes) === 0 ? 'right' : 'wrong');
const ipv4Text = (bytes: Buffer): string => [...bytes].join('.');

function readIp(reader: Reader, isIpv6: boolean): void {
  if (isIpv6) readIpv6(reader);
  else readIpv4(reader);
}

function readIpv4(reader: Reader): void {
  const length = (reader.left > 0 ? at(reader.peek(1), 0) : 0) & 0xf;
  if (reader.left < 20 || length < 5 || reader.left < length * 4) return;
  const whole = reader.peek(length * 4);
  reader.begin('IPv4');
  reader.u8('version', (value) => `${value >> 4}, header of ${(value & 0xf) * 4} bytes`);
  reader.u8('TOS', nameTos);
  reader.u16('length', (value) => `${value} bytes`);
  reader.u16('identification');
  const fragment = reader.u16('fragment', nameFragment);
  reader.u8('TTL');
  const protocol = reader.u8('protocol', nameProtocol);
  reader.u16('checksum', () => nameSum(whole));
  reader.take(4, 'source', ipv4Text);
  reader.take(4, 'address', ipv4Text);
  if (length > 5)
    reader.take(length * 4 - 20, 'options', (bytes) => `${bytes.length} bytes`);
  if ((fragment & 0x1fff) === 0) readPayload(reader, protocol);
}

function nameFragment(value: number): string {
  const flags = [
    ...(value & 0x4000 ? ['do not fragment'] : []),
    ...(value & 0x2000 ? ['more follow'] : []),
    ...(value & 0x1fff ? [`from byte ${(value & 0x1fff) * 8}`] : []),
  ];
  return flags.join(', ') || 'may be fragmented';
}

function readIpv6(reader: Reader): void {
  if (reader.left < 40) return;
  reader.begin('IPv6');
  reader.take(4, 'version', (bytes) => {
    const word = bytes.readUInt32BE();
    return `${word >>> 28}, ${nameTos((word >>> 20) & 0xff)}, flow label ${word & 0xfffff}`;
  });
  reader.u16('length', (value) => `${value} bytes after this header`);
  let next = reader.u8('next', nameProtocol);
  reader.u8('hop limit');
  reader.take(16, 'source', formatAddress);
  reader.take(16, 'address', formatAddress);
  while (EXTENSIONS.includes(next) && reader.left >= 8) {
    const [, size = 0] = reader.peek(2);
    const length = next === 44 ? 8 : next === 51 ? (size + 2) * 4 : (size + 1) * 8;
    const isLater = next === 44 && (reader.peek(2, 2).readUInt16BE() & 0xfff8) !== 0;
    reader.begin(`IPv6 ${nameProtocol(next)}`);
    next = reader.u8('next', nameProtocol);
    reader.take(length - 1, 'content', (bytes) => `${bytes.length} bytes`);
    if (isLater) return;
  }
  readPayload(reader, next);
}

function readPayload(reader: Reader, protocol: number): void {
  if (protocol === 4 || protocol === 41) readIp(reader, protocol === 41);
  else if (protocol === 6 && reader.left >= 20) readTcp(reader);
  else if (protocol === 17 && reader.left >= 8) readUdp(reader);
  else if ((protocol === 6 || protocol === 17) && reader.left >= 4) {
    reader.begin(`${nameProtocol(protocol)}, cut short`);
    readPorts(reader);
  } else if ((protocol === 1 || protocol === 58) && reader.left >= 8) {
    readIcmp(reader, protocol);
  }
}

function readPorts(reader: Reader): void {
  reader.u16('source');
  reader.u16('destination');
}

function readTcp(reader: Reader): void {
  reader.begin('TCP');
  readPorts(reader);
  reader.take(4, 'sequence', (bytes) => String(bytes.readUInt32BE()));
  reader.take(4, 'acknowledged', (bytes) => String(bytes.readUInt32BE()));
  const words = reader.u8('header', (value) => `${(value >> 4) * 4} bytes`) >> 4;
  reader.u8('flags', nameTcpFlags);
  reader.u16('window');
  reader.take(2, 'checksum', 'of header and data');
  reader.u16('urgent');
  const options = Math.min(Math.max(0, words * 4 - 20), reader.left);
  if (options > 0) reader.take(options, 'options', `${options} bytes`);
}

function readUdp(reader: Reader): void {
  reader.begin('UDP');
  readPorts(reader);
  reader.u16('length', (value) => `${value} bytes`);
  reader.take(2, 'checksum', 'of header and data');
}

function readIcmp(reader: Reader, protocol: number): void {
  const key = `${protocol}.${at(reader.peek(1), 0)}`;
  reader.begin(nameProtocol(protocol));
  reader.u8('type', (value) => `${value}, ${ICMP_NAMES.get(key) ?? 'another'}`);
  reader.u8('code');
  reader.take(2, 'checksum', 'of the message');
  reader.take(4, 'rest', (bytes) => String(bytes.readUInt32BE()));
  if (!QUOTES.includes(key)) return;
  const quoted = reader.headers.length;
  readIp(reader, protocol === 58);
  for (const header of reader.headers.slice(quoted)) header.name += ', quoted';
}
