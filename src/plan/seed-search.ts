// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Searches for a seed under which no two ways share a cell. No such seed can be computed,
 * so one after another is tried. Nearly all fail within the first 40 ways. Millions of
 * tries must not take minutes, since a fill is planned under the lock.
 */
import { foldWords, hash, hashOfWay } from '../wire/hash.js';

/** The words of a way that are hashed, made ready for many seeds. */
export interface HashWords {
  /** One word for an IPv4 address, four for an IPv6 address. */
  address: readonly number[];
  /** Port and protocol as they lie in a cell. */
  last: number;
}

export function indexOf(
  { address, last }: HashWords,
  seed: number,
  cells: number,
): number {
  return hashOfWay(seed, foldWords(seed, address), last, Math.log2(cells));
}

/** Makes both factors of the hash odd, so that it loses no bit of a way. */
export function withOddHalves(seed: number): number {
  return (seed | 0x0001_0001) >>> 0;
}

/** Takes some seconds. 16 ways in 16 cells need a million tries on average. */
const TRIES = 8_000_000;
/** With a smaller chance than this the search would be in vain. */
const LEAST_CHANCE = 0.01;

/**
 * Whether a search is worth its time: the chance that all IPv6 ways get different cells
 * in one of the tries, if their places are random. IPv4 ways do not count, as their
 * places are not random: consecutive addresses get different cells.
 */
export function isHopeful(ways: readonly HashWords[], cells: number): boolean {
  if (ways.length > cells) return false;
  const random = ways.filter(isLong).length;
  let log = Math.log(TRIES);
  for (let placed = 0; placed < random; placed++) log += Math.log1p(-placed / cells);
  return log >= Math.log(LEAST_CHANCE);
}

function isLong({ address }: HashWords): boolean {
  return address.length > 1;
}

/** Cells that hold something, each with the index of the way that may have it, or -1. */
export type Occupied = ReadonlyMap<number, number>;

/** Tries seeds that follow from the present one. */
export function searchSeed(
  ways: readonly HashWords[],
  occupied: Occupied,
  seed: number,
  cells: number,
): number | undefined {
  const bits = Math.log2(cells);
  const count = ways.length;
  const long = Uint8Array.from(ways, (way) => (isLong(way) ? 1 : 0));
  const words = [0, 1, 2, 3].map((at) =>
    Int32Array.from(ways, ({ address }) => address[at] ?? 0),
  );
  const [first, second, third, fourth] = words as [
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
  ];
  const last = Int32Array.from(ways, (way) => way.last);
  // 0: free; -1: no way may have it; else the index of the only way that may, plus 1.
  const owner = new Int32Array(cells);
  for (const [cell, way] of occupied) owner[cell] = way < 0 ? -1 : way + 1;
  if (owner.filter((by) => by >= 0).length < count) return undefined;
  // The number of the try that took a cell, so that none has to be cleared.
  const taken = new Uint32Array(cells);

  const fits = (candidate: number, tries: number): boolean => {
    for (let way = 0; way < count; way++) {
      // Typed arrays have a number at each of these places.
      const one = first[way] as number;
      const address = long[way]
        ? hash(
            hash(candidate, one, second[way] as number),
            third[way] as number,
            fourth[way] as number,
          )
        : one;
      const cell = hashOfWay(candidate, address, last[way] as number, bits);
      const by = owner[cell] as number;
      if (taken[cell] === tries || (by !== 0 && by !== way + 1)) return false;
      taken[cell] = tries;
    }
    return true;
  };
  for (let tries = 1; tries < TRIES; tries++) {
    const candidate = withOddHalves(hash(seed, tries, 0));
    if (fits(candidate, tries)) return candidate;
  }
  return undefined;
}
