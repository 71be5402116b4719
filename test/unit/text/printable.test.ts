// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { printable, printableLine } from '../../../src/text/printable.js';

test.each([
  ['an escape sequence', 'a\u001b[2Jb', 'a\\u001b[2Jb'],
  ['the same as one control of C1', 'a\u009b2Jb', 'a\\u009b2Jb'],
  ['a bell, backspaces and carriage returns', '\u0007\b\r', '\\u0007\\u0008\\u000d'],
  ['delete', '\u007f', '\\u007f'],
  [
    'marks that turn the order around',
    'a\u202eb\u2066c\u200f',
    'a\\u202eb\\u2066c\\u200f',
  ],
  ['characters of no width', 'a\u200bb\ufeff', 'a\\u200bb\\ufeff'],
  ['separators of lines', 'a\u2028b\u2029', 'a\\u2028b\\u2029'],
  ['half of a pair', 'a\ud800b', 'a\\ud800b'],
  ['tags beyond the first plane', '\u{e0041}', '\\udb40\\udc41'],
])('is written with backslashes: %s', (_, text, expected) => {
  expect(printable(text)).toBe(expected);
  expect(printableLine(text)).toBe(expected);
});

test('what people write stays as it is', () => {
  const text = 'eth0 größe 目的地 ▁▂█ 😀 "x" \\ é';
  expect(printable(text)).toBe(text);
});

describe('line ends and tabs', () => {
  test('stay in a text', () => expect(printable('a\n\tb')).toBe('a\n\tb'));
  test('are written out in a line', () =>
    expect(printableLine('a\n\tb')).toBe('a\\n\\tb'));
});

test('JSON stays JSON of the same value', () => {
  const value = { name: 'a\u009b\u202e\u{e0041}\ud800\n' };
  expect(JSON.parse(printable(JSON.stringify(value)))).toEqual(value);
});
