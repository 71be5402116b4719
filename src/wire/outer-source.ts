// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Sources of the outer header: one for each family of destinations. A source can be
 * a prefix, over which the program spreads connections. Then the card of a destination
 * spreads them over its queues, which it chooses by the outer addresses.
 */
import { Fault } from '../text/fault.js';
import type { EntryForward } from './forward.js';
import { hasSource } from './forward.js';
import {
  addressFault,
  formatAddress,
  isIpv6,
  parseAddress,
  unusableAddress,
} from './address.js';

export interface Source {
  /** The address, or the lowest of the prefix if it is spread. */
  address: Buffer;
  /** Mask of the last 16 bits, which differ by connection; 0: none. */
  spread: number;
}

export interface Sources {
  ipv4?: Source | undefined;
  ipv6?: Source | undefined;
}

/** The sources from a command line. */
export interface AskedSources extends Sources {
  /** A family that is not named goes back to the device's own address. */
  isOwn?: boolean;
}

export type Family = keyof Sources;
export const FAMILIES: readonly Family[] = ['ipv4', 'ipv6'];
export const FAMILY_NAMES: Record<Family, string> = { ipv4: 'IPv4', ipv6: 'IPv6' };

export function familyOf(address: Buffer): Family {
  return isIpv6(address) ? 'ipv6' : 'ipv4';
}

/** Returns the family of a text that is an address. */
export function familyOfText(text: string): Family {
  return text.includes(':') ? 'ipv6' : 'ipv4';
}

/** The bits of an address that a destination's entry can spread. */
const SPREAD_BITS = 16;

/** Reads ADDR[/LENGTH], or throws a Fault. */
export function parseSource(text: string): Source {
  const [host = '', lengthText, ...more] = text.split('/');
  const address = parseAddress(host);
  if (!address) throw new Fault(`"${text}" ${addressFault(host)}`);
  const unusable = unusableAddress(address);
  if (unusable) throw new Fault(`"${text}" cannot be a source: ${unusable}`);
  if (lengthText === undefined) return { address, spread: 0 };

  const bits = isIpv6(address) ? 128 : 32;
  const length = /^\d{1,3}$/.test(lengthText) ? Number(lengthText) : NaN;
  if (!(length >= bits - SPREAD_BITS && length <= bits) || more.length > 0) {
    throw new Fault(
      `"${text}" does not end in a length from /${bits - SPREAD_BITS} to /${bits}`,
    );
  }
  const spread = (1 << (bits - length)) - 1;
  const last = address.readUInt16BE(14);
  if ((last & spread) === 0) return { address, spread };
  address.writeUInt16BE(last & ~spread & 0xffff, 14);
  throw new Fault(
    `"${text}" has bits set after its length; write ${formatAddress(address)}/${length}`,
  );
}

export function formatSource({ address, spread }: Source): string {
  const bits = isIpv6(address) ? 128 : 32;
  const length = bits - (32 - Math.clz32(spread));
  return formatAddress(address) + (spread === 0 ? '' : `/${length}`);
}

/** Sorts sources by family, at most one each; returns undefined if a family has two. */
export function joinSources(all: readonly Source[]): Sources | undefined {
  const sources: Sources = {};
  for (const source of all) {
    const family = familyOf(source.address);
    if (sources[family]) return undefined;
    sources[family] = source;
  }
  return sources;
}

export const TWO_SOURCES = 'each family has one source, and two of one family are given';

/**
 * Reads the sources from a service's entries; all of a family have the same, unless a tool
 * was killed. Packets that keep their own source get none.
 */
export function sourcesIn(
  entries: Iterable<{
    address: Buffer;
    source: Buffer;
    spread: number;
    forward: EntryForward;
  }>,
): Sources {
  const sources: Sources = {};
  for (const { address, source, spread, forward } of entries) {
    if (!hasSource(forward)) continue;
    sources[familyOf(address)] ??= { address: source, spread };
  }
  return sources;
}
