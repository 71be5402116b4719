// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { expect, test } from '@jest/globals';

import { at, must } from '../../../src/text/must.js';

test('at: an element, also one that is 0 or empty', () => {
  expect(at([5, 0], 1)).toBe(0);
  expect(at(['', 'b'], 0)).toBe('');
  expect(at(Buffer.from([7, 0]), 1)).toBe(0);
});

test.each([-1, 2, 0.5, NaN])('at: there is no element %s of two', (index) => {
  expect(() => at([1, 2], index)).toThrow(RangeError);
});

test('must: the value, or which is missing', () => {
  expect(must(0, 'the weight')).toBe(0);
  expect(() => must(undefined, 'the weight')).toThrow('the weight is missing');
});
