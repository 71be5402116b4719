// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Which flags of --settle contradict each other. */
import { expect, test } from '@jest/globals';

import type { SettleFlags } from '../../../src/fill/apply.js';
import { checkSettle } from '../../../src/fill/apply.js';

const used = ['d1.json'];

test.each<[SettleFlags, string]>([
  [{ now: true }, '--now, --used and --quiet work only with --settle'],
  [{ used }, '--now, --used and --quiet work only with --settle'],
  [{ settle: true, quiet: 60 }, '--quiet is about what destinations said'],
  [{ settle: true, used, wait: true }, '--used does not go with --wait or --now'],
  [{ settle: true, used, now: true }, '--used does not go with --wait or --now'],
  [{ settle: true, dryRun: true, wait: true }, '--dry-run does not go with --wait'],
])('%j is refused', (flags, message) => {
  expect(() => checkSettle(flags)).toThrow(message);
});

test.each<SettleFlags>([
  {},
  { settle: true, used, quiet: 60, idle: 60 },
  { settle: true, wait: true, idle: 60 },
  { settle: true, dryRun: true, now: true },
  { settle: true, dryRun: true, used },
])('%j is accepted', (flags) => {
  expect(() => checkSettle(flags)).not.toThrow();
});
