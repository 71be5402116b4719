// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { sampleBetween } from '../../../src/stats/rates.js';
import {
  encodeCounter,
  ZERO,
  addCounters,
  retiredCounter,
  sumCounters,
} from '../../../src/abi/counter.js';
import type { Counter } from '../../../src/abi/counter.js';
import { LOCAL_SERVER, VERDICTS } from '../../../src/abi/verdicts.js';
import type { Reading, Subject } from '../../../src/program/reading.js';

function counter(packets: number | bigint, bytes: number | bigint): Counter {
  return { packets: BigInt(packets), bytes: BigInt(bytes) };
}

/** All counters of a moment, by id and by verdict's number; those that are not named are zero. */
function reading(
  at: number,
  destinations: Record<number, Counter>,
  verdicts: Record<number, Counter> = {},
  retired: Counter = ZERO,
): Reading {
  const byNumber = (
    keys: Iterable<number>,
    counters: Record<number, Counter>,
  ): Map<number, Counter> =>
    new Map(Array.from(keys, (key) => [key, counters[key] ?? ZERO]));
  const numbers = VERDICTS.map(({ number }) => number);
  return {
    time: new Date('2026-11-21T09:00:00Z'),
    at,
    destinations: byNumber(SUBJECT.destinations.keys(), destinations),
    retired,
    verdicts: byNumber(numbers, verdicts),
  };
}

const SUBJECT: Subject = {
  interface: 'ens4',
  mode: 'Driver',
  destinations: new Map([
    [1, '10.0.10.1'],
    [2, '10.0.9.1'],
    [3, '9.0.0.1'],
  ]),
  loadedAt: 90,
};

const HUGE = 2n ** 63n;

describe('counters', () => {
  test('are summed over the CPUs, exactly', () => {
    const cpus = [counter(1, 100), counter(2n ** 53n, 2n ** 60n), counter(0, 0)];
    expect(sumCounters(cpus.map(encodeCounter))).toEqual(
      counter(2n ** 53n + 1n, 2n ** 60n + 100n),
    );
    expect(sumCounters([])).toEqual(ZERO);
  });

  test('of retired ids are the same on every CPU, so one is the sum', () => {
    const cpus = [counter(5, 500), counter(5, 500)];
    expect(retiredCounter(cpus.map(encodeCounter))).toEqual(counter(5, 500));
    expect(() => retiredCounter([])).toThrow(RangeError);
  });

  test('are added in packets and in bytes', () => {
    expect(addCounters(counter(1, 10), counter(2, 20))).toEqual(counter(3, 30));
  });
});

describe('a sample between two readings', () => {
  test.each([
    {
      what: 'over one second',
      seconds: 1,
      before: counter(1000, 64_000),
      now: counter(1500, 96_000),
      rates: { pps: 500, bps: 256_000 },
    },
    {
      what: 'over half a second',
      seconds: 0.5,
      before: counter(1000, 64_000),
      now: counter(1500, 96_000),
      rates: { pps: 1000, bps: 512_000 },
    },
    {
      what: 'without a packet between them',
      seconds: 1,
      before: counter(1000, 64_000),
      now: counter(1000, 64_000),
      rates: { pps: 0, bps: 0 },
    },
    {
      what: 'of a counter beyond 2^53, where the difference is still exact',
      seconds: 1,
      before: counter(HUGE, HUGE),
      now: counter(HUGE + 3n, HUGE + 301n),
      rates: { pps: 3, bps: 2408 },
    },
    {
      what: 'of a counter that went back: it has a new owner',
      seconds: 1,
      before: counter(1000, 64_000),
      now: counter(10, 640),
      rates: { pps: 0, bps: 0 },
    },
    {
      what: 'of a destination that is new',
      seconds: 1,
      before: undefined,
      now: counter(1000, 64_000),
      rates: { pps: 0, bps: 0 },
    },
    {
      what: 'at the same moment, which would divide by zero',
      seconds: 0,
      before: counter(1000, 64_000),
      now: counter(1500, 96_000),
      rates: { pps: 0, bps: 0 },
    },
  ])('has the rates $rates $what', ({ seconds, before, now, rates }) => {
    const earlier = reading(100, before ? { 1: before } : {});
    const destinations = new Map(earlier.destinations);
    if (!before) destinations.delete(1);
    const sample = sampleBetween(
      SUBJECT,
      { ...earlier, destinations },
      reading(100 + seconds, { 1: now }),
    );
    const destination = sample.destinations.find(({ id }) => id === 1);
    expect(destination).toEqual({ id: 1, address: '10.0.10.1', ...now, ...rates });
  });

  test('sorts its destinations by address, as numbers', () => {
    const { destinations } = sampleBetween(SUBJECT, reading(1, {}), reading(2, {}));
    expect(destinations.map(({ address }) => address)).toEqual([
      '9.0.0.1',
      '10.0.9.1',
      '10.0.10.1',
    ]);
  });

  test('does not tell a counter that was not read as zero', () => {
    const [before, now] = [reading(1, {}), reading(2, {})];
    const without = (counters: Reading['verdicts'], key: number): typeof counters =>
      new Map([...counters].filter(([one]) => one !== key));
    expect(() =>
      sampleBetween(SUBJECT, before, {
        ...now,
        destinations: without(now.destinations, 3),
      }),
    ).toThrow('the counter of 9.0.0.1 is missing');
    expect(() =>
      sampleBetween(SUBJECT, before, { ...now, verdicts: without(now.verdicts, 17) }),
    ).toThrow('the counter of malformed is missing');
    expect(() =>
      sampleBetween(SUBJECT, { ...before, verdicts: without(before.verdicts, 17) }, now),
    ).toThrow('the counter of malformed is missing');
  });

  test('tells what servers on this host got from what was sent', () => {
    const got = { 1: counter(10, 1000), 2: counter(20, 2000) };
    const local = { [LOCAL_SERVER]: counter(20, 2000) };
    const now = reading(2, got, local);
    const { totals, verdicts } = sampleBetween(SUBJECT, reading(1, {}), now);
    expect(totals).toMatchObject({ packets: 30n, pps: 30 });
    expect(verdicts.balanced).toMatchObject({ packets: 10n, bytes: 1000n, pps: 10 });
    expect(verdicts['local server']).toMatchObject({ packets: 20n });
    // The verdicts are read first, so the destinations may be ahead, and never behind.
    const none = sampleBetween(SUBJECT, now, reading(3, {}, local)).verdicts.balanced;
    expect(none).toMatchObject({ packets: 0n, pps: 0 });
  });

  test('has totals over all destinations and what retired ones counted', () => {
    const { totals } = sampleBetween(
      SUBJECT,
      reading(100, { 1: counter(10, 1000), 2: counter(20, 2000) }, {}, counter(5, 500)),
      reading(102, { 1: counter(30, 3000), 2: counter(40, 4000) }, {}, counter(5, 500)),
    );
    expect(totals).toEqual({ packets: 75n, bytes: 7500n, pps: 20, bps: 16_000 });
  });

  test('has the same total when a sum moves from an id to the retired ones', () => {
    const { totals } = sampleBetween(
      SUBJECT,
      reading(100, { 1: counter(10, 1000), 2: counter(20, 2000) }),
      reading(101, { 1: counter(0, 0), 2: counter(20, 2000) }, {}, counter(10, 1000)),
    );
    expect(totals).toEqual({ packets: 30n, bytes: 3000n, pps: 0, bps: 0 });
  });

  test('tells what came back apart, where that is counted', () => {
    const back = (first: number, freed: number): Reading['returned'] => ({
      destinations: new Map([[2, counter(first, first * 100)]]),
      retired: counter(freed, freed * 100),
    });
    const before = { ...reading(100, {}), returned: back(10, 4) };
    const now = { ...reading(102, {}), returned: back(30, 4) };
    const { destinations, answers } = sampleBetween(SUBJECT, before, now);
    expect(answers).toEqual({ packets: 34n, bytes: 3400n, pps: 10, bps: 8000 });
    expect(destinations.map((one) => [one.id, one.answers])).toEqual([
      [3, undefined],
      [2, { packets: 30n, bytes: 3000n, pps: 10, bps: 8000 }],
      [1, undefined],
    ]);
    // The first destination whose answers come back may be new.
    expect(sampleBetween(SUBJECT, reading(100, {}), now).answers).toMatchObject({
      ...{ packets: 34n, pps: 0 },
    });
    expect(sampleBetween(SUBJECT, before, reading(102, {}))).not.toHaveProperty(
      'answers',
    );
  });

  test('counts as balanced what went to destinations, as it was sent', () => {
    const { verdicts, totals } = sampleBetween(
      SUBJECT,
      reading(100, { 1: counter(10, 1000) }),
      reading(101, { 1: counter(30, 3000) }, {}, counter(1, 100)),
    );
    expect(totals).toEqual({ packets: 31n, bytes: 3100n, pps: 21, bps: 16_800 });
    expect(verdicts.balanced).toEqual(totals);
  });

  test('does not look at what the map of verdicts has for balanced', () => {
    const { verdicts } = sampleBetween(
      SUBJECT,
      reading(100, {}, { 0: counter(7, 700) }),
      reading(101, {}, { 0: counter(9, 900) }),
    );
    expect(verdicts.balanced).toEqual({ ...ZERO, pps: 0, bps: 0 });
  });

  test('has every verdict, those without a packet too', () => {
    const { verdicts } = sampleBetween(
      SUBJECT,
      reading(100, {}, { 1: counter(5, 300), 17: counter(1, 60) }),
      reading(101, {}, { 1: counter(7, 420), 17: counter(1, 60) }),
    );
    expect(Object.keys(verdicts)).toEqual(VERDICTS.map(({ name }) => name));
    expect(verdicts['not ip']).toEqual({ packets: 7n, bytes: 420n, pps: 2, bps: 960 });
    expect(verdicts.malformed).toEqual({ packets: 1n, bytes: 60n, pps: 0, bps: 0 });
    expect(verdicts['no room']).toEqual({ ...ZERO, pps: 0, bps: 0 });
  });

  test('says of what it is, when, and for how long the program has been there', () => {
    const before = reading(100, {});
    const now = { ...reading(100.25, {}), time: new Date('2026-11-21T09:00:07Z') };
    expect(sampleBetween(SUBJECT, before, now)).toMatchObject({
      interface: 'ens4',
      mode: 'Driver',
      time: new Date('2026-11-21T09:00:07Z'),
      interval: 0.25,
      uptime: 10.25,
    });
  });

  test('has no time before the load, where the clocks differ a little', () => {
    const sample = sampleBetween(
      { ...SUBJECT, loadedAt: 101 },
      reading(100, {}),
      reading(100.5, {}),
    );
    expect(sample.uptime).toBe(0);
  });
});
