// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Addresses as people write them and as they lie in the maps: 16 bytes, or 6. */
import { isIPv4, isIPv6 } from 'node:net';

/** `::`, which stands for any address of either family. */
export const ANY_ADDRESS: Buffer = Buffer.alloc(16);

/** What is behind the ninety-six bits of ::ffff:a.b.c.d is an IPv4 address. */
const MAPPED = 0xffff;

function isMapped(address: Buffer): boolean {
  return (
    address.readUInt32BE(8) === MAPPED &&
    address.readUInt32BE(4) === 0 &&
    address.readUInt32BE(0) === 0
  );
}

/** Any address is none: it is both families. */
export function isIpv6(address: Buffer): boolean {
  return !isMapped(address) && !address.equals(ANY_ADDRESS);
}

/**
 * 16 bytes, or undefined where the text is no address that we take: an IPv4 one has
 * a single form, so that nobody has the same destination twice.
 */
export function parseAddress(text: string): Buffer | undefined {
  if (isIPv4(text)) {
    const address = Buffer.alloc(16);
    address.writeUInt16BE(MAPPED, 10);
    writeIpv4(address, text, 12);
    return address;
  }
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const address = readIpv6(text);
  return isMapped(address) ? undefined : address;
}

export const NO_ADDRESS = 'is not an IP address';

/** Why parseAddress() gives none: what can be said behind the text. */
export function addressFault(text: string): string {
  if (!isIPv6(text)) return NO_ADDRESS;
  if (text.includes('%'))
    return 'names a zone, but packets have none; leave the zone out';
  return `is an IPv4 address in IPv6 form; write ${formatAddress(readIpv6(text))}`;
}

/** Of a text that is an IPv6 address; its end may have the form of IPv4. */
function readIpv6(text: string): Buffer {
  const address = Buffer.alloc(16);
  const [head = '', tail = ''] = text.split('%', 1)[0]?.split('::') ?? [];
  writeGroups(address, head, 0);
  writeGroups(address, tail, 16 - lengthOf(tail));
  return address;
}

function lengthOf(groups: string): number {
  if (groups === '') return 0;
  return groups.split(':').length * 2 + (groups.includes('.') ? 2 : 0);
}

function writeGroups(address: Buffer, groups: string, at: number): void {
  if (groups === '') return;
  let to = at;
  for (const group of groups.split(':')) {
    if (group.includes('.')) writeIpv4(address, group, to);
    else address.writeUInt16BE(parseInt(group, 16), to);
    to += 2;
  }
}

function writeIpv4(address: Buffer, text: string, at: number): void {
  let to = at;
  for (const part of text.split('.')) address.writeUInt8(Number(part), to++);
}

/** IPv6 in the form of RFC 5952. */
export function formatAddress(address: Buffer): string {
  if (isMapped(address)) return address.subarray(12).join('.');
  const groups: string[] = [];
  for (let at = 0; at < 16; at += 2) groups.push(address.readUInt16BE(at).toString(16));
  const { start, length } = longestZeros(groups);
  if (length === 8) return 'any';
  if (length < 2) return groups.join(':');
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + length).join(':')}`;
}

/** The first of the longest runs of groups that are zero. */
function longestZeros(groups: readonly string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  groups.forEach((group, index) => {
    if (group !== '0') start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  });
  return best;
}

/** Why an address cannot be a destination's, a service's or a source, or undefined. */
export function unusableAddress(address: Buffer): string | undefined {
  return isMapped(address) ? unusableIpv4(address) : unusableIpv6(address);
}

function unusableIpv4(address: Buffer): string | undefined {
  const first = address[12] ?? 0;
  if (first === 0) return 'it stands for "this network" (0.0.0.0/8)';
  if (first === 127) return 'it is a loopback address';
  if (first >= 224 && first < 240) return 'it is a multicast address';
  if (first >= 240) return 'it is a reserved or broadcast address';
  return undefined;
}

const LOOPBACK = Buffer.from('00000000000000000000000000000001', 'hex');

/**
 * A link-local address is another host on every link: the tables do not say which
 * link, no router takes such a packet on, and a destination that has a service's
 * address on lo could not answer from it.
 */
function unusableIpv6(address: Buffer): string | undefined {
  const first = address.readUInt32BE(0);
  if (address.equals(ANY_ADDRESS)) return 'it is the unspecified address';
  if (address.equals(LOOPBACK)) return 'it is a loopback address';
  if (first === 0) return 'it is reserved (::/32)';
  if (first >>> 24 === 0xff) return 'it is a multicast address';
  if (first >>> 22 === 0xfe80 >>> 6) {
    return 'it is a link-local address, which means another host on each link';
  }
  return undefined;
}

/** Six bytes from 02:00:0a:00:00:39 or 02-00-0a-00-00-39, or undefined. */
export function parseMac(text: string): Buffer | undefined {
  if (!/^[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}$/i.test(text)) return undefined;
  return Buffer.from(text.replaceAll(/[:-]/g, ''), 'hex');
}

export function formatMac(mac: Buffer): string {
  return [...mac].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** Any, then IPv4, then IPv6; by number, so that 10.0.9.1 comes before 10.0.10.1. */
export function compareBytes(one: Buffer, other: Buffer): number {
  return Number(isIpv6(one)) - Number(isIpv6(other)) || Buffer.compare(one, other);
}

/** The same of texts. */
export function compareAddresses(one: string, other: string): number {
  return compareBytes(
    parseAddress(one) ?? ANY_ADDRESS,
    parseAddress(other) ?? ANY_ADDRESS,
  );
}

/** A sorted copy; each address is read once, which matters for thousands. */
export function sortedByAddress<T>(
  all: readonly T[],
  addressOf: (one: T) => string,
): T[] {
  return all
    .map((one) => ({ one, key: parseAddress(addressOf(one)) ?? ANY_ADDRESS }))
    .sort((a, b) => compareBytes(a.key, b.key))
    .map(({ one }) => one);
}

/** An address of a table as it is on the wire: of 4 bytes if it is an IPv4's. */
export function onWire(address: Buffer): Buffer {
  return isMapped(address) ? address.subarray(12) : address;
}
