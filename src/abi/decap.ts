// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** programs/decap.h in TypeScript: the maps of the decapsulation program. */
import type { Names, NamesPrefix } from '../wire/names.js';
import { bitsOfNumber } from '../wire/names.js';
import { FAMILIES } from '../wire/outer-source.js';
import { encodeKey, putU32, u32 } from './bytes.js';
import type { Verdict } from './verdicts.js';

/** DECAP_VERDICTS. */
export const DECAP_VERDICTS = [
  {
    number: 0,
    name: 'decapsulated',
    action: 'PASS',
    meaning: 'the outer header came off, and the inner packet goes to the host',
  },
  {
    number: 1,
    name: 'not ipip',
    action: 'PASS',
    meaning: 'no IP packet inside an IP packet: passed as it came',
  },
  {
    number: 2,
    name: 'not this host',
    action: 'PASS',
    meaning: "the outer address is not one of this host's: passed as it came",
  },
  {
    number: 3,
    name: 'taken hot',
    action: 'PASS',
    meaning:
      'as *decapsulated*; the packet is of a hot slot and begins a connection, or this host has its connection',
  },
  {
    number: 4,
    name: 'nobody named',
    action: 'PASS',
    meaning:
      'as *decapsulated*; the packet is of a hot slot and of no connection here, and no sibling has the number that it names',
  },
  {
    number: 17,
    name: 'malformed',
    action: 'DROP',
    meaning: 'a header is cut short, or a length exceeds the packet',
  },
  {
    number: 18,
    name: 'ecn',
    action: 'DROP',
    meaning: 'congestion on the way that the inner packet cannot report (RFC 6040)',
  },
  {
    number: 19,
    name: 'no room',
    action: 'DROP',
    meaning: 'the outer header could not be removed',
  },
  {
    number: 20,
    name: 'hops used up',
    action: 'DROP',
    meaning: 'to be sent on, but the outer TTL or hop limit is 1',
  },
  {
    number: 32,
    name: 'sent on',
    action: 'TX',
    meaning:
      'the packet is of a hot slot and of no connection here: sent on to the sibling that it names',
  },
] as const satisfies Verdict[];

/** struct decap_host. */
export interface DecapHost {
  /** An ABI version says that `addresses` is complete. */
  abi: number;
  /** The prefixes behind which outer sources name destinations. */
  names: Names;
}

const NAMES_AT = 8;
/** sizeof(struct decap_names). */
const NAMES_SIZE = 24;
const MASK_AT = 16;
const BITS_AT = 20;

export function encodeHost({ abi, names }: DecapHost): Buffer {
  const both = FAMILIES.map((family) => encodeNames(names[family]));
  return Buffer.concat([encodeKey(abi), Buffer.alloc(4), ...both]);
}

function encodeNames(names: NamesPrefix | undefined): Buffer {
  const buffer = Buffer.alloc(NAMES_SIZE);
  if (!names) return buffer;
  const bits = bitsOfNumber(names);
  names.address.copy(buffer);
  buffer.writeUInt32BE(2 ** 32 - 2 ** (2 * bits), MASK_AT);
  putU32(buffer, bits, BITS_AT);
  return buffer;
}

export function decodeHost(host: Buffer): DecapHost {
  const names: Names = {};
  // A program of an earlier build knows no names.
  if (host.length < NAMES_AT + 2 * NAMES_SIZE) return { abi: u32(host, 0), names };
  FAMILIES.forEach((family, index) => {
    const at = NAMES_AT + index * NAMES_SIZE;
    const bits = u32(host, at + BITS_AT);
    const address = Buffer.from(host.subarray(at, at + 16));
    const all = family === 'ipv4' ? 32 : 128;
    if (bits > 0) names[family] = { address, length: all - 2 * bits };
  });
  return { abi: u32(host, 0), names };
}
