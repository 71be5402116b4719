// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Addresses as people write them and as they lie in the maps: 16 bytes, or 6. */
import { isIPv4 } from 'node:net';

/** `::`, which stands for any address. */
export const ANY_ADDRESS: Buffer = Buffer.alloc(16);

const IPV4_PREFIX = Buffer.from('00000000000000000000ffff', 'hex');

/** An IPv4 address as ::ffff:a.b.c.d, or undefined where the text is none. */
export function parseAddress(text: string): Buffer | undefined {
  if (!isIPv4(text)) return undefined;
  return Buffer.concat([IPV4_PREFIX, Buffer.from(text.split('.').map(Number))]);
}

export function formatAddress(address: Buffer): string {
  if (address.equals(ANY_ADDRESS)) return 'any';
  return [...address.subarray(12)].join('.');
}

/** Why an address cannot be a destination's or a service's, or undefined. */
export function unusableAddress(address: Buffer): string | undefined {
  const first = address[12] ?? 0;
  if (first === 0) return 'it stands for "this network" (0.0.0.0/8)';
  if (first === 127) return 'it is a loopback address';
  if (first >= 224 && first < 240) return 'it is a multicast address';
  if (first >= 240) return 'it is a reserved or broadcast address';
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

/** Numerically, so that 10.0.9.1 comes before 10.0.10.1. */
export function compareAddresses(one: string, other: string): number {
  return Buffer.compare(
    parseAddress(one) ?? ANY_ADDRESS,
    parseAddress(other) ?? ANY_ADDRESS,
  );
}
