// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The health of a service over time. */
import { describe, expect, test } from '@jest/globals';

import { firstCondition } from '../../../src/health/condition.js';
import type { Destination, Settings } from '../../../src/health/service.js';
import { ServiceHealth } from '../../../src/health/service.js';

const SETTINGS: Settings = {
  patience: { rise: 2, fall: 3, deadAfter: 30_000, slowStart: 10_000 },
  ...{ onPanic: 'keep', interval: 1000, fast: 250 },
};

function destination(name: string, more: Partial<Destination> = {}): Destination {
  return {
    ...{
      name,
      key: name,
      weight: 10,
      isBackup: false,
      byHand: undefined,
      weightByHand: undefined,
    },
    ...{ condition: { ...firstCondition(0, true), state: 'up' }, ...more },
  };
}

function health(destinations: Destination[], slowStart = 10_000): ServiceHealth {
  const live = destinations.map(({ weight }) => ({ weight, isForgotten: false }));
  const settings = { ...SETTINGS, patience: { ...SETTINGS.patience, slowStart } };
  return new ServiceHealth('web', settings, destinations, live);
}

const failed = (at: number): { at: number; passed: boolean; reason: string } => ({
  ...{ at, passed: false, reason: 'timeout' },
});
const passed = (at: number): { at: number; passed: boolean; reason: string } => ({
  ...{ at, passed: true, reason: '' },
});
const weights = (service: ServiceHealth, now: number): number[] =>
  service.shares(now).given.map(({ weight }) => weight);

const three = (slowStart?: number): ServiceHealth =>
  health(
    ['a', 'b', 'c'].map((name) => destination(name)),
    slowStart,
  );

test('each change of a state is told once, with its reason', () => {
  const service = three();
  const turns = [1, 2, 3, 4].flatMap((at) => service.judge('a', failed(at)));
  expect(turns).toEqual([
    { destination: 'a', before: 'up', after: 'suspect', reason: 'timeout', at: 1 },
    { destination: 'a', before: 'suspect', after: 'down', reason: 'timeout', at: 3 },
  ]);
  expect(weights(service, 4)).toEqual([0, 10, 10]);
});

test('a check that several destinations share speaks for all of them', () => {
  const service = health([
    destination('a', { key: 'k' }),
    destination('b', { key: 'k' }),
  ]);
  expect(service.judge('k', failed(1)).map((turn) => turn.destination)).toEqual([
    'a',
    'b',
  ]);
  expect(service.judge('other', failed(1))).toEqual([]);
  expect(service.keys()).toEqual(['k']);
});

test('the pace is fast while one is in doubt', () => {
  const service = three();
  expect(service.paceOf('a')).toBe(1000);
  service.judge('a', failed(1));
  expect(service.paceOf('a')).toBe(250);
  // And so is that of the others, which may fail too.
  expect(service.paceOf('b')).toBe(250);
  service.judge('a', passed(2));
  expect(service.paceOf('b')).toBe(1000);
  expect(service.paceOf('x')).toBeUndefined();
  expect(service.paceOf('a')).toBe(1000);
});

test('in a large service only the one in doubt is asked sooner', () => {
  const many = Array.from({ length: 65 }, (_, index) => destination(`d${index}`));
  const service = health(many);
  service.judge('d0', failed(1));
  expect(service.paceOf('d0')).toBe(250);
  expect(service.paceOf('d1')).toBe(1000);
});

describe('time alone', () => {
  test('makes a destination that is down dead', () => {
    const service = three();
    for (const at of [1, 2, 3]) service.judge('a', failed(at));
    expect(service.nextChange(3)).toBe(30_003);
    expect(service.pass(30_002)).toEqual([]);
    expect(service.pass(30_003)).toMatchObject([{ before: 'down', after: 'dead' }]);
    expect(service.shares(30_003).given[0]).toEqual({ weight: 0, isForgotten: true });
    expect(service.nextChange(30_003)).toBeUndefined();
  });

  test('goes up the ramp step by step, and wakes whoever waits for each', () => {
    const down = { ...firstCondition(0, false) };
    const service = health([
      destination('a', { condition: down, weight: 100 }),
      destination('b'),
    ]);
    service.setLive([0, 10].map((weight) => ({ weight, isForgotten: false })));
    service.judge('a', passed(1000));
    service.judge('a', passed(2000));
    const steps: [number, number | undefined][] = [];
    for (let now = 2000; ; now = service.nextChange(now) ?? Infinity) {
      if (now === Infinity) break;
      service.pass(now);
      steps.push([now, weights(service, now)[0]]);
    }
    expect(steps).toEqual(
      Array.from({ length: 11 }, (_, step) => [
        2000 + step * 1000,
        Math.min(100, (step + 1) * 10),
      ]),
    );
  });
});

test('what a hand decided holds until it is taken back', () => {
  const service = three();
  service.setByHand('a', { byHand: 'drained', weightByHand: 5 });
  expect(weights(service, 1)).toEqual([0, 10, 10]);
  service.setByHand('a', { byHand: undefined, weightByHand: 5 });
  expect(weights(service, 1)).toEqual([5, 10, 10]);
  service.setByHand('a', { byHand: undefined, weightByHand: undefined });
  expect(weights(service, 1)).toEqual([10, 10, 10]);
  expect(service.find('x')).toBeUndefined();
});

describe('after a panic', () => {
  /** All three have failed, and a and b have come back. */
  const afterPanic = (slowStart?: number): ServiceHealth => {
    const service = three(slowStart);
    for (const key of ['a', 'b', 'c'])
      for (const at of [1, 2, 3]) service.judge(key, failed(at));
    service.pass(3);
    for (const key of ['a', 'b'])
      for (const at of [100, 101]) service.judge(key, passed(at));
    service.pass(101);
    return service;
  };

  test('a destination that was not asked since keeps its weight for two intervals', () => {
    const service = afterPanic(0);
    expect(service.shares(101).isPanic).toBe(true);
    expect(weights(service, 101)).toEqual([10, 10, 10]);
    expect(service.nextChange(101)).toBe(2101);
    service.pass(2101);
    expect(service.shares(2101).isPanic).toBe(false);
    expect(weights(service, 2101)).toEqual([10, 10, 0]);
  });

  test('it ends at once when all are back, and nothing starts anew', () => {
    const service = afterPanic();
    for (const at of [102, 103]) service.judge('c', passed(at));
    service.pass(103);
    expect(service.shares(103).isPanic).toBe(false);
    expect(weights(service, 103)).toEqual([10, 10, 10]);
  });

  test('one on its way back keeps what it has, and one that fails again does not', () => {
    const service = afterPanic();
    service.judge('c', passed(2000));
    expect(weights(service, 2101)).toEqual([10, 10, 10]);
    service.judge('c', failed(2200));
    expect(weights(service, 2200)).toEqual([10, 10, 0]);
  });
});

test('what is live holds in a panic', () => {
  const service = three();
  for (const key of ['a', 'b'])
    for (const at of [1, 2, 3]) service.judge(key, failed(at));
  expect(service.shares(3)).toMatchObject({ isPanic: true });
  expect(weights(service, 3)).toEqual([10, 10, 10]);
  service.setLive([0, 10, 10].map((weight) => ({ weight, isForgotten: false })));
  expect(weights(service, 3)).toEqual([0, 10, 10]);
});

test('one that nobody checks always serves', () => {
  const service = health([destination('a', { key: undefined }), destination('b')]);
  expect(service.keys()).toEqual(['b']);
  expect(service.pass(1_000_000)).toEqual([]);
  expect(weights(service, 1_000_000)).toEqual([10, 10]);
});
