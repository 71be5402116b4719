// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Slots in arrays are what a map of them would be. */
import { expect, test } from '@jest/globals';

import type { Slot } from '../../../src/abi/slot.js';
import { SlotTable, someSlot } from '../../../src/plan/slots.js';

const slot = (current: number): Slot => ({ current, previous: 0, since: 0 });
/** At the ends of what lies together, and the last of a million. */
const KEYS = [0, 1, 4095, 4096, 1_048_575];

test('it holds what was put into it, in the order of numbers', () => {
  const table = new SlotTable();
  for (const key of KEYS.toReversed()) table.set(key, slot(key));
  table.set(1, slot(7));
  expect(table.size).toBe(5);
  expect(table.get(1)).toEqual(slot(7));
  expect(table.get(2)).toBeUndefined();
  expect(table.get(500_000)).toBeUndefined();
  expect([...table].map(([key]) => key)).toEqual(KEYS);
  expect([...table.keys()]).toEqual(KEYS);
  const told: [number, Slot][] = [];
  table.forEach((one, key) => told.push([key, one]));
  expect(told).toEqual([...table]);
  expect([...table.values()]).toEqual(told.map(([, one]) => one));
});

test('a copy is its own, and of several the last counts', () => {
  const table = new SlotTable([new Map([[3, slot(1)]])]);
  const others = [new Map([[4096, slot(2)]]), new Map([[3, slot(5)]])];
  const copy = new SlotTable([table, ...others]);
  copy.set(4, slot(9));
  expect([...table]).toEqual([[3, slot(1)]]);
  expect([...copy]).toEqual([
    [3, slot(5)],
    [4, slot(9)],
    [4096, slot(2)],
  ]);
  expect(copy.size).toBe(3);
  expect(someSlot(copy, ({ current }) => current === 9)).toBe(true);
  expect(someSlot(table, ({ current }) => current === 9)).toBe(false);
});
