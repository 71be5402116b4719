// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';
import {
  formatCount,
  formatDuration,
  formatShare,
  formatTitle,
  sparkline,
} from '../../../src/text/format.js';

describe('title', () => {
  test.each([
    ['Offload', '== Load balancer outbound statistics [Offload] =='],
    [undefined, '== Load balancer outbound statistics =='],
  ] as const)('%s', (mode, text) => expect(formatTitle(mode)).toBe(text));
});

describe('count', () => {
  test.each([
    [0, '0'],
    [999, '999'],
    [1000, '1,000'],
    [1_029_744.4, '1,029,744'],
    [1_029_743.5, '1,029,744'],
    [38_046_848_592, '38,046,848,592'],
    [18_446_744_073_709_551_615n, '18,446,744,073,709,551,615'],
    [NaN, '-'],
    [Infinity, '-'],
  ])('%s is %s', (value, text) => expect(formatCount(value)).toBe(text));
});

describe('share', () => {
  test.each([
    [1, 32, '3.13%'],
    [1, 512, '0.20%'],
    [5, 5, '100.00%'],
    [0, 5, '0.00%'],
    [0, 0, '-'],
    [NaN, 5, '-'],
  ])('%s of %s is %s', (part, whole, text) =>
    expect(formatShare(part, whole)).toBe(text),
  );
});

describe('duration', () => {
  test.each([
    [0, '00:00:00'],
    [59.9, '00:00:59'],
    [3661, '01:01:01'],
    [86_399, '23:59:59'],
    [93_784, '1d 02:03:04'],
    [-1, '00:00:00'],
  ])('%s s is %s', (seconds, text) => expect(formatDuration(seconds)).toBe(text));
});

describe('sparkline', () => {
  test.each([
    ['each level', [0, 1, 2, 3, 4, 5, 6, 7, 8], 9, ' ▁▂▃▄▅▆▇█'],
    ['a trickle is seen beside a flood', [1, 1_000_000], 2, '▁█'],
    ['the newest at the right end', [5, 5], 4, '  ██'],
    ['only the newest, scaled among themselves', [800, 1, 2], 2, '▄█'],
    ['nothing at all', [0, 0], 2, '  '],
    ['no values', [], 3, '   '],
    ['what is no number', [NaN, 4], 2, ' █'],
    ['no room', [1], 0, ''],
    ['less than no room', [1], -5, ''],
  ])('%s', (_, values, width, text) => expect(sparkline(values, width)).toBe(text));
});
