// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The seed of the hash that chooses a packet's slot. The usual one is public, so that all
 * balancers agree without being told, but then anybody can compute which flows come to the same destination.
 */
import { createHash } from 'node:crypto';

import { Fault } from '../text/fault.js';
import { printableLine } from '../text/printable.js';

/** 32 bits, or `random`: drawn for the first fill and kept from then on. */
export type SlotSeed = number | 'random';

const SHORTEST = 8;
const LONGEST = 200;

/** Reads a passphrase, a number as formatSlotSeed() writes it, or `random`. Throws a Fault. */
export function parseSlotSeed(text: string): SlotSeed {
  if (text === 'random') return text;
  if (/^0x[0-9a-f]{8}$/.test(text)) return Number(text);
  const { length } = text;
  if (length < SHORTEST || length > LONGEST || printableLine(text) !== text) {
    // It is meant to be secret, so the message does not repeat it.
    throw new Fault(
      `the seed is neither "random", nor 0x and 8 hexadecimal digits, nor ${SHORTEST} to ${LONGEST} printable characters`,
    );
  }
  return createHash('sha256').update(text).digest().readUInt32BE(0);
}

export function formatSlotSeed(seed: number): string {
  return `0x${seed.toString(16).padStart(8, '0')}`;
}
