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
import type { Bounds, TableDestination } from './slot-counts.js';
import { bounds, inOrder, seedOf } from './slot-counts.js';

/** For each slot the index of its destination, or -1 where there is none. */
export function consistentTable(
  destinations: readonly TableDestination[],
  slots: number,
): Int32Array {
  const result = new Int32Array(slots).fill(-1);
  const limits = bounds(destinations, slots);
  const runners = destinations
    .map((destination, index) => ({ ...element(limits, index), index, destination }))
    .filter(({ most }) => most > 0)
    // By address: of two that arrive together, the same one is always first.
    .sort((a, b) => inOrder(a.destination, b.destination))
    .map(
      ({ destination, index, least, most }, place) =>
        new Runner(destination, { index, place, least, most, slots }),
    );
  const race = new Race(lanesOf(runners), slots);
  let left = slots;
  /**
   * Slots that no destination needs for its least number; any that has its least may take
   * one.
   */
  let spare = runners.reduce((rest, { least }) => rest - least, slots);
  while (left > 0) {
    const lane = race.first;
    const runner = lane?.first;
    if (!runner) break;
    const isEnough = runner.taken >= (spare > 0 ? runner.most : runner.least);
    const slot = runner.slotAt(lane.rank);
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

/** Within one step the runners start at this many different times. */
const PARTS = 1 << 12;

/**
 * A destination on its way along the slots. Its order is made of affine maps and
 * shifts in turn. Each of them can be undone, so it comes to every slot once.
 */
class Runner {
  readonly index: number;
  /** Breaks ties. */
  readonly place: number;
  readonly least: number;
  readonly most: number;
  readonly weight: number;
  /** When it starts, in parts of a step. */
  readonly start: number;
  taken = 0;
  readonly #mask: number;
  readonly #shift: number;
  /** Of the affine maps. They are separate fields because reading an array is slower. */
  readonly #a: number;
  readonly #b: number;
  readonly #c: number;
  readonly #d: number;
  readonly #e: number;

  constructor(destination: TableDestination, limits: Limits) {
    const { index, place, least, most, slots } = limits;
    const seed = seedOf(destination);
    this.index = index;
    this.place = place;
    this.least = least;
    this.most = most;
    this.weight = destination.weight;
    this.start = hash(seed, 0, 0) % PARTS;
    this.#mask = slots - 1;
    this.#shift = (32 - Math.clz32(slots)) >> 1;
    this.#a = hash(seed, 1, 0) | 1;
    this.#b = hash(seed, 2, 0);
    this.#c = hash(seed, 3, 0) | 1;
    this.#d = hash(seed, 4, 0);
    this.#e = hash(seed, 5, 0) | 1;
  }

  /** Where it is after so many steps. */
  slotAt(rank: number): number {
    const mask = this.#mask;
    const shift = this.#shift;
    let slot = (Math.imul(rank, this.#a) + this.#b) & mask;
    slot ^= slot >>> shift;
    slot = (Math.imul(slot, this.#c) + this.#d) & mask;
    slot ^= slot >>> shift;
    return Math.imul(slot, this.#e) & mask;
  }
}

interface Limits extends Bounds {
  index: number;
  place: number;
  slots: number;
}

/**
 * The runners of one weight. They are equally fast, so they arrive in the same order in each
 * round, and nobody need compare them again.
 */
class Lane {
  readonly weight: number;
  /** Who arrives next; undefined: all have left. */
  first: Runner | undefined;
  /** When, in parts. As a weight has 16 bits, products stay below 2^53. */
  time = 0;
  /** The steps that those have taken who are still to come in this round. */
  rank = 0;
  readonly #runners: Runner[];
  #next = 0;
  /** How many of those that have come in this round stay. */
  #staying = 0;

  /** In the order of their arrival. */
  constructor(runners: Runner[], weight: number) {
    this.#runners = runners;
    this.weight = weight;
    this.#look();
  }

  step(leaves: boolean): void {
    const runners = this.#runners;
    if (this.first && !leaves) runners[this.#staying++] = this.first;
    this.#next++;
    if (this.#next >= runners.length) {
      runners.length = this.#staying;
      this.#next = 0;
      this.#staying = 0;
      this.rank++;
    }
    this.#look();
  }

  #look(): void {
    this.first = this.#runners[this.#next];
    this.time = this.rank * PARTS + (this.first?.start ?? 0);
  }
}

function lanesOf(runners: readonly Runner[]): Lane[] {
  const byWeight = new Map<number, Runner[]>();
  for (const runner of runners) {
    const same = byWeight.get(runner.weight);
    if (same) same.push(runner);
    else byWeight.set(runner.weight, [runner]);
  }
  return [...byWeight].map(([weight, all]) => {
    all.sort((one, other) => one.start - other.start || one.place - other.place);
    return new Lane(all, weight);
  });
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
    if (!lane?.first || lane.rank >= this.#end) {
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
  return a === b ? (one.first?.place ?? 0) < (other.first?.place ?? 0) : a < b;
}
