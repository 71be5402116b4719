// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The table: which destination each slot of a service gets. It depends on the
 * set of destinations and weights alone, so that two balancers with the same
 * file in any order agree on every slot.
 *
 * Every slot has an order of preference among the destinations, and every
 * destination an order among the slots, by one and the same hash of the two; a
 * destination has room for its share and no more. Slots ask their favourites in
 * turn, and a full destination keeps the slots it prefers (deferred acceptance).
 * The outcome does not depend on who asks first, and taking a destination away
 * moves its own slots and few more. All in integers of 32 bits.
 */
import { hash } from './hash.js';

export interface TableDestination {
  /** Identity: 16 bytes. */
  address: Buffer;
  weight: number;
}

/**
 * How many slots each destination gets: by weight, remainders to the largest
 * first; whoever has a weight gets a slot if they fit. Ties are broken by
 * address, so the order of the input does not matter.
 */
export function shares(
  destinations: readonly TableDestination[],
  slots: number,
): number[] {
  const total = destinations.reduce((sum, { weight }) => sum + weight, 0);
  if (total === 0) return destinations.map(() => 0);
  const active = destinations.filter(({ weight }) => weight > 0).length;
  const least = active <= slots ? 1 : 0;
  const result = destinations.map(({ weight }) =>
    weight === 0 ? 0 : Math.max(least, Math.floor((weight * slots) / total)),
  );
  const byRemainder = destinations
    .map(({ address, weight }, index) => ({
      index,
      address,
      remainder: (weight * slots) % total,
      weight,
    }))
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.remainder - a.remainder || Buffer.compare(a.address, b.address));

  let left = slots - result.reduce((sum, share) => sum + share, 0);
  for (let i = 0; left > 0; i = (i + 1) % byRemainder.length, left--) {
    const index = byRemainder[i]?.index ?? 0;
    result[index] = (result[index] ?? 0) + 1;
  }
  // Giving the least to the lightest took more than there is: the largest give.
  const bySize = [...byRemainder].sort(
    (a, b) => b.weight - a.weight || a.remainder - b.remainder,
  );
  while (left < 0) {
    const largest = bySize.reduce((a, b) =>
      (result[b.index] ?? 0) > (result[a.index] ?? 0) ? b : a,
    );
    result[largest.index] = (result[largest.index] ?? 0) - 1;
    left++;
  }
  return result;
}

/** For each slot the index of its destination, or -1 where there is none. */
export function table(
  destinations: readonly TableDestination[],
  slots: number,
): Int32Array {
  const result = new Int32Array(slots).fill(-1);
  const room = shares(destinations, slots);
  // By address: a tie between two is broken the same way whoever else is there.
  const askable = destinations
    .map(({ address }, index) => ({
      index,
      address,
      seed: seedOf(address),
      room: room[index] ?? 0,
    }))
    .filter((destination) => destination.room > 0)
    .sort((a, b) => Buffer.compare(a.address, b.address));
  if (askable.length === 0) return result;

  const preferences = new Preferences(
    slots,
    Uint32Array.from(askable, ({ seed }) => seed),
  );
  const kept = askable.map((destination) => new Kept(destination.room));
  for (let first = 0; first < slots; first++) {
    let slot = first;
    while (slot !== -1) {
      const place = preferences.next(slot);
      slot = (kept[place] as Kept).offer(slot, preferences.score(slot));
    }
  }
  kept.forEach(({ slots: own }, place) => {
    for (const slot of own) result[slot] = askable[place]?.index ?? -1;
  });
  return result;
}

function seedOf(address: Buffer): number {
  let seed = 0;
  for (let at = 0; at < 16; at += 4) seed = hash(seed, address.readUInt32LE(at), at);
  return seed;
}

/** How many of a slot's next preferences are found in one pass over all. */
const AHEAD = 6;

/**
 * Each slot's order of preference, found a few at a time: most slots get one of
 * their first, and a full order of 65,536 slots would be long.
 */
class Preferences {
  readonly #seeds: Uint32Array;
  readonly #ahead: number;
  /** The next preferences of each slot, best first, and how many are used up. */
  readonly #places: Int32Array;
  readonly #scores: Uint32Array;
  readonly #used: Uint8Array;

  constructor(slots: number, seeds: Uint32Array) {
    this.#seeds = seeds;
    this.#ahead = Math.min(AHEAD, seeds.length);
    this.#places = new Int32Array(slots * this.#ahead).fill(-1);
    this.#scores = new Uint32Array(slots * this.#ahead);
    this.#used = new Uint8Array(slots);
  }

  /** The destination that a slot asks next. */
  next(slot: number): number {
    const at = slot * this.#ahead;
    const used = this.#used[slot] ?? 0;
    if (used === this.#ahead || this.#places[at] === -1) {
      this.#find(slot);
      this.#used[slot] = 1;
      return this.#places[at] ?? -1;
    }
    this.#used[slot] = used + 1;
    return this.#places[at + used] ?? -1;
  }

  /** The score of the one it asked last. */
  score(slot: number): number {
    return this.#scores[slot * this.#ahead + (this.#used[slot] ?? 1) - 1] ?? 0;
  }

  /** Fills in the best preferences after the last one that is used up. */
  #find(slot: number): void {
    const at = slot * this.#ahead;
    const end = at + this.#ahead;
    const lastPlace = this.#places[end - 1] ?? -1;
    const lastScore = lastPlace === -1 ? 0xffffffff : (this.#scores[end - 1] ?? 0);
    let found = at;
    for (let place = 0; place < this.#seeds.length; place++) {
      const score = mix(this.#seeds[place] ?? 0, slot);
      if (score > lastScore || (score === lastScore && place <= lastPlace)) continue;
      if (found === end && score <= (this.#scores[end - 1] ?? 0)) continue;
      let to = found === end ? end - 1 : found++;
      while (to > at && score > (this.#scores[to - 1] ?? 0)) {
        this.#scores[to] = this.#scores[to - 1] ?? 0;
        this.#places[to] = this.#places[to - 1] ?? -1;
        to--;
      }
      this.#scores[to] = score;
      this.#places[to] = place;
    }
  }
}

/** The second half of hash(), for a seed that is mixed already. */
function mix(seed: number, slot: number): number {
  let h = Math.imul(seed ^ slot, 0x85ebca77);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae3d);
  h ^= h >>> 16;
  return h >>> 0;
}

/** The slots that a destination keeps: a heap with the one it likes least on top. */
class Kept {
  readonly slots: number[] = [];
  readonly #scores: number[] = [];
  readonly #room: number;

  constructor(room: number) {
    this.#room = room;
  }

  /** Takes a slot in; returns the one that has to leave for it, or -1. */
  offer(slot: number, score: number): number {
    if (this.slots.length < this.#room) {
      this.slots.push(slot);
      this.#scores.push(score);
      this.#rise(this.slots.length - 1);
      return -1;
    }
    const least = this.slots[0] ?? -1;
    const leastScore = this.#scores[0] ?? 0;
    if (score < leastScore || (score === leastScore && slot > least)) return slot;
    this.slots[0] = slot;
    this.#scores[0] = score;
    this.#sink();
    return least;
  }

  #isLess(a: number, b: number): boolean {
    const one = this.#scores[a] ?? 0;
    const other = this.#scores[b] ?? 0;
    return one < other || (one === other && (this.slots[a] ?? 0) > (this.slots[b] ?? 0));
  }

  #swap(a: number, b: number): void {
    [this.slots[a], this.slots[b]] = [this.slots[b] ?? 0, this.slots[a] ?? 0];
    [this.#scores[a], this.#scores[b]] = [this.#scores[b] ?? 0, this.#scores[a] ?? 0];
  }

  #rise(from: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isLess(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #sink(): void {
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const right = left + 1;
      let least = at;
      if (left < this.slots.length && this.#isLess(left, least)) least = left;
      if (right < this.slots.length && this.#isLess(right, least)) least = right;
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }
}
