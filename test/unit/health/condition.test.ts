// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** How checks change what is thought of a destination. */
import { describe, expect, test } from '@jest/globals';

import type { Condition, Patience, StateName } from '../../../src/health/condition.js';
import {
  DAMPING_MS,
  changesAt,
  firstCondition,
  isInDoubt,
  judge,
  pass,
  rampOf,
  riseOf,
  serves,
} from '../../../src/health/condition.js';

const USUAL: Patience = { rise: 2, fall: 3, deadAfter: 30_000, slowStart: 0 };
const SLOW: Patience = { ...USUAL, slowStart: 10_000 };

/** Checks one second apart: + passes, - fails. Returns the states after each. */
function run(
  checks: string,
  patience = USUAL,
  before = firstCondition(0, true),
): { states: StateName[]; last: Condition } {
  let last = before;
  const states = Array.from(checks, (sign, index) => {
    const passed = sign === '+';
    const reason = passed ? '' : 'refused';
    last = judge(last, { at: (index + 1) * 1000, passed, reason }, patience);
    return last.state;
  });
  return { states, last };
}

const up: Condition = { ...firstCondition(0, true), state: 'up' };
const down: Condition = { ...firstCondition(0, true), state: 'down', downs: [0] };

describe('a destination that has packets when the daemon starts', () => {
  test('is up after two checks that passed', () => {
    expect(run('++').states).toEqual(['unknown', 'up']);
  });

  test('is down after three that failed, and never before', () => {
    expect(run('---').states).toEqual(['unknown', 'unknown', 'down']);
    expect(run('--+--').states.at(-1)).toBe('unknown');
  });

  test('serves until then', () => {
    expect(serves(run('--').last)).toBe(true);
  });
});

test('one that has none has to pass first', () => {
  const fresh = firstCondition(0, false);
  expect(serves(fresh)).toBe(false);
  expect(fresh.reason).toBe('not checked yet');
  expect(run('++', USUAL, fresh).states).toEqual(['down', 'up']);
  expect(run('++', SLOW, fresh).states).toEqual(['down', 'starting']);
});

describe('one that is up', () => {
  test('is suspect after a fail, and up again after a pass', () => {
    expect(run('-+', USUAL, up).states).toEqual(['suspect', 'up']);
    expect(run('-', USUAL, up).last.reason).toBe('refused');
  });

  test('is down when fall checks in a row have failed', () => {
    expect(run('--+---', USUAL, up).states).toEqual([
      ...(['suspect', 'suspect', 'up'] as const),
      ...(['suspect', 'suspect', 'down'] as const),
    ]);
    expect(run('-', { ...USUAL, fall: 1 }, up).states).toEqual(['down']);
  });
});

describe('one that is down', () => {
  test('is up when rise checks in a row have passed', () => {
    expect(run('+-++', USUAL, down).states).toEqual(['down', 'down', 'down', 'up']);
  });

  test('is dead after dead_after, at that very time, and comes back as well', () => {
    expect(changesAt(down, USUAL)).toBe(30_000);
    expect(pass(down, 29_999, USUAL)).toBe(down);
    const dead = pass(down, 41_000, USUAL);
    expect(dead).toMatchObject({ state: 'dead', since: 30_000 });
    expect(changesAt(dead, USUAL)).toBeUndefined();
    expect(run('++', USUAL, dead).states.at(-1)).toBe('up');
  });

  test('stays dead while its checks fail', () => {
    const dead = pass(down, 30_000, USUAL);
    const later = judge(dead, { at: 31_000, passed: false, reason: 'timeout' }, USUAL);
    expect(later).toMatchObject({ state: 'dead', since: 30_000, reason: 'timeout' });
  });

  test('has to pass twice as often each time that it went down within ten minutes', () => {
    const times = [0, 1, 2, 3, 9].map((count) =>
      riseOf({ downs: Array.from({ length: count }, () => 0) }, USUAL),
    );
    expect(times).toEqual([2, 2, 4, 8, 64]);
    const twice = { ...down, downs: [0, 1] };
    expect(run('++++', USUAL, twice).states).toEqual(['down', 'down', 'down', 'up']);
  });

  test('what is ten minutes ago no longer counts', () => {
    const twice = { ...up, downs: [0, 5000] };
    expect(pass(twice, DAMPING_MS - 1, USUAL).downs).toEqual([0, 5000]);
    expect(pass(twice, DAMPING_MS, USUAL).downs).toEqual([5000]);
  });
});

test.each([0, 100, 250, 400, 600, 900])(
  'one that flaps each second for a minute changes three times at most, from %i ms on',
  (begin) => {
    let [now, changes] = [up, 0];
    for (let at = begin; at < 60_000; at += isInDoubt(now) ? 250 : 1000) {
      const passed = Math.floor(at / 1000) % 2 === 1;
      const next = judge(now, { at, passed, reason: '' }, { ...USUAL, fall: 2 });
      if (serves(next) !== serves(now)) changes++;
      now = next;
    }
    expect(changes).toBeGreaterThan(0);
    expect(changes).toBeLessThanOrEqual(3);
  },
);

describe('the ramp', () => {
  const starting: Condition = { ...up, state: 'starting', since: 1000 };

  test('has ten steps, and the first is not nothing', () => {
    const parts = [1000, 1999, 2000, 6000, 10_999, 11_000, 99_000].map((now) =>
      rampOf(starting, now, SLOW),
    );
    expect(parts).toEqual([0.1, 0.1, 0.2, 0.6, 1, 1, 1]);
  });

  test('ends as up', () => {
    expect(changesAt(starting, SLOW)).toBe(11_000);
    expect(pass(starting, 11_000, SLOW)).toMatchObject({ state: 'up', since: 11_000 });
  });

  test('goes on through a fail, and ends at the third', () => {
    expect(run('--+-', SLOW, starting).states.at(-1)).toBe('starting');
    expect(run('---', SLOW, starting).states.at(-1)).toBe('down');
  });

  test('is whole where there is no slow start, or it is up', () => {
    expect(rampOf(starting, 1000, USUAL)).toBe(1);
    expect(rampOf(up, 1000, SLOW)).toBe(1);
  });
});

test.each<[string, string, Condition, boolean]>([
  ['nothing is known', '', firstCondition(0, true), true],
  ['it is up', '+', up, false],
  ['it is suspect', '-', up, true],
  ['it is down', '-', down, false],
  ['it is down and has passed once', '+', down, true],
  ['it was down twice and has passed', '+', { ...down, downs: [0, 1] }, false],
])('the next check comes sooner or not: %s', (_, checks, before, sooner) => {
  expect(isInDoubt(run(checks, USUAL, before).last)).toBe(sooner);
});
