// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** programs/decap.h in TypeScript: what lies in the maps of the destination's end. */
import { encodeKey } from './bytes.js';
import { ABI } from './maps.js';

/** DECAP_VERDICTS. */
export const DECAP_VERDICTS = [
  { number: 0, name: 'decapsulated' },
  { number: 1, name: 'not ipip' },
  { number: 2, name: 'not this host' },
  { number: 17, name: 'malformed' },
  { number: 18, name: 'ecn' },
  { number: 19, name: 'no room' },
] as const;

/** struct decap_host: an ABI version says that the addresses are complete. */
export function encodeHost(): Buffer {
  return Buffer.concat([encodeKey(ABI), Buffer.alloc(4)]);
}
