// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { NOBODY } from '../../../src/abi/slot.js';
import type { Slot } from '../../../src/abi/slot.js';
import {
  coldSlot,
  isKeptByMove,
  moveSlot,
  settling,
} from '../../../src/plan/hot-slots.js';

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
      case: 'moves with nobody to remember, and then remembers',
      from: slot(B, NOBODY, 900),
      to: C,
      stands: [B, C],
      then: slot(C, B, 900),
    },
    {
      case: 'has nobody to remember, and stays',
      from: slot(B, NOBODY, 900),
      to: B,
      stands: [B],
      then: slot(B, NOBODY, 900),
    },
    {
      case: 'has nobody to remember, and leaves one that is gone',
      from: slot(B, NOBODY, 900),
      to: C,
      stands: [C],
      then: slot(C, NOBODY, 900),
    },
  ])('$case', ({ from, to, stands, then }) => {
    const weightOf = (id: number): number | undefined =>
      stands.includes(id) ? 1 : undefined;
    expect(moveSlot(from, to, weightOf, NOW)).toEqual(then);
  });

  test('in a build that remembers nothing is cold at once', () => {
    expect(moveSlot(slot(A), B, () => 1, undefined)).toEqual(slot(B));
  });
});

describe('a slot whose previous is drained', () => {
  /** A is. */
  const weightOf = (id: number): number => (id === A ? 0 : 1);

  test('by this very move notes that', () => {
    const moved = moveSlot(slot(A), B, weightOf, NOW);
    expect(moved).toEqual({ ...slot(B, A, NOW), drained: 1 });
  });

  test.each([
    { minutes: 'less than one', since: NOW - 1, drained: 2 },
    { minutes: 'ten', since: NOW - 600, drained: 11 },
    { minutes: 'more than there is room for', since: NOW - 1e7, drained: 0xffff },
  ])('since it moved $minutes minutes ago notes that', ({ since, drained }) => {
    const moved = moveSlot(slot(B, A, since), B, weightOf, NOW);
    expect(moved).toEqual({ ...slot(B, A, since), drained });
  });

  test('keeps the time of that', () => {
    const drained = { ...slot(B, A, NOW - 600), drained: 2 };
    expect(moveSlot(drained, C, weightOf, NOW)).toEqual({ ...drained, current: C });
  });

  test('forgets it when that comes back, or is gone', () => {
    const drained = { ...slot(B, A, 900), drained: 2 };
    expect(moveSlot(drained, B, () => 1, NOW)).toEqual(slot(B, A, 900));
    const gone = (id: number): number | undefined => (id === A ? undefined : 1);
    expect(moveSlot(drained, B, gone, NOW)).toEqual(slot(B, NOBODY, 900));
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
    const hot = slot(B, A, since);
    const then = wait === 0 ? slot(B) : hot;
    expect(settling(hot, kept, NOW, idle)).toEqual({ slot: then, wait });
  });

  test.each([
    { case: 'waits for the deadline', since: 900, deadline: 150, wait: 50 },
    { case: 'waits for the idle time', since: 900, deadline: 900, wait: 290 },
  ])('that is kept $case, $wait s', ({ since, deadline, wait }) => {
    const hot = slot(B, A, since);
    expect(settling(hot, 990, NOW, idle, deadline)).toEqual({ slot: hot, wait });
  });

  test('that is kept forgets its previous after the deadline, but not its records', () => {
    expect(settling(slot(B, A, 900), 990, NOW, idle, 60)).toEqual({
      slot: slot(B, NOBODY, 900),
      wait: 290,
    });
  });

  test('whose previous was drained later waits for the deadline from then on', () => {
    const hot = { ...slot(B, A, 100), drained: 15 };
    expect(settling(hot, 990, NOW, idle, 100)).toEqual({ slot: hot, wait: 40 });
    expect(settling(hot, 990, NOW, idle, 60)).toEqual({
      slot: slot(B, NOBODY, 100),
      wait: 290,
    });
  });

  test('that nobody needs goes cold, whatever the deadline', () => {
    const settled = settling(slot(B, A, 100), 600, NOW, idle, 60);
    expect(settled).toEqual({ slot: coldSlot(slot(B, A).current), wait: 0 });
  });

  test('is kept by another move, for until then its connections were on the current', () => {
    expect(isKeptByMove(slot(B, A, 900), slot(C, A, 900))).toBe(true);
    expect(isKeptByMove(slot(B, A, 900), slot(B, NOBODY, 900))).toBe(false);
    expect(isKeptByMove(slot(A), slot(B, A, NOW))).toBe(false);
  });
});
