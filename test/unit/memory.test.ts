// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import type { Slot } from '../../src/abi.js';
import { NOBODY } from '../../src/abi.js';
import { moveSlot, settling } from '../../src/memory.js';

const [A, B, C] = [1, 2, 3];
const NOW = 1000;
const slot = (current: number, previous = 0, since = 0): Slot => ({
  current,
  previous,
  since,
});

describe('a slot that moves', () => {
  test.each<{ case: string; from: Slot; to: number; stands: number[]; then: Slot }>([
    { case: 'stays', from: slot(A), to: A, stands: [A], then: slot(A) },
    { case: 'remembers', from: slot(A), to: B, stands: [A, B], then: slot(B, A, NOW) },
    { case: 'was empty', from: slot(0), to: B, stands: [B], then: slot(B) },
    { case: 'left one that is gone', from: slot(A), to: B, stands: [B], then: slot(B) },
    {
      case: 'moves again while hot, and keeps its first previous',
      from: slot(B, A, 900),
      to: C,
      stands: [A, B, C],
      then: slot(C, A, 900),
    },
    {
      case: 'moves back while hot, and stays hot',
      from: slot(B, A, 900),
      to: A,
      stands: [A, B],
      then: slot(A, A, 900),
    },
    {
      case: 'loses its previous, and stays hot for the sake of the records',
      from: slot(B, A, 900),
      to: B,
      stands: [B],
      then: slot(B, NOBODY, 900),
    },
    {
      case: 'loses its current while hot',
      from: slot(B, A, 900),
      to: C,
      stands: [A, C],
      then: slot(C, A, 900),
    },
    {
      case: 'moves with nobody to remember',
      from: slot(B, NOBODY, 900),
      to: C,
      stands: [B, C],
      then: slot(C, NOBODY, 900),
    },
  ])('$case', ({ from, to, stands, then }) => {
    expect(moveSlot(from, to, (id) => stands.includes(id), NOW)).toEqual(then);
  });

  test('in a build that remembers nothing is cold at once', () => {
    expect(moveSlot(slot(A), B, () => true, undefined)).toEqual(slot(B));
  });
});

describe('a hot slot', () => {
  const idle = 300;
  test.each([
    { case: 'just moved', since: 1000, kept: 0, wait: 300 },
    { case: 'was kept a moment ago', since: 100, kept: 990, wait: 290 },
    { case: 'was kept long ago', since: 100, kept: 600, wait: 0 },
    { case: 'was kept in an earlier phase', since: 700, kept: 200, wait: 0 },
    { case: 'is at the very second', since: 700, kept: 0, wait: 0 },
  ])('that $case may go cold in $wait s', ({ since, kept, wait }) => {
    expect(settling(slot(B, A, since), kept, NOW, idle)).toEqual({ cold: slot(B), wait });
  });

  test.each([
    { case: 'before the deadline', since: 900, deadline: 150, wait: 50 },
    { case: 'after the deadline', since: 900, deadline: 60, wait: 0 },
    { case: 'with a deadline after its idle time', since: 900, deadline: 900, wait: 290 },
  ])('that is kept may go cold $case in $wait s', ({ since, deadline, wait }) => {
    expect(settling(slot(B, A, since), 990, NOW, idle, deadline).wait).toBe(wait);
  });
});
