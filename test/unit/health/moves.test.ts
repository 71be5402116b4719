// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** How many slots health may move. */
import { expect, test } from '@jest/globals';

import {
  firstMoves,
  mayMove,
  refill,
  spend,
  waitFor,
} from '../../../src/health/moves.js';

const MOST = { slots: 1000, percent: 20 };

test('a minute gives 20 percent, and no more than a minute is saved up', () => {
  const full = firstMoves(0, MOST);
  expect(full.left).toBe(200);
  expect(refill(full, 600_000, MOST).left).toBe(200);
  const empty = spend(full, 200);
  expect(mayMove(empty)).toBe(false);
  expect(refill(empty, 30_000, MOST).left).toBe(100);
});

test('a change may overdraw it, and the next one waits', () => {
  const overdrawn = spend(firstMoves(0, MOST), 500);
  expect(overdrawn.left).toBe(-300);
  const wait = waitFor(overdrawn, MOST);
  expect(mayMove(refill(overdrawn, wait - 1000, MOST))).toBe(false);
  expect(mayMove(refill(overdrawn, wait, MOST))).toBe(true);
  expect(waitFor(firstMoves(0, MOST), MOST)).toBe(0);
});

test('a clock that seems to go back takes nothing away', () => {
  const moves = { left: 7, at: 1000 };
  expect(refill(moves, 500, MOST).left).toBe(7);
});

test('the smallest service can move a slot a minute', () => {
  const tiny = { slots: 4, percent: 1 };
  const moves = spend(firstMoves(0, tiny), 1);
  expect(mayMove(moves)).toBe(false);
  expect(mayMove(refill(moves, waitFor(moves, tiny), tiny))).toBe(true);
});
