// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What destinations get by what their checks say. */
import { describe, expect, test } from '@jest/globals';

import type { StateName } from '../../../src/health/condition.js';
import { firstCondition } from '../../../src/health/condition.js';
import type { Member, OnPanic, Shares } from '../../../src/health/weights.js';
import { share, unscaled, wholeWeights } from '../../../src/health/weights.js';
import { consistentTable } from '../../../src/plan/consistent.js';

const NOW = 100_000;
const PATIENCE = { rise: 2, fall: 3, deadAfter: 30_000, slowStart: 10_000 };

function member(state: StateName, more: Partial<Member> = {}): Member {
  const condition = { ...firstCondition(NOW, true), state };
  const live = { weight: 10, isForgotten: false };
  return {
    ...{ condition, live },
    weight: 10,
    byHand: undefined,
    isBackup: false,
    ...more,
  };
}

function shared(members: Member[], onPanic: OnPanic = 'keep', now = NOW): Shares {
  return share(members, { onPanic, patience: PATIENCE }, now);
}

/** Weights, with ! behind those that are forgotten. */
function given(members: Member[], onPanic?: OnPanic, now?: number): string {
  return shared(members, onPanic, now)
    .given.map(({ weight, isForgotten }) => `${weight}${isForgotten ? '!' : ''}`)
    .join(' ');
}

const well = [member('up'), member('up')];

test.each<[StateName, string]>([
  ['unknown', '10'],
  ['up', '10'],
  ['suspect', '10'],
  ['starting', '1'],
  ['down', '0'],
  ['dead', '0!'],
])('%s gets %s of 10', (state, part) => {
  const one = member(state, { live: { weight: 0, isForgotten: false } });
  expect(given([one, ...well])).toBe(`${part} 10 10`);
});

test.each<[StateName, number, string]>([
  ['starting', 0, '10'],
  ['down', 1, '10'],
  ['dead', 1, '10'],
  ['down', 0, '0'],
  ['dead', 0, '0!'],
])('after a panic %s, with %d passes, has %s of its 10 still', (state, passes, part) => {
  const condition = { ...firstCondition(NOW, true), state, passes };
  expect(given([member(state, { condition }), ...well])).toBe(`${part} 10 10`);
});

test('a start goes up the ramp, and never gives more than the file', () => {
  const starting = (weight: number): Member[] => [
    member('starting', { weight, live: { weight: 0, isForgotten: false } }),
    ...well,
  ];
  expect(given(starting(10), 'keep', NOW + 5000)).toBe('6 10 10');
  expect(given(starting(10), 'keep', NOW + 9999)).toBe('10 10 10');
  expect(given(starting(1))).toBe('0.1 10 10');
  expect(given(starting(0))).toBe('0 10 10');
});

describe('by hand', () => {
  test('drained keeps its connections, and down does not', () => {
    const hands = [member('up', { byHand: 'drained' }), member('up', { byHand: 'down' })];
    expect(given([...hands, ...well])).toBe('0 0! 10 10');
  });

  test('is no sign of panic, and holds in one', () => {
    const drained = member('up', { byHand: 'drained' });
    expect(shared([drained, drained, member('up')]).isPanic).toBe(false);
    const failing = [drained, member('down'), member('down'), member('up')];
    expect(given(failing, 'all')).toBe('0 10 10 10');
  });
});

describe('panic', () => {
  const half = [member('down'), member('up')];
  const most = [member('down'), member('dead'), member('up')];

  test('begins below half of the weight', () => {
    expect(shared(half)).toMatchObject({ isPanic: false, healthy: 10, whole: 20 });
    expect(shared(most)).toMatchObject({ isPanic: true, healthy: 10, whole: 30 });
    const heavy = [member('down', { weight: 30 }), member('up'), member('up')];
    expect(shared(heavy).isPanic).toBe(true);
  });

  test('counts those that are suspect, but begins only when one is down', () => {
    const doubted = [member('suspect'), member('suspect'), member('up')];
    expect(shared(doubted).isPanic).toBe(false);
    expect(shared([...doubted, member('down')])).toMatchObject({
      ...{ isPanic: true, healthy: 10, whole: 40 },
    });
  });

  test('keep changes nothing more', () => {
    const before = { weight: 0, isForgotten: true };
    expect(given([member('down'), member('down', { live: before }), member('up')])).toBe(
      '10 0! 10',
    );
    expect(given([member('down', { weight: 4 }), member('down')])).toBe('4 10');
  });

  test('all sends to all, off believes the checks', () => {
    expect(given(most, 'all')).toBe('10 10 10');
    expect(given(most, 'off')).toBe('0 0! 10');
    expect(given([member('down'), member('dead')], 'off')).toBe('0 0!');
  });

  test('a service without weight is in none', () => {
    expect(shared([member('down', { weight: 0 })]).isPanic).toBe(false);
    expect(shared([]).isPanic).toBe(false);
  });
});

describe('a backup', () => {
  const backup = member('up', { isBackup: true });

  test('has nothing while another one serves, and all when none does', () => {
    expect(given([member('down'), member('up'), backup])).toBe('0 10 0');
    const alone = shared([member('dead'), backup], 'off');
    expect(alone.onBackup).toBe(true);
    expect(given([member('dead'), backup], 'off')).toBe('0! 10');
  });

  test('does not stand in while all are kept', () => {
    expect(given([member('down'), backup])).toBe('10 0');
  });

  test('does where all others are drained by hand', () => {
    expect(given([member('up', { byHand: 'drained' }), backup])).toBe('0 10');
  });

  test('that is down does not', () => {
    const gone = member('down', { isBackup: true });
    expect(shared([member('dead'), gone], 'off').onBackup).toBe(false);
  });
});

describe('weights in the tables are whole', () => {
  const of = (...weights: number[]): number[] =>
    wholeWeights(weights.map((weight) => ({ weight, isForgotten: false }))).map(
      ({ weight }) => weight,
    );

  test('as they are, or ten times as large', () => {
    expect(of(1, 3, 0)).toEqual([1, 3, 0]);
    expect(of(0.3, 1, 0)).toEqual([3, 10, 0]);
    // 10 times that is no weight.
    expect(of(0.3, 2.6, 65535)).toEqual([1, 3, 65535]);
  });

  test('and l4lbd knows its own again when it begins', () => {
    const live = [3, 10, 0].map((weight) => ({ weight, isForgotten: false }));
    expect(unscaled(live, [1, 1, 1]).map((one) => one?.weight)).toEqual([0.3, 1, 0]);
    expect(unscaled(live, [3, 10, 1]).map((one) => one?.weight)).toEqual([3, 10, 0]);
    expect(unscaled([...live, undefined], [1, 1, 1, 1]).at(-1)).toBeUndefined();
  });

  test('a ramp of ten steps moves hardly more slots than come back', () => {
    const table = (weight: number): Int32Array => {
      const all = Array.from({ length: 32 }, (_, index) => ({
        weight: index === 0 ? weight : 1,
        isForgotten: false,
      }));
      const destinations = wholeWeights(all).map((one, index) => ({
        address: Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 1, index]),
        weight: one.weight,
      }));
      return consistentTable(destinations, 65536);
    };
    const moved = (one: Int32Array, other: Int32Array): number =>
      one.filter((to, slot) => to !== other[slot]).length;
    const steps = Array.from({ length: 11 }, (_, step) => table(step / 10));
    const sum = steps.reduce(
      (all, one, step) => all + moved(one, steps[Math.max(0, step - 1)] ?? one),
      0,
    );
    const net = moved(steps[0] ?? table(0), table(1));
    expect(sum / net).toBeLessThan(1.2);
    expect(steps.at(-1)).toEqual(table(1));
  });
});
