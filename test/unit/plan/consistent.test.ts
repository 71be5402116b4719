// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';

import { formatAddress } from '../../../src/wire/address.js';
import type { TableDestination } from '../../../src/plan/slot-counts.js';
import { bounds, shares } from '../../../src/plan/slot-counts.js';
import { consistentTable } from '../../../src/plan/consistent.js';
import { ip, randomNumbers } from '../wire/names.js';

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

function sum(numbers: Iterable<number>): number {
  return [...numbers].reduce((total, number) => total + number, 0);
}

/** Large tables take a while under jest, so one that was made is kept. */
const made = new Map<string, Int32Array>();
function tableOf(destinations: readonly TableDestination[], slots: number): Int32Array {
  const rows = destinations.map(
    ({ address, weight }) => `${address.toString('hex')} ${weight}`,
  );
  const key = `${slots} ${rows.join()}`;
  const there = made.get(key) ?? consistentTable(destinations, slots);
  made.set(key, there);
  return there;
}

/** How many slots each destination has in a table. */
function loads(destinations: readonly TableDestination[], slots: number): number[] {
  const result = destinations.map(() => 0);
  for (const index of tableOf(destinations, slots)) {
    if (index >= 0) result[index] = (result[index] ?? 0) + 1;
  }
  return result;
}

/** A table as addresses, so that it can be compared whatever the order was. */
function byAddress(destinations: readonly TableDestination[], slots: number): string[] {
  return [...tableOf(destinations, slots)].map((index) => {
    const destination = destinations[index];
    return destination ? formatAddress(destination.address) : 'none';
  });
}

function shuffled<T>(items: readonly T[], seed: number): T[] {
  const random = randomNumbers(seed);
  return items
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

function without<T>(items: readonly T[], index: number): T[] {
  return items.filter((_, at) => at !== index);
}

describe('shares', () => {
  test.each([
    { weights: [1], slots: 8, expected: [8] },
    { weights: [1, 1], slots: 8, expected: [4, 4] },
    { weights: [1, 3], slots: 8, expected: [2, 6] },
    { weights: [1, 0, 1], slots: 8, expected: [4, 0, 4] },
    { weights: [1, 1, 1], slots: 8, expected: [3, 3, 2] },
    { weights: [1, 1, 1], slots: 2, expected: [1, 1, 0] },
    { weights: [1, 65535], slots: 8, expected: [1, 7] },
    { weights: [1, 1, 65535, 65535], slots: 8, expected: [1, 1, 3, 3] },
    { weights: [0, 0], slots: 8, expected: [0, 0] },
    { weights: [], slots: 8, expected: [] },
    { weights: [65535, 65535], slots: 65536, expected: [32768, 32768] },
  ])(
    'weights of $weights get $expected of $slots slots',
    ({ weights, slots, expected }) => {
      expect(shares(weighing(...weights), slots)).toEqual(expected);
    },
  );

  const random = randomNumbers(4);
  const MANY = Array.from({ length: 300 }, () => {
    const count = 1 + Math.floor(random() * 40);
    const scale = random() < 0.5 ? 4 : 65535;
    return {
      slots: 2 ** Math.floor(random() * 12),
      destinations: weighing(
        ...Array.from({ length: count }, () => Math.floor(random() * scale)),
      ),
    };
  }).filter(({ destinations }) => destinations.some(({ weight }) => weight > 0));

  test('always give out every slot, none to weight 0, one to all others if they fit', () => {
    for (const { destinations, slots } of MANY) {
      const result = shares(destinations, slots);
      const active = destinations.filter(({ weight }) => weight > 0).length;
      expect(sum(result)).toBe(slots);
      destinations.forEach(({ weight }, index) => {
        const share = result[index] ?? -1;
        if (weight === 0) expect(share).toBe(0);
        else expect(share).toBeGreaterThanOrEqual(active <= slots ? 1 : 0);
      });
    }
  });

  test('of the same weight differ by one slot at most', () => {
    for (const { destinations, slots } of MANY) {
      const result = shares(destinations, slots);
      const byWeight = new Map<number, number[]>();
      destinations.forEach(({ weight }, index) => {
        byWeight.set(weight, [...(byWeight.get(weight) ?? []), result[index] ?? 0]);
      });
      for (const same of byWeight.values()) {
        expect(Math.max(...same) - Math.min(...same)).toBeLessThanOrEqual(1);
      }
    }
  });

  test('stay within one slot of what the weight says, where all get one anyway', () => {
    for (const { destinations, slots } of MANY) {
      const total = sum(destinations.map(({ weight }) => weight));
      const exact = destinations.map(({ weight }) => (weight * slots) / total);
      if (exact.some((share) => share > 0 && share < 1)) continue;
      shares(destinations, slots).forEach((share, index) => {
        expect(Math.abs(share - (exact[index] ?? 0))).toBeLessThan(1);
      });
    }
  });

  test('do not depend on the order of the destinations', () => {
    const byName = (destinations: readonly TableDestination[], slots: number): string[] =>
      shares(destinations, slots)
        .map((share, index) => `${destinations[index]?.address.toString('hex')} ${share}`)
        .sort();
    for (const { destinations, slots } of MANY) {
      expect(byName(shuffled(destinations, 5), slots)).toEqual(
        byName(destinations, slots),
      );
    }
  });
});

describe('table', () => {
  test.each([
    { what: 'the host build with the sample', count: 32, slots: 65536 },
    { what: 'the portable build with the sample', count: 32, slots: 512 },
    { what: 'three in a small table', count: 3, slots: 8 },
    { what: '300 in 512 slots', count: 300, slots: 512 },
    { what: 'as many destinations as slots', count: 512, slots: 512 },
  ])(
    '$what: every slot has a destination, every destination a load within its bounds',
    ({ count, slots }) => {
      const destinations = alike(count);
      const own = loads(destinations, slots);
      expect(sum(own)).toBe(slots);
      bounds(destinations, slots).forEach(({ least, most }, index) => {
        expect(own[index]).toBeGreaterThanOrEqual(least);
        expect(own[index]).toBeLessThanOrEqual(most);
      });
    },
  );

  test.each([
    { count: 64, slots: 512 },
    { count: 100, slots: 1024 },
    { count: 300, slots: 512 },
    { count: 7, slots: 32 },
    { count: 600, slots: 512 },
  ])(
    '$count of one weight in $slots slots differ by one slot at most',
    ({ count, slots }) => {
      const own = loads(alike(count), slots);
      expect(Math.max(...own) - Math.min(...own)).toBeLessThanOrEqual(1);
    },
  );

  test('weights from 1 to 100 are kept to 1 % or one slot in 65,536', () => {
    for (const count of [10, 32, 80, 200]) {
      const random = randomNumbers(count);
      const weights = Array.from({ length: count }, () => 1 + Math.floor(random() * 100));
      const total = sum(weights);
      loads(weighing(...weights), 65536).forEach((load, index) => {
        const exact = ((weights[index] ?? 0) * 65536) / total;
        expect(Math.abs(load - exact)).toBeLessThanOrEqual(Math.max(1, exact / 100));
      });
    }
  });

  test.each([
    { weights: [1, 65535], slots: 8 },
    { weights: [...Array.from({ length: 300 }, () => 1), 65535], slots: 512 },
    { weights: [1, 1, 65535, 65535, 65535, 65535], slots: 8 },
  ])('every destination with a weight has a slot if they fit', ({ weights, slots }) => {
    const own = loads(weighing(...weights), slots);
    expect(sum(own)).toBe(slots);
    expect(Math.min(...own)).toBeGreaterThanOrEqual(1);
  });

  test('a weight of 0 has no slot', () => {
    expect(loads(weighing(1, 0, 5), 1024)[1]).toBe(0);
  });

  test.each([
    { what: 'no destination', destinations: alike(0) },
    { what: 'weights of 0 alone', destinations: weighing(0, 0, 0) },
  ])('with $what every slot is empty', ({ destinations }) => {
    expect([...consistentTable(destinations, 8)]).toEqual([
      -1, -1, -1, -1, -1, -1, -1, -1,
    ]);
  });

  test('a single destination has all slots', () => {
    expect([...consistentTable(alike(1), 8)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  test('a single slot has one destination, always the same', () => {
    expect(byAddress(alike(5), 1)).toEqual(byAddress(shuffled(alike(5), 6), 1));
  });

  test('of more destinations than slots each slot has another', () => {
    const used = consistentTable(alike(20), 8);
    expect(new Set(used).size).toBe(8);
    expect(used).not.toContain(-1);
  });

  test('does not depend on the order of the destinations', () => {
    for (const [weights, slots] of [
      [Array.from({ length: 32 }, () => 1), 4096],
      [[1, 2, 3, 0, 5, 6, 7, 100], 1024],
      [Array.from({ length: 100 }, () => 1), 64],
    ] as const) {
      const destinations = weighing(...weights);
      const expected = byAddress(destinations, slots);
      for (const seed of [1, 2, 3]) {
        expect(byAddress(shuffled(destinations, seed), slots)).toEqual(expected);
      }
    }
  });

  test.each([
    { weights: [1, 1, 1, 1], other: 2, slots: 4096 },
    { weights: Array.from({ length: 32 }, () => 2), other: 3, slots: 8192 },
    { weights: Array.from({ length: 32 }, () => 2), other: 1, slots: 8192 },
    { weights: [50, 100, 20, 30, 70, 10], other: 80, slots: 8192 },
  ])(
    'of $weights the first weighs $other now: at most 1.8 times the ideal moves in $slots slots',
    ({ weights, other, slots }) => {
      const [first = 0, ...rest] = weights;
      const before = byAddress(weighing(first, ...rest), slots);
      const after = byAddress(weighing(other, ...rest), slots);
      const moved = before.filter((address, slot) => address !== after[slot]).length;
      const others = sum(rest);
      const ideal = Math.abs(other / (other + others) - first / (first + others)) * slots;
      expect(moved / ideal).toBeLessThanOrEqual(1.8);
    },
  );

  // These are a promise to a fleet: a balancer with another table breaks connections.
  test.each([
    {
      what: '32 alike in 65,536',
      rows: alike(32),
      slots: 65536,
      sha256: 'ba39b023e95aae31de53822276148ec520ec4868634de25f46819e2b69d82e86',
    },
    {
      what: '32 alike in 512',
      rows: alike(32),
      slots: 512,
      sha256: 'ff6dbca60ec23ddb2aaca32dfbd12d971262afa5a28fe6faa400997d6a147297',
    },
    {
      what: '300 alike in 512',
      rows: alike(300),
      slots: 512,
      sha256: '0b23cdc7c400761cd9826b8d16581a74d5bee031f4a89f0ad6ae836cd3623547',
    },
    {
      what: 'weights 1, 7, 0, 100 and 65,535 in 4,096',
      rows: weighing(1, 7, 0, 100, 65535),
      slots: 4096,
      sha256: 'fc1b2d723f5e8a73fe2ef1b3306eb6046cc2ff973214176b4bd30a0ed55e4bf5',
    },
  ])('is this one and no other: $what slots', ({ rows, slots, sha256 }) => {
    const text = byAddress(rows, slots).join('\n');
    expect(createHash('sha256').update(text).digest('hex')).toBe(sha256);
  });

  test.each([
    {
      weights: [1, 1, 1, 1, 1, 1, 1, 1],
      expected: [0, 4, 3, 2, 5, 2, 1, 1, 6, 4, 7, 5, 7, 6, 3, 0],
    },
    { weights: [1, 2, 0, 5], expected: [0, 3, 3, 3, 3, 3, 1, 1, 3, 3, 1, 1, 3, 3, 3, 0] },
  ])('of weights $weights has these 16 slots', ({ weights, expected }) => {
    expect([...consistentTable(weighing(...weights), 16)]).toEqual(expected);
  });

  test.each([
    // A bound of 1 is ideal: its own slots move, and no others.
    // make bench-table holds the averages to narrower bounds.
    { count: 32, slots: 65536, bound: 1.15 },
    { count: 4, slots: 4096, bound: 1.15 },
    // The fewer slots a destination has, the larger a part is a few more.
    { count: 128, slots: 8192, bound: 3 },
    { count: 32, slots: 512, bound: 3 },
    { count: 256, slots: 512, bound: 12 },
  ])(
    'one of $count destinations taken away moves at most $bound times its share of $slots slots',
    ({ count, slots, bound }) => {
      const destinations = alike(count);
      const before = byAddress(destinations, slots);
      for (const gone of slots > 10_000 ? [0] : [0, count >> 1, count - 1]) {
        const after = byAddress(without(destinations, gone), slots);
        const moved = before.filter((address, slot) => address !== after[slot]).length;
        expect(moved / (slots / count)).toBeLessThanOrEqual(bound);
      }
    },
  );

  test('a destination that comes back finds its slots as they were', () => {
    const destinations = alike(32);
    const before = byAddress(destinations, 4096);
    const again = [...without(destinations, 7), ...destinations.slice(7, 8)];
    expect(byAddress(again, 4096)).toEqual(before);
  });

  test('a weight of 0 is as good as not being there', () => {
    const drained = weighing(1, 1, 0, 1);
    expect(byAddress(drained, 1024)).toEqual(byAddress(without(drained, 2), 1024));
  });
});
