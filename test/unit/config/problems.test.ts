// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { expect, test } from '@jest/globals';

import { Problems, nearestOf } from '../../../src/config/problems.js';
import { TomlLines } from '../../../src/config/toml-lines.js';

test('a file that is named may have a million bad rows', () => {
  const problems = new Problems('l4lb.toml', new TomlLines('file = "web.csv"\n'));
  const rows = Array.from({ length: 1_000_000 }, (_, row) => `web.csv:${row + 1}: bad`);
  problems.addAll(['file'], rows);
  expect(problems.all().length).toBe(1_000_000);
  expect(problems.all().at(-1)).toBe('web.csv:1000000: bad');
});

test('a name of a million letters is like none', () => {
  expect(nearestOf('k'.repeat(1_000_000), ['source', 'service'])).toBeUndefined();
});
