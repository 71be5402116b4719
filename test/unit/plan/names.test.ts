// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { expect, test } from '@jest/globals';

import { NOBODY } from '../../../src/abi/slot.js';
import { namesOfSlot } from '../../../src/plan/names.js';
import { joinNames, parseNames } from '../../../src/wire/names.js';
import { ip } from '../wire/names.js';

const NAMES = joinNames([parseNames('10.7.0.0/16'), parseNames('fd00:7::/112')]);
const ADDRESSES = [
  '::',
  '10.0.1.1',
  '10.0.1.2',
  '10.0.1.3',
  '10.0.2.1',
  '10.0.1.0',
  'fd00::1',
  'fd00::2',
].map(ip);

test.each([
  ['the previous', { current: 1, previous: 2 }, 0x0002],
  ['two', { current: 1, previous: 2, second: 3 }, 0x0302],
  ['one of IPv6', { current: 6, previous: 7 }, 0x0002],
  ['none of another family', { current: 1, previous: 7 }, 0],
  ['none that is gone', { current: 1, previous: NOBODY, second: 2 }, 0],
  ['none whose number is the current one’s', { current: 1, previous: 4 }, 0],
  ['none whose number is 0', { current: 1, previous: 5 }, 0],
  ['no second with the number of the first', { current: 2, previous: 1, second: 4 }, 1],
  ['no second that is the current one', { current: 1, previous: 2, second: 1 }, 2],
])('a slot names %s', (_, slot, bits) => {
  expect(namesOfSlot(NAMES, (id) => ADDRESSES[id], slot)).toBe(bits);
});

test('a slot names nobody without a prefix', () => {
  const slot = { current: 1, previous: 2 };
  expect(namesOfSlot({}, (id) => ADDRESSES[id], slot)).toBe(0);
});
