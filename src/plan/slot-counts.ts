// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** How many slots a destination may have, by its weight. All numbers are whole. */
import { at } from '../text/must.js';
import type { Endpoint } from '../wire/endpoint.js';
import { hash } from '../wire/hash.js';

export interface TableDestination extends Endpoint {
  weight: number;
}

/** The least and the most slots that a destination may have. */
export interface Bounds {
  least: number;
  most: number;
}

/** Shares and bounds are counted in parts of a slot. */
const PARTS = 256;

/**
 * Below 15.5 slots (16 if rounded), destinations of equal weight differ by at most one slot.
 */
const SMALL = 15.5;

/**
 * In a table smaller than this, a destination with 16 slots and a few more may have one
 * more or four fewer. Larger tables keep weights to the slot.
 */
const SMALL_TABLE = 65536;
const LOOSE = 17;
const FEWER = 4;

/** A large share may differ by this part: still within 1 %, or one slot. */
const FREE = 101;

/**
 * The bounds of each destination. The slots that one leaves fall to the others unevenly.
 * A destination that must not have one slot more passes slots on, and so pushes out
 * others in turn. Therefore the bounds are as wide as the promise of evenness allows.
 *
 * When all shares grow by a little, the bounds must not all grow at once, or most of the
 * table would move. So they are rounded by lot, and a destination draws its lot by its
 * address.
 */
export function bounds(
  destinations: readonly TableDestination[],
  slots: number,
): Bounds[] {
  const total = destinations.reduce((sum, { weight }) => sum + weight, 0);
  const active = destinations.filter(({ weight }) => weight > 0).length;
  const one = active <= slots ? 1 : 0;
  const result = destinations.map((destination): Bounds => {
    const { weight } = destination;
    if (weight === 0) return { least: 0, most: 0 };
    // At most 2^16 * 2^20 * 2^8: exact, and so is the whole part of a quotient.
    const share = weight * slots;
    const floor = Math.max(one, Math.floor(share / total));
    const ceil = Math.max(floor, Math.ceil(share / total));
    if (share < SMALL * total) return { least: floor, most: ceil };

    const parts = Math.floor((share * PARTS) / total);
    const lot = seedOf(destination) % PARTS;
    if (slots < SMALL_TABLE && parts < LOOSE * PARTS + FEWER * lot) {
      return {
        least: Math.ceil((parts - lot) / PARTS) - FEWER,
        most: Math.floor((parts + lot) / PARTS) + 1,
      };
    }
    const free = Math.max(0, Math.floor(parts / FREE) - PARTS) + lot;
    return {
      least: Math.min(floor, Math.ceil((parts - free) / PARTS)),
      most: Math.max(ceil, Math.floor((parts + free) / PARTS)),
    };
  });
  // Many light destinations get their one slot, so the heavy ones cannot have their
  // least.
  if (result.reduce((sum, { least }) => sum + least, 0) > slots) {
    return shares(destinations, slots).map((share) => ({ least: share, most: share }));
  }
  return result;
}

/** A number that stands for a destination and does not depend on the others. */
export function seedOf({ address, port = 0 }: Endpoint): number {
  let seed = 0;
  for (let at = 0; at < 16; at += 4) seed = hash(seed, address.readUInt32LE(at), at);
  return port === 0 ? seed : hash(seed, port, 16);
}

/** The order that decides between equals. It must be the same on every balancer. */
export function inOrder(one: Endpoint, other: Endpoint): number {
  return (
    Buffer.compare(one.address, other.address) || (one.port ?? 0) - (other.port ?? 0)
  );
}

/**
 * The exact slots of each destination: by weight, with remainders given to the largest
 * first. Every destination with a weight gets a slot if there are enough. Among equals,
 * those come first that have the slot already, which `has` tells; after that the address
 * decides, so the order of the input does not matter.
 */
export function shares(
  destinations: readonly TableDestination[],
  slots: number,
  has?: ArrayLike<number>,
): number[] {
  const total = destinations.reduce((sum, { weight }) => sum + weight, 0);
  if (total === 0) return destinations.map(() => 0);
  const active = destinations.filter(({ weight }) => weight > 0).length;
  const least = active <= slots ? 1 : 0;
  const result = destinations.map(({ weight }) =>
    weight === 0 ? 0 : Math.max(least, Math.floor((weight * slots) / total)),
  );
  const keepsOneMore = (index: number): boolean =>
    (has ? at(has, index) : 0) > at(result, index);
  const byRemainder = destinations
    .map(({ address, port, weight }, index) => ({
      ...{ index, address, port },
      // If the least is more than its share, nothing more is due.
      remainder: weight * slots < least * total ? 0 : (weight * slots) % total,
      weight,
    }))
    .filter(({ weight }) => weight > 0)
    .sort(
      (a, b) =>
        b.remainder - a.remainder ||
        Number(keepsOneMore(b.index)) - Number(keepsOneMore(a.index)) ||
        inOrder(a, b),
    );

  let left = slots - result.reduce((sum, share) => sum + share, 0);
  for (let i = 0; left > 0; i = (i + 1) % byRemainder.length, left--) {
    const index = at(byRemainder, i).index;
    result[index] = at(result, index) + 1;
  }
  const keepsAll = (index: number): boolean =>
    (has ? at(has, index) : 0) >= at(result, index);
  // Giving the least to the lightest took too much, so the largest give some back.
  const bySize = [...byRemainder].sort(
    (a, b) => b.weight - a.weight || a.remainder - b.remainder,
  );
  while (left < 0) {
    const largest = bySize.reduce((a, b) => {
      const difference = at(result, b.index) - at(result, a.index);
      if (difference !== 0 || a.weight !== b.weight) return difference > 0 ? b : a;
      return keepsAll(a.index) && !keepsAll(b.index) ? b : a;
    });
    result[largest.index] = at(result, largest.index) - 1;
    left++;
  }
  return result;
}
