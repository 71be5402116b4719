// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** datapath/hash.h in TypeScript: the hashes that find slots and cells. */
import { isIpv6 } from './address.js';

/** Hashes two words, each read little-endian from the bytes on the wire. */
export function mix(seed: number, first: number, second: number): number {
  let h = seed;
  h = Math.imul(h ^ first, 0x9e3779b1);
  h ^= h >>> 15;
  h = Math.imul(h ^ second, 0x85ebca77);
  h ^= h >>> 13;
  return Math.imul(h, 0xc2b2ae3d) >>> 0;
}

/** Makes the lower bits usable. */
export function evenOut(mixed: number): number {
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

export function hash(seed: number, first: number, second: number): number {
  return evenOut(mix(seed, first, second));
}

/** Uses the upper bits, which are the best of a product. */
export function slotOf(mixed: number, log2Slots: number): number {
  return log2Slots === 0 ? 0 : mixed >>> (32 - log2Slots);
}

/** Hashes an address as one word, and port, protocol and version, to a number below 2^bits. */
export function hashOfWay(
  seed: number,
  address: number,
  way: number,
  bits: number,
): number {
  const swapped = (seed << 16) | (seed >>> 16);
  return (Math.imul(address, seed) + Math.imul(way, swapped)) >>> (32 - bits);
}

/**
 * Returns an address as one word: IPv4 and any are a word already, and the four words
 * of IPv6 are hashed to one.
 */
export function fold(seed: number, address: Buffer): number {
  return foldWords(seed, wordsOf(address));
}

/** Returns the words of an address, read little-endian: one for IPv4, four for IPv6. */
export function wordsOf(address: Buffer): number[] {
  const offsets = isIpv6(address) ? [0, 4, 8, 12] : [12];
  return offsets.map((at) => address.readUInt32LE(at));
}

export function foldWords(seed: number, words: readonly number[]): number {
  const [first = 0, second = 0, third = 0, fourth = 0] = words;
  return words.length === 1 ? first : hash(hash(seed, first, second), third, fourth);
}

/**
 * The seed of the slots is the same everywhere unless an option sets it, so that
 * two balancers with the same file send a packet to the same destination.
 */
export const SLOT_SEED = 0x6c346c62;
