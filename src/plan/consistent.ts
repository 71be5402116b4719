// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The consistent table: which destination each slot of a service gets. It depends only on
 * the set of destinations and weights, so two balancers with the same file in any order
 * agree on every slot.
 *
 * It is a race. Every destination walks along all slots in an order of its own, as fast
 * as its weight, and takes each slot that it is the first to reach, until it has enough.
 * This moves little because order and speed do not depend on the other destinations: when
 * one is removed, the others reach its slots next, and only those that have enough by
 * then pass a slot on. (In other words: slots and destinations prefer each other by the
 * time of arrival, and the outcome is the one stable match.) The order is a permutation
 * and not a hash per slot: every destination meets every slot once, which halves the
 * spread of what it wins by luck.
 *
 * All numbers are whole and below 2^53, so every host computes the same table.
 */
import { at as element } from '../text/must.js';
import { hash } from '../wire/hash.js';
import type { TableDestination } from './slot-counts.js';
import { bounds, inOrder, seedOf } from './slot-counts.js';

/** For each slot the index of its destination, or -1 where there is none. */
export function consistentTable(
  destinations: readonly TableDestination[],
  slots: number,
): Int32Array {
  const result = new Int32Array(slots).fill(-1);
  const limits = bounds(destinations, slots);
  // Sorted by address: of two that arrive together, the same one is always first.
  const walkers = destinations
    .map((destination, index) => ({
      ...{ index, destination },
      walker: new Walker(destination, slots),
      ...element(limits, index),
      taken: 0,
    }))
    .filter(({ most }) => most > 0)
    .sort((a, b) => inOrder(a.destination, b.destination));

  const race = new Race(walkers.map(({ walker }) => walker));
  let left = slots;
  /**
   * Slots that no destination needs for its least number; any that has its least may take
   * one.
   */
  let spare = walkers.reduce((rest, { least }) => rest - least, slots);
  while (left > 0) {
    const runner = walkers[race.first];
    if (runner === undefined) break;
    const isEnough = runner.taken >= (spare > 0 ? runner.most : runner.least);
    const { slot } = runner.walker;
    if (!isEnough && result[slot] === -1) {
      result[slot] = runner.index;
      if (runner.taken >= runner.least) spare--;
      runner.taken++;
      left--;
    }
    race.step(isEnough);
  }
  return result;
}

/** Within one step the walkers start at this many different times. */
const PARTS = 1 << 12;

/**
 * A destination on its way along the slots. Its order is made of affine maps and
 * shifts in turn. Each of them can be undone, so the walker comes to every slot once.
 */
class Walker {
  /** The steps taken, in parts. As a weight has 16 bits, products stay below 2^53. */
  time: number;
  readonly weight: number;
  readonly end: number;
  #rank = 0;
  readonly #mask: number;
  readonly #shift: number;
  /** Of the affine maps. They are separate fields because reading an array is slower. */
  readonly #a: number;
  readonly #b: number;
  readonly #c: number;
  readonly #d: number;
  readonly #e: number;

  constructor(destination: TableDestination, slots: number) {
    const seed = seedOf(destination);
    this.time = hash(seed, 0, 0) % PARTS;
    this.weight = destination.weight;
    this.end = slots * PARTS;
    this.#mask = slots - 1;
    this.#shift = (32 - Math.clz32(slots)) >> 1;
    this.#a = hash(seed, 1, 0) | 1;
    this.#b = hash(seed, 2, 0);
    this.#c = hash(seed, 3, 0) | 1;
    this.#d = hash(seed, 4, 0);
    this.#e = hash(seed, 5, 0) | 1;
  }

  get slot(): number {
    const mask = this.#mask;
    const shift = this.#shift;
    let slot = (Math.imul(this.#rank, this.#a) + this.#b) & mask;
    slot ^= slot >>> shift;
    slot = (Math.imul(slot, this.#c) + this.#d) & mask;
    slot ^= slot >>> shift;
    return Math.imul(slot, this.#e) & mask;
  }

  step(): void {
    this.#rank++;
    this.time += PARTS;
  }

  /** Compares time over weight without a division. */
  isBefore(other: Walker): boolean {
    return this.time * other.weight < other.time * this.weight;
  }
}

/**
 * Tells who arrives next: a heap of walkers, which are given in the order that breaks
 * ties.
 */
class Race {
  readonly #walkers: readonly Walker[];
  readonly #heap: number[];

  constructor(walkers: readonly Walker[]) {
    this.#walkers = walkers;
    this.#heap = walkers.map((_, place) => place);
    for (let at = walkers.length >> 1; at >= 0; at--) this.#sink(at);
  }

  /** The index of the walker that arrives next, -1 when all have left. */
  get first(): number {
    return this.#heap[0] ?? -1;
  }

  /**
   * Moves the first walker to its next slot. It leaves the race if told to, and at its
   * end.
   */
  step(leaves: boolean): void {
    const walker = this.#walkers[this.first];
    walker?.step();
    if (leaves || !walker || walker.time >= walker.end) {
      const last = this.#heap.pop();
      if (this.#heap.length > 0 && last !== undefined) this.#heap[0] = last;
    }
    this.#sink(0);
  }

  #isBefore(a: number, b: number): boolean {
    const one = this.#walkers[a] as Walker;
    const other = this.#walkers[b] as Walker;
    return one.isBefore(other) || (a < b && !other.isBefore(one));
  }

  #sink(from: number): void {
    const heap = this.#heap;
    const place = heap[from];
    if (place === undefined) return;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = child + 1;
      if (
        right < heap.length &&
        this.#isBefore(element(heap, right), element(heap, child))
      )
        child = right;
      if (!this.#isBefore(element(heap, child), place)) break;
      heap[at] = element(heap, child);
      at = child;
    }
    heap[at] = place;
  }
}
