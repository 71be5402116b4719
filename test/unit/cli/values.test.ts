// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { expect, test } from '@jest/globals';

import { readDevice } from '../../../src/cli/values.js';
import { UsageFailure } from '../../../src/text/failure.js';

test.each(['eth0', 'enp3s0f1np1', 'veth0.100', 'größe', 'a@b', '-x', '...'])(
  '%s can be the name of a device',
  (name) => {
    expect(readDevice(name)).toBe(name);
  },
);

test.each([
  '',
  '.',
  '..',
  'a/b',
  'a b',
  'a\tb',
  'a\nb',
  'eth0:1',
  'a\u00a0b',
  'x'.repeat(128),
])('%j cannot', (name) => {
  expect(() => readDevice(name)).toThrow(UsageFailure);
  expect(() => readDevice(name)).toThrow(/is not the name of a device$/);
});

test.each([
  ['a\u001b[2Jb', 'a\\u001b[2Jb'],
  ['a\u009bb', 'a\\u009bb'],
  ['a\u202eb', 'a\\u202eb'],
  ['a#b', 'a#b'],
  ["a'b", "a'b"],
  ['a"b', 'a"b'],
  ['a\\b', 'a\\b'],
])('%j does not pass through bpftool', (name, shown) => {
  expect(() => readDevice(name)).toThrow(UsageFailure);
  expect(() => readDevice(name)).toThrow(
    `l4lb cannot work with a device whose name is ${shown}`,
  );
});
