// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { expect, test } from '@jest/globals';

import { destinationSet } from '../../../../src/fleet/agreement/sets.js';
import { shorten } from '../../../../src/fleet/agreement/shorten.js';
import type { DestinationSet, FoldOptions } from '../../../../src/plan/history.js';
import { joinNames, parseNames } from '../../../../src/wire/names.js';

const FOLD: FoldOptions = {
  ...{ log2Slots: 8, flags: 0, remember: 'destinations' },
  names: joinNames([parseNames('10.7.0.0/16')]),
};

const set = (...weights: number[]): DestinationSet =>
  destinationSet(
    new Map(
      weights.map((weight, index) => [
        `10.0.1.${index + 1}`,
        { weight, isForgotten: false },
      ]),
    ),
  );

test('a history that is short enough stays', () => {
  const sets = [set(1, 1), set(1, 0)];
  expect(shorten(sets, 4, FOLD)).toEqual({ kept: [0, 1], forgets: 0 });
});

test('the steps of a ramp go before what slots need', () => {
  const ramp = [0, 0.1, 0.2, 0.3, 0.4, 0.5].map((part) => set(1, 1, part));
  const { kept, forgets } = shorten(ramp, 2, FOLD);
  expect(kept).toEqual([0, 5]);
  expect(forgets).toBeLessThan(10);
});

test('what is lost is counted', () => {
  // Each destination in turn has all slots, and names hold two.
  const sets = [set(1, 0, 0), set(0, 1, 0), set(0, 0, 1)];
  const { kept, forgets } = shorten(sets, 2, FOLD);
  expect(kept).toHaveLength(2);
  expect(kept).toContain(2);
  expect(forgets).toBe(256);
});
