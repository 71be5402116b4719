// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { formatSlotSeed, parseSlotSeed } from '../../../src/wire/slot-seed.js';

describe('a seed of slots', () => {
  test('of a passphrase is the first 32 bits of its SHA-256', () => {
    // printf 'correct horse' | sha256sum
    expect(parseSlotSeed('correct horse')).toBe(0x4104d36f);
    expect(parseSlotSeed('correct horses')).not.toBe(parseSlotSeed('correct horse'));
  });

  test.each([0, 1, 0x6c346c62, 0xffffffff])('%d reads back as it is written', (seed) => {
    expect(parseSlotSeed(formatSlotSeed(seed))).toBe(seed);
  });

  test('may be left to chance', () => {
    expect(parseSlotSeed('random')).toBe('random');
  });

  test.each(['', 'seven77', 'a\u001b[31mred text', `two\nlines of it`, 'x'.repeat(201)])(
    'is not %j, and the message does not tell',
    (text) => {
      expect(() => parseSlotSeed(text)).toThrow(
        /^the seed is neither "random", nor 0x and 8 hexadecimal digits, nor 8 to 200 printable characters$/,
      );
    },
  );
});
