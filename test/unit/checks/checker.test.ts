// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** When checks run, and what counts of how they end, by a clock of the test's own. */
import { describe, expect, test } from '@jest/globals';

import type { Done } from '../../../src/checks/attempt.js';
import { Checker, LATE, TICK } from '../../../src/checks/checker.js';
import type { Check, Checked } from '../../../src/health/check.js';

interface Asked {
  at: number;
  key: string;
  done: Done;
  isGivenUp: boolean;
}

/** A checker whose checks end when the test says so. */
class Bench {
  readonly asked: Asked[] = [];
  readonly checked: Checked[] = [];
  readonly checker: Checker;
  now = 1000;
  /** In the middle: no jitter, and half of an interval until the first check. */
  random = 0.5;
  worst = 0;
  answer: ((asked: Asked) => void) | undefined;

  constructor() {
    const clock = { now: () => this.now, random: () => this.random };
    this.checker = new Checker(({ address }, done) => {
      const asked: Asked = { at: this.now, key: address, done, isGivenUp: false };
      this.asked.push(asked);
      this.answer?.(asked);
      return () => (asked.isGivenUp = true);
    }, clock);
  }

  set(...keys: string[]): void {
    this.checker.set(keys.map((key) => check(key)));
  }

  run(milliseconds: number): void {
    for (const end = this.now + milliseconds; this.now < end;) {
      this.now += TICK;
      this.tick();
    }
  }

  tick(): void {
    const { checked, late } = this.checker.tick();
    for (const one of checked) this.checked.push(one);
    this.worst = Math.max(this.worst, late);
  }
}

function check(key: string, more: Partial<Check> = {}): Check {
  const probe = { kind: 'tcp', address: key, port: 80 } as const;
  return { key, probe, interval: 1000, timeout: 500, ...more };
}

const passes = ({ done }: Asked): void => {
  done(true, 'connected');
};

test('a check begins within its interval, and comes again each interval', () => {
  const bench = new Bench();
  bench.answer = passes;
  bench.set('a');
  bench.run(5000);
  expect(bench.asked.map(({ at }) => at)).toEqual([1500, 2500, 3500, 4500, 5500]);
  expect(bench.checked[0]).toEqual({
    key: 'a',
    took: 0,
    passed: true,
    reason: 'connected',
  });
});

test('a check takes its ports in turn', () => {
  const ports: (number | undefined)[] = [];
  const clock = { now: () => now, random: () => 0.5 };
  let now = 1000;
  const checker = new Checker(({ localPort }, done) => {
    ports.push(localPort);
    done(true, '');
    return () => {};
  }, clock);
  checker.set([check('a', { localPorts: [16384, 16385] })]);
  for (; now < 4400; now += TICK) checker.tick();
  expect(ports).toEqual([16384, 16385, 16384]);
});

test('many are spread over the interval', () => {
  const bench = new Bench();
  bench.answer = passes;
  let turn = 0;
  const keys = Array.from({ length: 100 }, (_, index) => `k${index}`);
  const checker = new Checker(
    (probe, done) => {
      bench.asked.push({ at: bench.now, key: probe.address, done, isGivenUp: false });
      done(true, '');
      return () => {};
    },
    { now: () => bench.now, random: () => (turn++ % 100) / 100 },
  );
  checker.set(keys.map((key) => check(key)));
  for (let tick = 0; tick < 100; tick++) {
    bench.now += TICK;
    checker.tick();
  }
  const times = bench.asked.map(({ at }) => at);
  expect(new Set(times).size).toBeGreaterThan(90);
});

test('jitter stays within a tenth of the interval', () => {
  const bench = new Bench();
  bench.answer = passes;
  bench.random = 0;
  bench.set('a');
  bench.run(400);
  bench.random = 0.999;
  bench.run(2000);
  const [first = 0, second = 0, third = 0] = bench.asked.map(({ at }) => at);
  expect(second - first).toBe(900);
  expect(third - second).toBeGreaterThan(1000);
  expect(third - second).toBeLessThanOrEqual(1100);
});

describe('a check without an answer', () => {
  test('fails when its time is over, and is given up', () => {
    const bench = new Bench();
    bench.set('a');
    bench.run(1000);
    expect(bench.asked[0]).toMatchObject({ at: 1500, isGivenUp: true });
    expect(bench.checked).toEqual([
      { key: 'a', took: 500, passed: false, reason: 'timeout' },
    ]);
  });

  test('that answers later is not heard', () => {
    const bench = new Bench();
    bench.set('a');
    bench.run(1000);
    bench.asked[0]?.done(true, 'connected');
    bench.run(TICK);
    expect(bench.checked).toHaveLength(1);
  });

  test('says nothing if the checker was late meanwhile, and is asked anew', () => {
    const bench = new Bench();
    bench.set('a');
    bench.run(600);
    bench.now += 3000; // stopped
    bench.tick();
    expect(bench.checked).toEqual([{ key: 'a', took: 3100, reason: 'checker was late' }]);
    expect(bench.worst).toBeGreaterThan(2900);
    bench.answer = passes;
    bench.run(2 * TICK);
    expect(bench.checked[1]).toMatchObject({ passed: true });
  });

  test('fails though the checker was a little late', () => {
    const bench = new Bench();
    bench.set('a');
    bench.run(600);
    bench.now += LATE;
    bench.tick();
    bench.run(500);
    expect(bench.checked).toMatchObject([{ passed: false }]);
  });
});

test('what could not be asked is asked again soon, and says nothing', () => {
  const bench = new Bench();
  bench.answer = ({ done }) => {
    done(undefined, 'the checker has too many files open');
  };
  bench.set('a');
  bench.run(1000);
  expect(bench.checked.length).toBeGreaterThan(3);
  expect(bench.checked.every(({ passed }) => passed === undefined)).toBe(true);
});

test('what cannot even be begun says nothing, and does not end the others', () => {
  const bench = new Bench();
  bench.answer = ({ key, done }) => {
    if (key === 'a') throw new TypeError('Invalid URL');
    done(true, '');
  };
  bench.set('a', 'b');
  bench.run(600);
  expect(bench.checked).toContainEqual({ key: 'a', took: 0, reason: 'Invalid URL' });
  expect(bench.checked).toContainEqual({ key: 'b', took: 0, passed: true, reason: '' });
});

describe('the pace', () => {
  test('of a check in doubt is faster at once, and slow again later', () => {
    const bench = new Bench();
    bench.answer = passes;
    bench.set('a');
    bench.run(1000);
    bench.checker.setPace('a', 250);
    bench.run(1000);
    const fast = bench.asked.map(({ at }) => at);
    expect(fast).toEqual([1500, 2010, 2260, 2510, 2760]);
    bench.checker.setPace('a', 1000);
    bench.run(2500);
    expect(bench.asked.at(-1)?.at).toBeLessThanOrEqual(5500);
    expect(bench.asked.length).toBeLessThan(9);
  });

  test('of one that is not there is nothing', () => {
    expect(() => {
      new Bench().checker.setPace('b', 1);
    }).not.toThrow();
  });
});

test('new checks replace the old ones, and those that stay go on undisturbed', () => {
  const bench = new Bench();
  bench.set('a', 'b');
  bench.run(600);
  bench.set('b', 'c');
  expect(bench.asked.map(({ key, isGivenUp }) => [key, isGivenUp])).toEqual([
    ['a', true],
    ['b', false],
  ]);
  bench.asked[1]?.done(true, 'connected');
  bench.run(TICK);
  expect(bench.checked.map(({ key }) => key)).toEqual(['b']);
});

test('after a day without a tick it does not look at each of them', () => {
  const bench = new Bench();
  bench.answer = passes;
  bench.set('a');
  bench.now += 86_400_000;
  const begun = performance.now();
  bench.tick();
  bench.run(TICK);
  expect(bench.checked).toHaveLength(1);
  expect(performance.now() - begun).toBeLessThan(1000);
});
