// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** datapath/hash.h in TypeScript: the one hash that finds cells and slots. */

/** Of two words, each read little-endian from the bytes on the wire. */
export function hash(seed: number, first: number, second: number): number {
  let h = seed;
  h = Math.imul(h ^ first, 0x9e3779b1);
  h ^= h >>> 15;
  h = Math.imul(h ^ second, 0x85ebca77);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae3d);
  h ^= h >>> 16;
  return h >>> 0;
}

/**
 * The seed of the slots is the same everywhere unless told otherwise, so that
 * two balancers with the same file send a packet to the same destination.
 */
export const SLOT_SEED = 0x6c346c62;
