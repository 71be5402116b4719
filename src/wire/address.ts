// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Addresses as people write them and as they lie in the maps: 16 bytes, or 6. */
import { at } from '../text/must.js';
import { isIPv4, isIPv6 } from 'node:net';

/** `::`, which stands for any address of either family. */
export const ANY_ADDRESS: Buffer = Buffer.alloc(16);

/** The word in front of the IPv4 address in ::ffff:a.b.c.d. */
const MAPPED = 0xffff;

function isMapped(address: Buffer): boolean {
  return (
    address.readUInt32BE(8) === MAPPED &&
    address.readUInt32BE(4) === 0 &&
    address.readUInt32BE(0) === 0
  );
}

/** Returns false for the any address too, which stands for both families. */
export function isIpv6(address: Buffer): boolean {
  return !isMapped(address) && !address.equals(ANY_ADDRESS);
}

/**
 * Returns 16 bytes, or undefined if the text is not an address that we accept. An IPv4
 * address has a single form, so that no file names the same destination twice.
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

/** Says why parseAddress() returns undefined, as words to follow the text. */
export function addressFault(text: string): string {
  if (!isIPv6(text)) return NO_ADDRESS;
  if (text.includes('%'))
    return 'names a zone, but packets have none; leave the zone out';
  return `is an IPv4 address in IPv6 form; write ${formatAddress(readIpv6(text))}`;
}

/** Reads a valid IPv6 address, whose end may have the form of IPv4. */
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

/** Formats IPv6 as RFC 5952 says. */
export function formatAddress(address: Buffer): string {
  if (isMapped(address)) {
    // Thousands are formatted for each plan, so no array is made.
    return `${at(address, 12)}.${at(address, 13)}.${at(address, 14)}.${at(address, 15)}`;
  }
  const groups: string[] = [];
  for (let at = 0; at < 16; at += 2) groups.push(address.readUInt16BE(at).toString(16));
  const { start, length } = longestZeros(groups);
  if (length === 8) return 'any';
  if (length < 2) return groups.join(':');
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + length).join(':')}`;
}

/** Finds the first of the longest runs of zero groups. */
function longestZeros(groups: readonly string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  groups.forEach((group, index) => {
    if (group !== '0') start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  });
  return best;
}

/** Says why an address cannot be a destination, a service or a source, or returns undefined. */
export function unusableAddress(address: Buffer): string | undefined {
  return isMapped(address) ? unusableIpv4(address) : unusableIpv6(address);
}

function unusableIpv4(address: Buffer): string | undefined {
  const first = at(address, 12);
  if (first === 0) return 'it stands for "this network" (0.0.0.0/8)';
  if (first === 127) return 'it is a loopback address';
  if (first >= 224 && first < 240) return 'it is a multicast address';
  if (first >= 240) return 'it is a reserved or broadcast address';
  return undefined;
}

const LOOPBACK = Buffer.from('00000000000000000000000000000001', 'hex');

/**
 * A link-local address is another host on every link: the tables do not say which
 * link, no router forwards such a packet, and a destination that has a service's
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

/** Reads six bytes from 02:00:0a:00:00:39 or 02-00-0a-00-00-39, or returns undefined. */
export function parseMac(text: string): Buffer | undefined {
  if (!/^[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}$/i.test(text)) return undefined;
  return Buffer.from(text.replaceAll(/[:-]/g, ''), 'hex');
}

export function formatMac(mac: Buffer): string {
  return [...mac].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** Orders the any address, then IPv4, then IPv6; by number, so that 10.0.9.1 comes before 10.0.10.1. */
export function compareBytes(one: Buffer, other: Buffer): number {
  return Number(isIpv6(one)) - Number(isIpv6(other)) || Buffer.compare(one, other);
}

/** Compares texts in the same order. */
export function compareAddresses(one: string, other: string): number {
  return compareBytes(
    parseAddress(one) ?? ANY_ADDRESS,
    parseAddress(other) ?? ANY_ADDRESS,
  );
}

/** Returns a table's address as it is on the wire: 4 bytes for IPv4. */
export function onWire(address: Buffer): Buffer {
  return isMapped(address) ? address.subarray(12) : address;
}

/** Returns an IPv4 address of 4 bytes as a table holds it. */
export function fromIpv4(wire: Buffer): Buffer {
  const address = Buffer.alloc(16);
  address.writeUInt16BE(MAPPED, 10);
  wire.copy(address, 12);
  return address;
}
