// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Looks for a seed under which no two ways share a cell. There is nothing to build it
 * from, so one after another is tried; nearly all fail within the first 40 ways, and
 * millions of them must not take minutes, since a fill is planned under the lock.
 */
import { foldWords, hash, hashOfWay } from '../wire/hash.js';

/** What is hashed of a way, made ready for many seeds. */
export interface HashWords {
  /** One of an IPv4 address, four of an IPv6 one. */
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

/** Both factors of the hash are odd then, so that it loses no bit of a way. */
export function withOddHalves(seed: number): number {
  return (seed | 0x0001_0001) >>> 0;
}

/** Some seconds; 16 ways in 16 cells take a million on average. */
const TRIES = 8_000_000;
/** With less than that, all tries would be in vain. */
const LEAST_CHANCE = 0.01;

/**
 * Whether a search is worth its time: the chance that random places of all IPv6 ways
 * differ, in as many tries as there are. Those of IPv4 ways are not random: addresses
 * that follow on each other get places that differ.
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

/** Cells that hold something: the place in the list of the way that may have it, or -1. */
export type Occupied = ReadonlyMap<number, number>;

/** The seeds that are tried follow from the one that is there. */
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
  // 0: free; 1 more than the way that may have it; -1: nobody may.
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
