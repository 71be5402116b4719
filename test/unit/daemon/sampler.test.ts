// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { expect, test } from '@jest/globals';

import type { Counter } from '../../../src/abi/counter.js';
import { decodeDestination } from '../../../src/abi/destination.js';
import { VALUE_SIZES } from '../../../src/abi/maps.js';
import { VERDICTS } from '../../../src/abi/verdicts.js';
import type { Seen } from '../../../src/daemon/sampler.js';
import { Sampler } from '../../../src/daemon/sampler.js';
import type { Observation } from '../../../src/program/watcher.js';
import { Failure } from '../../../src/text/failure.js';

const NONE: Counter = { packets: 0n, bytes: 0n };
const SOME: Counter = { packets: 3n, bytes: 192n };
const ENTRY = decodeDestination(Buffer.alloc(VALUE_SIZES.destinations).fill(1));
const WEB = {
  ...{ id: ENTRY.service, firstSlot: 0, log2Slots: 10, ways: [], flags: 0 },
  ...{ idle: 0, drainDeadline: 0 },
};
const SLOTS = { hot: new Map([[1, 4]]), shares: new Map([[1, 1024]]) };

function observation(changed: Partial<Observation> = {}): Observation {
  return {
    subject: {
      ...{ interface: 'eth0', mode: 'Driver', loadedAt: 0 },
      destinations: new Map([[1, '10.0.0.1']]),
    },
    reading: {
      ...{ time: new Date(0), at: 0, retired: NONE },
      destinations: new Map([[1, SOME]]),
      verdicts: new Map(
        VERDICTS.map(({ number, name }) => [number, name === 'too big' ? SOME : NONE]),
      ),
    },
    ...{ isNew: false, entries: new Map([[1, ENTRY]]), services: [WEB], slots: SLOTS },
    ...changed,
  };
}

/** A sampler of what these say in turn, with a clock that is set by hand. */
function samplerOf(...says: (() => Observation)[]) {
  const clock = { now: 0 };
  const watcher = {
    asked: 0,
    observe: async (): Promise<Observation> => {
      const say = says[Math.min(watcher.asked++, says.length - 1)] ?? observation;
      return Promise.resolve(say());
    },
    close: () => {},
  };
  const waited: number[] = [];
  const wait = (milliseconds: number): Promise<void> => {
    waited.push(milliseconds);
    return Promise.resolve();
  };
  const sampler = new Sampler(watcher, () => clock.now, wait);
  /** What the service got, as each look in turn says. */
  const looks = async (count: number): Promise<(number | undefined)[]> => {
    const seen: (number | undefined)[] = [];
    for (let look = 0; look < count; look++, clock.now += 500) {
      const { services } = await sampler.see();
      const packets = services?.get(WEB.id)?.packets;
      seen.push(packets === undefined ? undefined : Number(packets));
    }
    return seen;
  };
  return { clock, watcher, waited, sampler, looks };
}

const GONE: Seen = {
  ...{ destinations: null, services: null, verdicts: null, slots: null },
  unseen: ['counters: no XDP program on eth0'],
};

const gone = (): never => {
  throw new Failure('no XDP program on eth0');
};

test('what was counted, with those verdicts that any packet had', async () => {
  expect(await samplerOf(observation).sampler.see()).toEqual({
    destinations: new Map([[1, SOME]]),
    services: new Map([[WEB.id, NONE]]),
    verdicts: [
      { name: 'balanced', action: 'TX', ...SOME },
      { name: 'too big', action: 'DROP', ...SOME },
    ],
    ...{ slots: SLOTS, unseen: [] },
  });
});

test('where no program counts slots, this is unseen', async () => {
  const { sampler } = samplerOf(() => observation({ slots: undefined }));
  expect(await sampler.see()).toMatchObject({
    ...{ slots: null, unseen: ['slots: no program counts them here'] },
  });
});

test('what cannot be read is null, until it can be', async () => {
  const { sampler, clock } = samplerOf(gone, observation);
  expect(await sampler.see()).toEqual(GONE);
  clock.now = 500;
  expect(await sampler.see()).toMatchObject({ unseen: [] });
});

test('who asks at nearly the same time gets the same answer', async () => {
  const { sampler, clock, watcher } = samplerOf(observation);
  await Promise.all([sampler.see(), sampler.see()]);
  clock.now = 499;
  await sampler.see();
  expect(watcher.asked).toBe(1);
  clock.now = 500;
  await sampler.see();
  expect(watcher.asked).toBe(2);
});

test('another failure is none of the counters', async () => {
  const { sampler } = samplerOf(() => {
    throw new Error('a defect');
  });
  await expect(sampler.see()).rejects.toThrow('a defect');
});

/** A look at destinations by id, each with an address and what it got. */
function look(
  counted: Record<number, [address: string, packets: number]>,
  isNew = false,
): () => Observation {
  const all = Object.entries(counted).map(
    ([id, [address, packets]]) => [Number(id), address, BigInt(packets)] as const,
  );
  const usual = observation();
  return () => ({
    ...usual,
    isNew,
    subject: {
      ...usual.subject,
      destinations: new Map(all.map(([id, address]) => [id, address])),
    },
    entries: new Map(all.map(([id]) => [id, ENTRY])),
    reading: {
      ...usual.reading,
      destinations: new Map(
        all.map(([id, , packets]) => [id, { packets, bytes: 64n * packets }]),
      ),
    },
  });
}

test.each([
  [
    'one leaves, whose packets stay',
    [look({ 1: ['a', 50], 2: ['b', 70] }), look({ 1: ['a', 51], 2: ['b', 75] })],
    [look({ 1: ['a', 52] }), look({ 1: ['a', 60] })],
    [0, 6, 7, 15],
  ],
  [
    'another one gets its id',
    [look({ 1: ['a', 50] }), look({ 1: ['b', 3] })],
    [look({ 1: ['b', 5] })],
    [0, 3, 5],
  ],
  [
    'nothing can be read for a time',
    [look({ 1: ['a', 50] }), gone],
    [look({ 1: ['a', 55] })],
    [0, undefined, 5],
  ],
  [
    'counters begin anew',
    [look({ 1: ['a', 50] }), look({ 1: ['a', 2] })],
    [look({ 1: ['a', 4] })],
    [0, 0, 2],
  ],
])('what a service got never goes down: %s', async (_, first, then, expected) => {
  const { looks } = samplerOf(...first, ...then);
  expect(await looks(expected.length)).toEqual(expected);
});

test('a program that has just been replaced gets its sums a little later', async () => {
  const { looks, waited } = samplerOf(
    look({ 1: ['a', 50] }, true),
    look({ 1: ['a', 1] }, true),
    look({ 1: ['a', 54] }),
  );
  expect(await looks(2)).toEqual([0, 4]);
  expect(waited).toEqual([300]);
});
