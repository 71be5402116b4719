// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The destination of a flood, and the source addresses that its packets claim. */
import { Fault } from '../text/fault.js';
import { TCP, UDP } from '../wire/protocols.js';
import {
  ANY_ADDRESS,
  addressFault,
  formatAddress,
  isIpv6,
  parseAddress,
} from '../wire/address.js';
import { UsageFailure } from '../text/failure.js';
import { FAMILY_NAMES, familyOf } from '../wire/outer-source.js';
import type { Way } from '../wire/way.js';
import { parseWays } from '../wire/way.js';

/** Addresses that begin with the same bits. The bits behind `length` are zero. */
export interface Prefix {
  /** 16 bytes. */
  address: Buffer;
  length: number;
}

/** The default port: discard, which does not answer. */
const DISCARD = 9;

/** Parses ADDR[:PORT][/PROTO], or throws a Fault. */
export function parseDestination(text: string): Way[] {
  const ways = parseWays(text);
  if (ways.some(({ address }) => address.equals(ANY_ADDRESS))) {
    throw new Fault(`"${text}" stands for all addresses, but a flood goes to one`);
  }
  return ways;
}

/** Chooses the way whose protocol the packets have. */
export function chooseWay(ways: readonly Way[], isSyn: boolean): Way {
  const wanted = isSyn ? TCP : UDP;
  const way = ways.find(({ protocol }) => protocol === wanted) ?? ways[0];
  if (!way || (isSyn && way.protocol !== TCP)) {
    throw new UsageFailure('--syn is for TCP, but --dst names another protocol', {
      next: '--dst ADDR:PORT/tcp --syn, or leave --syn out',
    });
  }
  return way.port === 0 ? { ...way, port: DISCARD } : way;
}

export function familyBits(address: Buffer): number {
  return isIpv6(address) ? 128 : 32;
}

/** Parses ADDR[/LENGTH], or throws a Fault. */
export function parsePrefix(text: string): Prefix {
  const [host = '', lengthText, ...more] = text.split('/');
  const address = parseAddress(host);
  if (!address) throw new Fault(`"${text}" ${addressFault(host)}`);
  if (address.equals(ANY_ADDRESS)) {
    throw new Fault(`"${text}" stands for all addresses; use --random-source for that`);
  }
  const bits = familyBits(address);
  const length = lengthText === undefined ? bits : readLength(lengthText, bits);
  if (length === undefined || more.length > 0) {
    throw new Fault(`"${text}" does not end in a length from /0 to /${bits}`);
  }
  const network = masked(address, 128 - bits + length);
  if (network.equals(address)) return { address, length };
  throw new Fault(
    `"${text}" has bits set after its length; write ${formatAddress(network)}/${length}`,
  );
}

function readLength(text: string, most: number): number | undefined {
  const length = /^\d{1,3}$/.test(text) ? Number(text) : NaN;
  return length <= most ? length : undefined;
}

/** Keeps the first bits and sets the others to zero. */
function masked(address: Buffer, bits: number): Buffer {
  return Buffer.from(
    address.map((byte, at) => {
      const kept = Math.min(8, Math.max(0, bits - at * 8));
      return byte & ~(0xff >> kept);
    }),
  );
}

/** Returns all IPv4 addresses, or for IPv6 the global unicast addresses, 2000::/3. */
export function anySource(destination: Buffer): Prefix {
  const address = Buffer.alloc(16);
  if (isIpv6(destination)) {
    address.writeUInt8(0x20, 0);
    return { address, length: 3 };
  }
  address.writeUInt16BE(0xffff, 10);
  return { address, length: 0 };
}

export function checkFamilies(source: Prefix, destination: Buffer): void {
  const [from, to] = [familyOf(source.address), familyOf(destination)];
  if (from === to) return;
  throw new UsageFailure(
    `--src is ${FAMILY_NAMES[from]}, and --dst is ${FAMILY_NAMES[to]}`,
    { next: 'use two addresses of one family' },
  );
}

export function formatPrefix({ address, length }: Prefix): string {
  const bits = familyBits(address);
  return formatAddress(address) + (length === bits ? '' : `/${length}`);
}
