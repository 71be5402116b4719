// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { expect, test } from '@jest/globals';

import {
  elapsedSeconds,
  kernelNanoseconds,
  kernelSeconds,
  parseOffsets,
} from '../../../src/system/clock.js';

test.each([
  ['monotonic           0         0\nboottime            0         0\n', 0n, 0n],
  [
    'monotonic      172800         0\nboottime           -1 500000000\n',
    172_800_000_000_000n,
    -500_000_000n,
  ],
  ['', 0n, 0n],
])('the offsets of %j', (text, monotonic, boottime) => {
  expect(parseOffsets(text)).toEqual({ monotonic, boottime });
});

test('both clocks go forward', () => {
  const [kernel, elapsed] = [kernelNanoseconds(), elapsedSeconds()];
  expect(kernelNanoseconds()).toBeGreaterThan(kernel);
  expect(elapsedSeconds()).toBeGreaterThan(elapsed);
  expect(kernelSeconds()).toBeGreaterThanOrEqual(Number(kernel / 1_000_000_000n));
});
