// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { addressOf } from '../../../src/disturb/changes.js';
import { spreadOf } from '../../../src/disturb/judge.js';
import type { ClientEvent } from '../../../src/disturb/protocol.js';
import { avoidableLosses } from '../../../src/disturb/report.js';
import { count, judged, lost, open } from './runs.js';

describe('a loss', () => {
  test.each<{ what: string; events: ClientEvent[]; change: number; avoidable: boolean }>([
    {
      what: 'before any change is avoidable',
      events: [open(1, 1), lost(1, 500)],
      change: -1,
      avoidable: true,
    },
    {
      what: 'on a destination that stays is avoidable',
      events: [open(1, 2), lost(1, 1050)],
      change: 0,
      avoidable: true,
    },
    {
      what: 'on a removed destination had to be',
      events: [open(1, 1), lost(1, 1050)],
      change: 0,
      avoidable: false,
    },
    {
      what: 'on a removed destination had to be, also when the next change has begun',
      events: [open(1, 1), lost(1, 2050)],
      change: 0,
      avoidable: false,
    },
    {
      what: 'by silence belongs to the change when the silence began',
      events: [open(1, 2), lost(1, 4200, { since: 1150, why: 'silent' })],
      change: 0,
      avoidable: true,
    },
    {
      what: 'by a silence from before the removal is avoidable',
      events: [open(1, 1), lost(1, 3600, { since: 500, why: 'silent' })],
      change: -1,
      avoidable: true,
    },
    {
      what: 'in a handshake while a destination goes may have had to be',
      events: [lost(1, 1050)],
      change: 0,
      avoidable: false,
    },
    {
      what: 'in a handshake at another change is avoidable',
      events: [lost(1, 2050)],
      change: 1,
      avoidable: true,
    },
  ])('$what', ({ events, change: number, avoidable }) => {
    expect(judged(...events).losses).toEqual([
      expect.objectContaining({ change: number, avoidable }),
    ]);
  });

  test('counts for its change and its destination', () => {
    const outcome = judged(
      ...[open(1, 1), open(2, 2), open(3, 2), open(4, 1), count(50, 4)],
      ...[lost(4, 500), lost(1, 1050), lost(2, 1060)],
    );
    expect(outcome.start).toMatchObject({ avoidable: 1, unavoidable: 0, ideal: 0 });
    expect(outcome.changes).toMatchObject([
      { avoidable: 1, unavoidable: 1, ideal: 1 },
      { avoidable: 0, unavoidable: 0, ideal: 0 },
    ]);
    expect(outcome.destinations).toEqual([
      {
        address: '10.0.1.1',
        weight: undefined,
        opened: 2,
        active: 0,
        avoidable: 1,
        unavoidable: 1,
      },
      {
        address: '10.0.1.2',
        weight: 100,
        opened: 2,
        active: 1,
        avoidable: 1,
        unavoidable: 0,
      },
    ]);
    expect(avoidableLosses(outcome)).toBe(2);
  });
});

describe('the spread of new connections', () => {
  const opens = (...numbers: number[]): { name: string }[] =>
    numbers.map((number) => ({ name: addressOf({ number }) }));
  const rows = [
    { number: 1, weight: 100 },
    { number: 2, weight: 300 },
    { number: 3, weight: 0 },
  ];

  test('is even when each has its share by weight', () => {
    expect(spreadOf(opens(1, 2, 2, 2), rows)).toEqual({
      connections: 4,
      fullest: 1,
      emptiest: 1,
      unevenness: 0,
      misplaced: 0,
    });
  });
  test('tells how far it is from that, and what lies where it should not', () => {
    expect(spreadOf(opens(1, 1, 2, 3), rows)).toEqual({
      connections: 4,
      fullest: 2,
      emptiest: 1 / 3,
      unevenness: 1 + 4 / 3,
      misplaced: 1,
    });
  });
  test('of no connection is even', () => {
    expect(spreadOf([], rows)).toMatchObject({
      connections: 0,
      fullest: 1,
      unevenness: 0,
    });
  });
  test('is that of those begun after the change, and before the next', () => {
    const outcome = judged(
      open(1, 1),
      open(2, 2, 1050),
      open(3, 2, 1500),
      open(4, 2, 2500),
    );
    const spreads = [outcome.start, ...outcome.changes].map(({ spread }) => spread);
    expect(spreads.map(({ connections }) => connections)).toEqual([1, 1, 1]);
  });
});
