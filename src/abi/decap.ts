// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** programs/decap.h in TypeScript: the maps of the decapsulation program. */
import { encodeKey } from './bytes.js';
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
] as const satisfies Verdict[];

/** struct decap_host: an ABI version says that the addresses are complete. */
export function encodeHost(): Buffer {
  return Buffer.concat([encodeKey(ABI), Buffer.alloc(4)]);
}
