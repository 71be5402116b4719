// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The kernel's list of ports that it gives to nobody. */
import { expect, test } from '@jest/globals';

import { withPorts, withoutPorts } from '../../../src/system/reserved-ports.js';

test.each([
  ['', '100-200'],
  ['8080\n', '8080,100-200'],
  ['50-60,300\n', '50-60,300,100-200'],
])('%j with 100 to 200 is %j', (before, after) => {
  expect(withPorts(before, [100, 200])).toBe(after);
  expect(withoutPorts(after, [100, 200])).toBe(before.trim());
});

test.each([
  ['100-200\n', ''],
  ['50-300', '50-99,201-300'],
  ['100', ''],
  ['99-101,200-201', '99,201'],
  ['8080', '8080'],
])('%j without 100 to 200 is %j', (before, after) => {
  expect(withoutPorts(before, [100, 200])).toBe(after);
});
