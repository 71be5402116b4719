// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { append, largest, smallest } from '../../../src/text/lists.js';

const MILLION = Array.from({ length: 1_000_000 }, (_, index) => index);

describe('lists of a million', () => {
  test('are appended in their order', () => {
    const list = [-1];
    append(list, MILLION);
    expect(list.length).toBe(1_000_001);
    expect([list[0], list[1], list.at(-1)]).toEqual([-1, 0, 999_999]);
  });

  test('have a smallest and a largest', () => {
    expect([smallest(MILLION), largest(MILLION)]).toEqual([0, 999_999]);
    expect([smallest([]), largest([])]).toEqual([Infinity, -Infinity]);
    expect([smallest(new Set([3, -4])), largest(new Set([3, -4]))]).toEqual([-4, 3]);
  });
});
