// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** programs/decap.h in TypeScript: the maps of the decapsulation program. */
import { encodeKey, u32 } from './bytes.js';
import { ABI } from './maps.js';
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

/** struct decap_names: a prefix behind which outer sources name destinations. */
export interface DecapNames {
  /** 16 bytes. */
  prefix: Buffer;
  /** How many bits behind the prefix hold the two numbers: an even number up to 32. */
  behind: number;
}

const NO_NAMES = Buffer.alloc(24);

function encodeNames({ prefix, behind }: DecapNames): Buffer {
  const mask = Buffer.alloc(4);
  mask.writeUInt32BE(behind === 32 ? 0 : (-1 << behind) >>> 0);
  return Buffer.concat([prefix, mask, encodeKey(behind / 2)]);
}

export interface DecapHost {
  /** An ABI version says that `addresses` is complete. */
  abi: number;
  ipv4?: DecapNames | undefined;
  ipv6?: DecapNames | undefined;
}

/** struct decap_host. */
export function encodeHost({ abi, ipv4, ipv6 }: DecapHost = { abi: ABI }): Buffer {
  const names = [ipv4, ipv6].map((one) => (one ? encodeNames(one) : NO_NAMES));
  return Buffer.concat([encodeKey(abi), Buffer.alloc(4), ...names]);
}

const NAMES_AT = 8;

export function decodeHost(host: Buffer): DecapHost {
  const [ipv4, ipv6] = [NAMES_AT, NAMES_AT + NO_NAMES.length].map((at) => {
    const behind = 2 * u32(host, at + 20);
    const prefix = Buffer.from(host.subarray(at, at + 16));
    return behind === 0 ? undefined : { prefix, behind };
  });
  return { abi: u32(host, 0), ipv4, ipv6 };
}
