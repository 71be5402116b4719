// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Outer sources that name destinations: behind a prefix of the operator's they hold the
 * numbers of two destinations at most. datapath/names.h says what for.
 */
import { Fault } from '../text/fault.js';
import {
  ANY_ADDRESS,
  addressFault,
  formatAddress,
  isIpv6,
  parseAddress,
  unusableAddress,
} from './address.js';
import type { Family } from './outer-source.js';
import { FAMILY_NAMES, familyOf } from './outer-source.js';

export interface NamesPrefix {
  /** 16 bytes; the bits behind the prefix are 0. */
  address: Buffer;
  /** How many bits of an address of this family count. */
  length: number;
}

export type Names = Partial<Record<Family, NamesPrefix>>;

/** All bits behind the prefix lie in the last 32, and two numbers share them alike. */
const LENGTHS: Record<Family, { shortest: number; longest: number; all: number }> = {
  ipv4: { shortest: 8, longest: 24, all: 32 },
  ipv6: { shortest: 96, longest: 120, all: 128 },
};

/** Reads ADDR/LENGTH, or throws a Fault. */
export function parseNames(text: string): NamesPrefix {
  const [host = '', lengthText = '', ...more] = text.split('/');
  const address = parseAddress(host);
  if (!address) throw new Fault(`"${text}" ${addressFault(host)}`);
  if (address.equals(ANY_ADDRESS)) {
    throw new Fault(`"${text}" cannot hold sources: it is reserved (::/32)`);
  }
  const { shortest, longest, all } = LENGTHS[familyOf(address)];
  const length = /^\d{1,3}$/.test(lengthText) ? Number(lengthText) : NaN;
  if (!(length >= shortest && length <= longest && length % 2 === 0) || more.length > 0) {
    throw new Fault(
      `"${text}" does not end in an even length from /${shortest} to /${longest}`,
    );
  }
  const behind = all - length;
  const mask = 2 ** behind - 1;
  const last = address.readUInt32BE(12);
  const whole = (last & ~mask) >>> 0;
  if (whole === last) {
    const unusable = unusableAddress(namingSource({ address, length }, 1));
    if (unusable) throw new Fault(`"${text}" cannot hold sources: ${unusable}`);
    return { address, length };
  }
  address.writeUInt32BE(whole, 12);
  throw new Fault(
    `"${text}" has bits set after its length; write ${formatAddress(address)}/${length}`,
  );
}

export function formatNames({ address, length }: NamesPrefix): string {
  return `${formatAddress(address)}/${length}`;
}

/** Sorts prefixes by family, or throws a Fault if a family has two. */
export function joinNames(all: readonly NamesPrefix[]): Names {
  const names: Names = {};
  for (const prefix of all) {
    const family = familyOf(prefix.address);
    if (names[family])
      throw new Fault(`two prefixes of ${FAMILY_NAMES[family]} are given`);
    names[family] = prefix;
  }
  return names;
}

/** How many bits a number has. */
export function bitsOfNumber({ address, length }: NamesPrefix): number {
  return ((isIpv6(address) ? 128 : 32) - length) / 2;
}

/** Whether an address lies in the prefix, and so would be taken for one that names. */
export function isInNames(prefix: NamesPrefix, address: Buffer): boolean {
  if (familyOf(address) !== familyOf(prefix.address)) return false;
  const start = Buffer.from(address);
  const behind = 2 ** (2 * bitsOfNumber(prefix)) - 1;
  start.writeUInt32BE((start.readUInt32BE(12) & ~behind) >>> 0, 12);
  return start.equals(prefix.address);
}

/** The number of a destination: the last bits of its address. 0 cannot be named. */
export function numberOf(prefix: NamesPrefix, address: Buffer): number {
  return address.readUInt32BE(12) & (2 ** bitsOfNumber(prefix) - 1);
}

/** What a source holds behind its prefix: 0 names nobody. */
export function bitsOfNames(prefix: NamesPrefix, first: number, second: number): number {
  return first === 0 ? 0 : first + second * 2 ** bitsOfNumber(prefix);
}

/** The source that holds these bits: 16 bytes. */
export function namingSource({ address }: NamesPrefix, bits: number): Buffer {
  const source = Buffer.from(address);
  source.writeUInt32BE((source.readUInt32BE(12) | bits) >>> 0, 12);
  return source;
}
