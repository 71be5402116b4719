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
  const runners = new Runners(destinations, slots);
  const { index, least, most, taken } = runners;
  const race = new Race(lanesOf(runners), slots);
  let left = slots;
  /**
   * Slots that no destination needs for its least number; any that has its least may take
   * one.
   */
  let spare = least.reduce((rest, one) => rest - one, slots);
  while (left > 0) {
    const lane = race.first;
    if (!lane) break;
    const one = lane.first;
    const has = taken[one] ?? 0;
    const isEnough = has >= ((spare > 0 ? most[one] : least[one]) ?? 0);
    const slot = runners.slotAt(one, lane.rank);
    if (!isEnough && result[slot] === -1) {
      result[slot] = index[one] ?? -1;
      if (has >= (least[one] ?? 0)) spare--;
      taken[one] = has + 1;
      left--;
    }
    race.step(isEnough);
  }
  return result;
}

/** Within one step the runners start at this many different times. */
const PARTS = 1 << 12;

/**
 * The destinations on their way along the slots, by address, so that of two that arrive
 * together the same one is always first. The order of each is made of affine maps and shifts
 * in turn. Each of them can be undone, so it comes to every slot once.
 *
 * They lie in arrays, and are read without at(): they take ten steps for each slot.
 */
class Runners {
  /** Among all destinations. */
  readonly index: Int32Array;
  readonly least: Int32Array;
  readonly most: Int32Array;
  readonly taken: Int32Array;
  readonly weight: Int32Array;
  /** When it starts, in parts of a step. */
  readonly start: Int32Array;
  readonly #mask: number;
  readonly #shift: number;
  /** Of the affine maps. */
  readonly #a: Int32Array;
  readonly #b: Int32Array;
  readonly #c: Int32Array;
  readonly #d: Int32Array;
  readonly #e: Int32Array;

  constructor(destinations: readonly TableDestination[], slots: number) {
    const all = bounds(destinations, slots)
      .map((limits, index) => ({
        ...{ ...limits, index },
        destination: element(destinations, index),
      }))
      .filter(({ most }) => most > 0)
      .sort((a, b) => inOrder(a.destination, b.destination));
    const seeds = all.map(({ destination }) => seedOf(destination));
    const hashed = (number: number): Int32Array =>
      Int32Array.from(seeds, (seed) => hash(seed, number, 0));
    this.index = Int32Array.from(all, ({ index }) => index);
    this.least = Int32Array.from(all, ({ least }) => least);
    this.most = Int32Array.from(all, ({ most }) => most);
    this.taken = new Int32Array(all.length);
    this.weight = Int32Array.from(all, ({ destination }) => destination.weight);
    this.start = Int32Array.from(seeds, (seed) => hash(seed, 0, 0) % PARTS);
    this.#mask = slots - 1;
    this.#shift = (32 - Math.clz32(slots)) >> 1;
    this.#a = hashed(1).map((one) => one | 1);
    this.#b = hashed(2);
    this.#c = hashed(3).map((one) => one | 1);
    this.#d = hashed(4);
    this.#e = hashed(5).map((one) => one | 1);
  }

  /** Where one is after so many steps. */
  slotAt(one: number, rank: number): number {
    const mask = this.#mask;
    const shift = this.#shift;
    let slot = (Math.imul(rank, this.#a[one] ?? 0) + (this.#b[one] ?? 0)) & mask;
    slot ^= slot >>> shift;
    slot = (Math.imul(slot, this.#c[one] ?? 0) + (this.#d[one] ?? 0)) & mask;
    slot ^= slot >>> shift;
    return Math.imul(slot, this.#e[one] ?? 0) & mask;
  }
}

/**
 * The runners of one weight. They are equally fast, so they arrive in the same order in each
 * round, and nobody need compare them again.
 */
class Lane {
  readonly weight: number;
  /** Who arrives next; -1: all have left. */
  first = -1;
  /** When, in parts. As a weight has 16 bits, products stay below 2^53. */
  time = 0;
  /** The steps that those have taken who are still to come in this round. */
  rank = 0;
  /** In the order of their arrival. */
  readonly #runners: Int32Array;
  readonly #start: Int32Array;
  #count: number;
  #next = 0;
  /** How many of those that have come in this round stay. */
  #staying = 0;

  constructor(runners: readonly number[], weight: number, { start }: Runners) {
    this.weight = weight;
    this.#start = start;
    this.#runners = Int32Array.from(runners).sort(
      (one, other) => (start[one] ?? 0) - (start[other] ?? 0) || one - other,
    );
    this.#count = runners.length;
    this.#look();
  }

  step(leaves: boolean): void {
    if (!leaves) this.#runners[this.#staying++] = this.first;
    this.#next++;
    if (this.#next >= this.#count) {
      this.#count = this.#staying;
      this.#next = 0;
      this.#staying = 0;
      this.rank++;
    }
    this.#look();
  }

  #look(): void {
    this.first = this.#next < this.#count ? (this.#runners[this.#next] ?? -1) : -1;
    this.time = this.rank * PARTS + (this.#start[this.first] ?? 0);
  }
}

function lanesOf(runners: Runners): Lane[] {
  const byWeight = new Map<number, number[]>();
  runners.weight.forEach((weight, one) => {
    const same = byWeight.get(weight);
    if (same) same.push(one);
    else byWeight.set(weight, [one]);
  });
  return [...byWeight].map(([weight, all]) => new Lane(all, weight, runners));
}

/** Tells who arrives next: a heap of lanes. */
class Race {
  readonly #heap: Lane[];
  readonly #end: number;

  /** All lanes end after as many steps as there are slots. */
  constructor(lanes: Lane[], slots: number) {
    this.#heap = lanes;
    this.#end = slots;
    for (let at = lanes.length >> 1; at >= 0; at--) this.#sink(at);
  }

  /** The lane of the runner that arrives next; undefined when all have left. */
  get first(): Lane | undefined {
    return this.#heap[0];
  }

  /** Moves the first runner to its next slot. It leaves the race if told to. */
  step(leaves: boolean): void {
    const lane = this.#heap[0];
    lane?.step(leaves);
    if (!lane || lane.first < 0 || lane.rank >= this.#end) {
      const last = this.#heap.pop();
      if (this.#heap.length > 0 && last) this.#heap[0] = last;
    }
    this.#sink(0);
  }

  #sink(from: number): void {
    const heap = this.#heap;
    const lane = heap[from];
    if (!lane) return;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = child + 1;
      if (right < heap.length && isBefore(element(heap, right), element(heap, child)))
        child = right;
      if (!isBefore(element(heap, child), lane)) break;
      heap[at] = element(heap, child);
      at = child;
    }
    heap[at] = lane;
  }
}

/** Compares time over weight without a division. */
function isBefore(one: Lane, other: Lane): boolean {
  const a = one.time * other.weight;
  const b = other.time * one.weight;
  return a === b ? one.first < other.first : a < b;
}
