// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What destinations get by what their checks say. */
import { describe, expect, test } from '@jest/globals';

import type { StateName } from '../../../src/health/condition.js';
import { firstCondition } from '../../../src/health/condition.js';
import type { Member, OnPanic, Shares } from '../../../src/health/weights.js';
import { share } from '../../../src/health/weights.js';

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
  expect(given([member(state), ...well])).toBe(`${part} 10 10`);
});

test('a start goes up the ramp, and never gives more than the file', () => {
  const starting = (weight: number): Member[] => [
    member('starting', { weight }),
    ...well,
  ];
  expect(given(starting(10), 'keep', NOW + 5000)).toBe('6 10 10');
  expect(given(starting(10), 'keep', NOW + 9999)).toBe('10 10 10');
  expect(given(starting(1))).toBe('1 10 10');
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
