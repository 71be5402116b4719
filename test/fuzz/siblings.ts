// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The siblings of the decapsulation program's host. */
import type { Sibling } from '../../src/abi/siblings.js';
import { parseAddress } from '../../src/wire/address.js';
import { must } from '../../src/text/must.js';

const address = (text: string): Buffer => must(parseAddress(text), text);

/** Their numbers are the same in all lengths of a prefix. */
export const SIBLINGS: readonly Sibling[] = [
  ...[1, 2, 3, 4].map((number) => sibling(`10.0.0.${number}`, number)),
  ...[1, 2, 3].map((number) => sibling(`2001:db8:2::${number}`, 4 + number)),
  // The host itself.
  sibling('10.0.0.15', 0),
  sibling('10.0.0.16', 0),
  sibling('2001:db8:2::f', 0),
];

function sibling(text: string, pair: number): Sibling {
  const mac = Buffer.from([0x02, 0, 0x0a, 0, 0x01, pair]);
  return { address: address(text), mac, pair };
}

export function numberOf(one: Buffer): number {
  return one.readUInt16BE(14) & 0xff;
}
