// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { CELL_MINIMAL_TABLE } from '../../../src/abi/cell.js';
import { carryTables } from '../../../src/plan/carry-tables.js';
import { applyWrites } from '../../../src/plan/state.js';
import { liveTable } from '../../../src/plan/choose-table.js';
import { isHot } from '../../../src/plan/hot-slots.js';
import type { LiveTable } from '../../../src/plan/minimal.js';
import { EMPTY, GONE, idealMoves, minimalTable } from '../../../src/plan/minimal.js';
import type { TableDestination } from '../../../src/plan/slot-counts.js';
import { shares } from '../../../src/plan/slot-counts.js';
import { consistentTable } from '../../../src/plan/consistent.js';
import { BALANCER_MAC, ip, randomNumbers } from '../wire/names.js';
import type { Fill } from './states.js';
import { addressesBySlot, filled, planFor, row, rows, untouched } from './states.js';

/** Destinations 10.0.1.0, 10.0.1.1, …, each with its weight. */
function weighing(...weights: number[]): TableDestination[] {
  return weights.map((weight, index) => ({
    address: ip(`10.0.${1 + (index >> 8)}.${index & 255}`),
    weight,
  }));
}
function alike(count: number): TableDestination[] {
  return weighing(...Array.from({ length: count }, () => 1));
}

/** A live table whose slots are cold but for those that remember somebody. */
function live(
  current: Iterable<number>,
  previous: Record<number, number> = {},
): LiveTable {
  const all = Int32Array.from(current);
  const before = new Int32Array(all.length).fill(EMPTY);
  const hot = new Uint8Array(all.length);
  for (const [slot, index] of Object.entries(previous)) {
    before[Number(slot)] = index;
    hot[Number(slot)] = 1;
  }
  return { current: all, previous: before, hot };
}

function make(destinations: readonly TableDestination[], from: LiveTable): number[] {
  const guide = consistentTable(destinations, from.current.length);
  return [...minimalTable(destinations, from, guide)];
}

function movedFrom(from: LiveTable, to: readonly number[]): number {
  return to.filter((index, slot) => index !== from.current[slot]).length;
}

function loads(count: number, result: readonly number[]): number[] {
  const counts = Array.from({ length: count }, () => 0);
  for (const index of result) if (index >= 0) counts[index] = (counts[index] ?? 0) + 1;
  return counts;
}

/**
 * How far loads are from what the weights ask for, exactly: the sum of the squares,
 * in parts of the whole weight.
 */
function imbalance(destinations: readonly TableDestination[], counts: number[]): number {
  const total = destinations.reduce((sum, { weight }) => sum + weight, 0);
  const slots = counts.reduce((sum, count) => sum + count, 0);
  return destinations.reduce((sum, { weight }, index) => {
    const off = (counts[index] ?? 0) * total - weight * slots;
    return sum + off * off;
  }, 0);
}

/** All ways to give slots to destinations; weight 0 gets none, others one if they fit. */
function* allLoads(
  destinations: readonly TableDestination[],
  slots: number,
): Generator<number[]> {
  const active = destinations.filter(({ weight }) => weight > 0).length;
  const least = active <= slots ? 1 : 0;
  function* give(index: number, left: number): Generator<number[]> {
    const destination = destinations[index];
    if (!destination) {
      if (left === 0) yield [];
      return;
    }
    const [from, to] = destination.weight === 0 ? [0, 0] : [least, left];
    for (let count = from; count <= to; count++) {
      for (const rest of give(index + 1, left - count)) yield [count, ...rest];
    }
  }
  yield* give(0, slots);
}

describe('a minimal table, by hand', () => {
  test.each([
    {
      what: 'from an empty one gives each its share',
      weights: [1, 1],
      from: live([EMPTY, EMPTY, EMPTY, EMPTY]),
      counts: [2, 2],
      moved: 4,
    },
    {
      what: 'that is balanced stays as it is',
      weights: [1, 1],
      from: live([1, 0, 1, 0]),
      counts: [2, 2],
      moved: 0,
    },
    {
      what: 'leaves the remainder with those that have it',
      weights: [1, 1, 1],
      from: live([2, 2, 1, 0]),
      counts: [1, 1, 2],
      moved: 0,
    },
    {
      what: 'moves what one has too many, and what is gone',
      weights: [1, 1],
      from: live([0, 0, 0, GONE]),
      counts: [2, 2],
      moved: 2,
    },
    {
      what: 'takes all from a drained one',
      weights: [0, 1],
      from: live([0, 0, 1, 1]),
      counts: [0, 4],
      moved: 2,
    },
    {
      what: 'of no weight at all is empty',
      weights: [0, 0],
      from: live([0, 0, 1, EMPTY]),
      counts: [0, 0],
      moved: 3,
    },
    {
      what: 'with more destinations than slots gives as many as there are',
      weights: [1, 1, 1, 1, 1],
      from: live([4, 4, EMPTY, 1]),
      counts: undefined,
      moved: 2,
    },
  ])('$what', ({ weights, from, counts, moved }) => {
    const destinations = weighing(...weights);
    const result = make(destinations, from);
    expect(movedFrom(from, result)).toBe(moved);
    expect(idealMoves(destinations, from.current)).toBe(moved);
    const has = loads(weights.length, result);
    if (counts) expect(has).toEqual(counts);
    else expect([...has].sort()).toEqual([0, 1, 1, 1, 1]);
  });

  test('gives a slot back to whom it remembers', () => {
    // 0 has two too many; slots 2 and 5 came from 1 and 2, which are back.
    const from = live([0, 0, 0, 0, 0, 0], { 2: 1, 5: 2 });
    expect(make(weighing(2, 1, 1), from)[2]).toBe(1);
    expect(make(weighing(2, 1, 1), from)[5]).toBe(2);
  });

  test('takes cold slots before hot ones', () => {
    const from = live([0, 0, 0, 0], { 0: GONE, 1: GONE });
    const result = make(weighing(1, 1), from);
    expect(result).toEqual([0, 0, 1, 1]);
  });

  test('takes hot slots where there are no cold ones', () => {
    const from = live([0, 0, 0, 0], { 0: GONE, 1: GONE, 2: GONE, 3: GONE });
    expect(loads(2, make(weighing(1, 1), from))).toEqual([2, 2]);
  });
});

describe('a minimal table, at random', () => {
  test.each(Array.from({ length: 40 }, (_, index) => ({ seed: index + 1 })))(
    'moves the fewest of all balanced tables, counted one by one, from seed $seed',
    ({ seed }) => {
      const random = randomNumbers(seed);
      const below = (limit: number): number => Math.floor(random() * limit);
      for (let round = 0; round < 25; round++) {
        const slots = 1 << below(4);
        const count = 1 + below(4);
        const weights = Array.from({ length: count }, () => below(4));
        const destinations = weighing(...weights);
        const from = live(Array.from({ length: slots }, () => below(count + 2) - 2));
        const result = make(destinations, from);
        const moved = movedFrom(from, result);
        expect(idealMoves(destinations, from.current)).toBe(moved);
        if (weights.every((weight) => weight === 0)) {
          expect(result.every((index) => index === EMPTY)).toBe(true);
          continue;
        }
        const has = loads(count, from.current as unknown as number[]);
        const best = [...allLoads(destinations, slots)].map((counts) => ({
          off: imbalance(destinations, counts),
          moved: counts.reduce(
            (sum, want, index) => sum + Math.max(0, want - (has[index] ?? 0)),
            0,
          ),
        }));
        const least = Math.min(...best.map(({ off }) => off));
        expect(imbalance(destinations, loads(count, result))).toBe(least);
        expect(moved).toBe(
          Math.min(...best.filter(({ off }) => off === least).map((one) => one.moved)),
        );
      }
    },
  );

  test.each(Array.from({ length: 10 }, (_, index) => ({ seed: index + 1 })))(
    'is balanced to the slot and moves the ideal number, change after change, from seed $seed',
    ({ seed }) => {
      const random = randomNumbers(seed);
      const slots = 1 << (3 + Math.floor(random() * 7));
      let addresses = new Int32Array(slots).fill(EMPTY);
      const all = alike(300);
      for (let round = 0; round < 20; round++) {
        const chance = random();
        const chosen = all
          .map((one, number) => ({ ...one, number, weight: Math.floor(random() * 5) }))
          .filter(() => random() < chance);
        const from = live(
          [...addresses].map((number) =>
            number === EMPTY
              ? EMPTY
              : (chosen.findIndex((one) => one.number === number) + 1 || GONE + 1) - 1,
          ),
          // Some remember whoever it was.
          Object.fromEntries(
            Array.from({ length: slots >> 2 }, () => [
              Math.floor(random() * slots),
              Math.floor(random() * (chosen.length + 1)) - 1,
            ]),
          ),
        );
        const result = make(chosen, from);
        expect(movedFrom(from, result)).toBe(idealMoves(chosen, from.current));
        const wants = shares(chosen, slots, loads(chosen.length, [...from.current]));
        expect(loads(chosen.length, result)).toEqual(wants);
        // As even as shares() says for anybody, whoever has the remainders.
        const plain = shares(chosen, slots);
        const bySize = (a: number, b: number): number => a - b;
        expect([...wants].sort(bySize)).toEqual([...plain].sort(bySize));
        addresses = Int32Array.from(result, (index) => chosen[index]?.number ?? EMPTY);
      }
    },
  );

  test('the order of the destinations does not matter', () => {
    const random = randomNumbers(7);
    const destinations = weighing(3, 1, 2, 5, 1, 1, 4);
    const order = [4, 2, 6, 0, 1, 5, 3];
    const shuffled = order.map((index) => destinations[index] as TableDestination);
    const from = Array.from({ length: 64 }, () => Math.floor(random() * 9) - 2);
    const one = make(destinations, live(from));
    const other = make(
      shuffled,
      live(from.map((index) => (index < 0 ? index : order.indexOf(index)))),
    );
    expect(other.map((index) => order[index])).toEqual(one);
  });
});

describe('a minimal table from a consistent one', () => {
  test.each([
    { change: 'one is removed', from: 32, to: 31, slots: 65536, most: 1 / 32 },
    { change: 'one is added', from: 31, to: 32, slots: 65536, most: 1 / 32 },
    { change: 'one is removed', from: 32, to: 31, slots: 512, most: 1 / 31 },
    { change: 'one is added', from: 31, to: 32, slots: 512, most: 1 / 31 },
  ])('$change, of $from in $slots', ({ from, to, slots, most }) => {
    const before = alike(from);
    // The one with the highest number comes or goes.
    const first = minimalTable(
      before,
      live(consistentTable(before, slots)),
      consistentTable(before, slots),
    );
    const start = live([...first].map((index) => (index >= to ? GONE : index)));
    const after = alike(to);
    const result = make(after, start);
    const ideal = idealMoves(after, start.current);
    expect(movedFrom(start, result)).toBe(ideal);
    expect(ideal).toBeLessThanOrEqual(Math.ceil(slots * most));
    expect(Math.max(...loads(to, result)) - Math.min(...loads(to, result))).toBe(
      slots % to === 0 ? 0 : 1,
    );
  });

  test('moves no more than balance asks for, and less than that table changes', () => {
    const destinations = alike(100);
    const consistent = consistentTable(destinations, 4096);
    const from = live(consistent);
    const result = make(destinations, from);
    const has = loads(100, [...consistent]);
    const surplus = has.reduce((sum, count) => sum + Math.max(0, count - 41), 0);
    expect(movedFrom(from, result)).toBeGreaterThanOrEqual(surplus);
    expect(movedFrom(from, result)).toBeLessThan(4096 / 20);
  });

  test('from an empty one is nearly the consistent table', () => {
    const destinations = alike(32);
    const empty = live(Array.from({ length: 4096 }, () => EMPTY));
    const guide = consistentTable(destinations, 4096);
    const result = minimalTable(destinations, empty, guide);
    const differs = result.filter((index, slot) => index !== guide[slot]);
    expect(differs.length).toBeLessThan(4096 / 50);
  });
});

describe('plans with a minimal table', () => {
  const MINIMAL: Fill = { table: 'minimal', slots: 64 };
  const start = filled(untouched(), rows(8), MINIMAL);
  const WHOLE = { firstSlot: 0, log2Slots: 6 };

  test('moves the ideal number, and says so', () => {
    const made = planFor(start, rows(9));
    expect(made).toMatchObject({ slotsMoved: 7, slotsIdeal: 7 });
    const gone = planFor(start, rows(7));
    expect(gone).toMatchObject({ slotsMoved: 8, slotsIdeal: 8 });
  });

  test('where nothing moves the ideal is to move nothing', () => {
    // A consistent table, whose bounds are wider than balance to the slot.
    const before = filled(untouched(), rows(31), { slots: 512 });
    const { current } = liveTable(before, { firstSlot: 0, log2Slots: 9 }, rows(31));
    expect(idealMoves(rows(31), current)).toBeGreaterThan(0);
    const made = planFor(before, rows(31), { mtu: 9000 });
    expect(made).toMatchObject({ slotsMoved: 0, slotsIdeal: 0, settings: ['mtu 9000'] });
  });

  test('the service keeps it, and a fill again changes nothing', () => {
    const after = filled(start, rows(9));
    expect(planFor(after, rows(9)).writes).toEqual([]);
    const flags = [...after.cells.values()].map((cell) => cell.flags);
    expect(flags.every((one) => (one & CELL_MINIMAL_TABLE) !== 0)).toBe(true);
    expect(planFor(after, [...rows(9)].reverse()).slotsMoved).toBe(0);
  });

  test('the consistent table comes back when asked for', () => {
    const after = filled(start, rows(9));
    const made = planFor(after, rows(9), { table: 'consistent' });
    expect(made.settings).toEqual(['table consistent']);
    const back = applyWrites(after, made.writes);
    expect(addressesBySlot(back, WHOLE)).toEqual(
      addressesBySlot(filled(untouched(), rows(9), { slots: 64 }), WHOLE),
    );
  });

  test('a drained destination that comes back gets its own slots', () => {
    const [first, ...others] = rows(8);
    if (!first) throw new Error('no rows');
    const hot = (state: typeof start): number =>
      [...state.slots.values()].filter(isHot).length;
    const drained = filled(start, [{ ...first, weight: 0 }, ...others], { now: 100 });
    expect(hot(drained)).toBe(8);
    const back = filled(drained, rows(8), { now: 200 });
    expect(addressesBySlot(back, WHOLE)).toEqual(addressesBySlot(start, WHOLE));
    expect(hot(back)).toBe(8);
  });

  test('counts from the live table where ids run short and more steps are needed', () => {
    const small = { slots: 64, destinations: 8, cells: 16 };
    const before = filled(untouched(small), rows(8), MINIMAL);
    const wanted = [...rows(5), ...rows(3, 2)];
    const made = planFor(before, wanted);
    expect(made).toMatchObject({ used: 8, slotsMoved: 24, slotsIdeal: 24 });
    const after = applyWrites(before, made.writes);
    const was = addressesBySlot(before, WHOLE);
    const kept = rows(5).length * 8;
    expect(
      addressesBySlot(after, WHOLE).filter((one, at) => one === was[at]),
    ).toHaveLength(kept);
  });

  test('is carried into new maps slot by slot', () => {
    const old = filled(filled(start, rows(9)), rows(9).slice(2));
    expect(addressesBySlot(old, WHOLE)).not.toEqual(
      addressesBySlot(filled(untouched(), rows(9).slice(2), { slots: 64 }), WHOLE),
    );
    const sizes = { slots: 4096, destinations: 1024, cells: 64 };
    const device = { mac: BALANCER_MAC, mtu: 1500 };
    const { writes } = carryTables(old, sizes, device);
    const state = applyWrites(untouched(sizes), writes);
    expect(addressesBySlot(state, WHOLE)).toEqual(addressesBySlot(old, WHOLE));
    const flags = [...state.cells.values()].map((cell) => cell.flags);
    expect(flags.every((one) => (one & CELL_MINIMAL_TABLE) !== 0)).toBe(true);
  });

  test('a weight that changes is counted with both tables', () => {
    const wanted = [row('10.0.1.0', 2), ...rows(8).slice(1)];
    const consistent = filled(untouched(), rows(8), { slots: 64 });
    const made = planFor(consistent, wanted);
    expect(made.slotsIdeal).toBeLessThanOrEqual(made.slotsMoved);
    expect(planFor(start, wanted)).toMatchObject({ slotsMoved: 7, slotsIdeal: 7 });
  });
});
