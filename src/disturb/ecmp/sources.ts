// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The service of a run behind a router, and the addresses that its clients have. */
import { parsePrefix } from '../../fleet/announce/words.js';
import { Fault } from '../../text/fault.js';
import { must } from '../../text/must.js';
import { formatAddress, isIpv6, parseAddress } from '../../wire/address.js';
import type { Service } from '../testbed.js';
import { SERVICE } from '../testbed.js';

export const FAMILIES = ['4', '6'] as const;
export type Family = (typeof FAMILIES)[number];

export interface Sources {
  /** As ip route takes it. */
  prefix: string;
  family: Family;
  addresses: string[];
}

/** More addresses than this make no difference, and each is told to the client. */
const MOST = 1000;
/** What the network itself consists of. */
const TAKEN = /^(10\.|fd)/;

/** Reads the prefix that clients' addresses lie in; throws a Fault. */
export function parseSources(text: string): Sources {
  const { address, length } = parsePrefix(text);
  if (TAKEN.test(address)) {
    throw new Fault(`"${text}" is where the network of the run itself is`);
  }
  const bytes = must(parseAddress(address), address);
  const family = isIpv6(bytes) ? '6' : '4';
  const bits = (family === '6' ? 128 : 32) - length;
  if (bits < 1 || bits > 24) {
    const [least, most] = family === '6' ? [104, 127] : [8, 31];
    throw new Fault(`"${text}" has a length that is not from /${least} to /${most}`);
  }
  const size = 2 ** bits;
  // The first and the last may mean the network itself and all in it.
  const usable = size > 2 ? size - 2 : size;
  const count = Math.min(MOST, usable);
  const first = bytes.readUInt32BE(12) + (size > 2 ? 1 : 0);
  const addresses = Array.from({ length: count }, (_, i) => {
    const one = Buffer.from(bytes);
    one.writeUInt32BE(first + Math.floor((i * usable) / count), 12);
    return formatAddress(one);
  });
  return { prefix: `${address}/${length}`, family, addresses };
}

const VIP6 = 'fd00:100::1';

export function serviceOf(family: Family, sources: Sources | undefined): Service {
  const own = { ...SERVICE, sources: sources?.addresses ?? [] };
  if (family === '4') return own;
  return { ...own, vip: VIP6, endpoint: `[${VIP6}]:${SERVICE.port}/tcp` };
}
