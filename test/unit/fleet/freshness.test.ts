// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { expect, test } from '@jest/globals';

import { Follow } from '../../../src/fleet/follow.js';
import { Freshness } from '../../../src/fleet/freshness.js';
import { MemoryStore } from './memory-store.js';

const OLD = { isCut: false, isCurrent: false };
const CUT = { isCut: true, isCurrent: false };
const CURRENT = { isCut: false, isCurrent: true };

test.each([
  ['begins, and has the tables', [[0, CURRENT]], 'fresh'],
  ['begins, and waits for the store', [[4000, OLD]], 'new'],
  ['begins, and the store is away', [[5001, OLD]], 'fresh'],
  ['begins where nothing can be heard', [[5001, CUT]], 'fresh'],
  [
    'is cut off',
    [
      [0, CURRENT],
      [9, CUT],
    ],
    'stale',
  ],
  [
    'was cut off, and has not read the store',
    [
      [0, CURRENT],
      [9, CUT],
      [4000, OLD],
    ],
    'stale',
  ],
  [
    'was cut off, and has read it',
    [
      [0, CURRENT],
      [9, CUT],
      [10, CURRENT],
    ],
    'fresh',
  ],
  [
    'waits from the end of a cut on',
    [
      [0, CURRENT],
      [9, CUT],
      [9000, CUT],
      [13_999, OLD],
    ],
    'stale',
  ],
  [
    'was cut off, and the store is away',
    [
      [0, CURRENT],
      [9, CUT],
      [5010, OLD],
    ],
    'fresh',
  ],
  [
    'is behind, but was not cut off',
    [
      [0, CURRENT],
      [9999, OLD],
    ],
    'fresh',
  ],
] as const)('a node that %s', (_, all, is) => {
  const freshness = new Freshness(0);
  for (const [now, seen] of all) freshness.see({ now, ...seen });
  const { isNew, isStale } = freshness;
  expect(isNew ? 'new' : isStale ? 'stale' : 'fresh').toBe(is);
});

test('what is followed can be read anew, and counts as unknown until then', async () => {
  const store = new MemoryStore();
  let heard = (): void => {};
  const changed = (): Promise<void> =>
    new Promise((resolve) => {
      heard = resolve;
    });
  const following = new Follow(store, '/a', {
    changed: () => {
      heard();
    },
  });
  let isRead = changed();
  void following.run();
  await isRead;
  expect([following.isKnown, following.reads]).toEqual([true, 1]);
  isRead = changed();
  following.again();
  expect(following.isKnown).toBe(false);
  await isRead;
  // It has not been lost.
  expect([following.isKnown, following.reads]).toEqual([true, 1]);
  following.stop();
});
