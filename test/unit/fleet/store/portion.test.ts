// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { expect, test } from '@jest/globals';

import { portionOf } from '../../../../src/fleet/store/portion.js';

test.each([
  ['nothing', [], 0],
  ['one that is too large goes alone', [2_000_000, 1], 1],
  ['as many bytes as fit', [600_000, 400_000, 1], 2],
  ['as many keys as fit', Array.from({ length: 130 }, () => 1), 100],
  ['all', [1, 2, 3], 3],
])('%s', (_, sizes, count) => {
  expect(portionOf(sizes.map((size) => 'x'.repeat(size)))).toBe(count);
});
