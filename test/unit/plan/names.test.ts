// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import type { Slot } from '../../../src/abi/slot.js';
import { NOBODY } from '../../../src/abi/slot.js';
import { forgetPrevious, moveNaming, namesOfSlot } from '../../../src/plan/names.js';
import { joinNames, parseNames } from '../../../src/wire/names.js';
import { CELL_NAMES } from '../../../src/abi/cell.js';
import { plan } from '../../../src/plan/service.js';
import { BALANCER, BALANCER_MAC, ip } from '../wire/names.js';
import { configWarnings } from '../../../src/fill/text/config.js';
import { isHot } from '../../../src/plan/hot-slots.js';
import { stillHot } from '../../../src/plan/still-hot.js';
import { applyConfig, planText } from './configs.js';
import { filled, planFor, row, untouched } from './states.js';

const NAMES = joinNames([parseNames('10.7.0.0/16'), parseNames('fd00:7::/112')]);
const ADDRESSES = [
  '::',
  '10.0.1.1',
  '10.0.1.2',
  '10.0.1.3',
  '10.0.2.1',
  '10.0.1.0',
  'fd00::1',
  'fd00::2',
].map(ip);

test.each([
  ['the previous', { current: 1, previous: 2 }, 0x0002],
  ['two', { current: 1, previous: 2, second: 3 }, 0x0302],
  ['one of IPv6', { current: 6, previous: 7 }, 0x0002],
  ['none of another family', { current: 1, previous: 7 }, 0],
  ['none that is gone', { current: 1, previous: NOBODY, second: 2 }, 0],
  ['none whose number is the current one’s', { current: 1, previous: 4 }, 0],
  ['none whose number is 0', { current: 1, previous: 5 }, 0],
  ['no second with the number of the first', { current: 2, previous: 1, second: 4 }, 1],
  [
    'the current one, if it is the second',
    { current: 1, previous: 2, second: 1 },
    0x0102,
  ],
])('a slot names %s', (_, slot, bits) => {
  expect(namesOfSlot(NAMES, (id) => ADDRESSES[id], slot)).toBe(bits);
});

test('a slot names nobody without a prefix', () => {
  const slot = { current: 1, previous: 2 };
  expect(namesOfSlot({}, (id) => ADDRESSES[id], slot)).toBe(0);
});

describe('a slot that moves where destinations decide', () => {
  const ALL = new Map([1, 2, 3, 4, 5, 6].map((id) => [id, ip(`10.0.1.${id}`)]));
  const move = (slot: Slot, to: number, now: number, gone: number[] = []): Slot =>
    moveNaming(
      slot,
      to,
      (id) => (gone.includes(id) ? undefined : 1),
      now,
      (one) => namesOfSlot(NAMES, (id) => ALL.get(id), one),
    );
  const A = { current: 1, previous: 0, since: 0 };

  test('names the one it comes from, then both, and forgets the third', () => {
    const b = move(A, 2, 10);
    expect(b).toEqual({ current: 2, previous: 1, since: 10, names: 0x0001 });
    const c = move(b, 3, 20);
    expect(c).toEqual({ current: 3, previous: 2, second: 1, since: 20, names: 0x0102 });
    const d = move(c, 4, 30);
    expect(d).toEqual({ current: 4, previous: 3, second: 2, since: 30, names: 0x0203 });
  });

  test('that comes back names the other, and nobody twice', () => {
    const back = move(move(A, 2, 10), 1, 20);
    expect(back).toEqual({
      current: 1,
      previous: 2,
      second: 1,
      since: 20,
      names: 0x0102,
    });
    expect(move(back, 2, 30)).toEqual({
      ...{ current: 2, previous: 1, second: 2, since: 30, names: 0x0201 },
    });
  });

  test('forgets a destination that is gone, and names the one before it', () => {
    const c = move(move(A, 2, 10), 3, 20);
    expect(move(c, 3, 30, [2])).toEqual({ current: 3, previous: 1, since: 20, names: 1 });
    expect(move(c, 3, 30, [1, 2])).toEqual({ current: 3, previous: 0, since: 0 });
    expect(
      forgetPrevious(c, (one) => namesOfSlot(NAMES, (id) => ALL.get(id), one)),
    ).toEqual({
      current: 3,
      previous: 1,
      since: 20,
      names: 1,
    });
  });

  test('that cannot name anybody stays cold', () => {
    expect(
      moveNaming(
        A,
        2,
        () => 1,
        10,
        (one) => namesOfSlot({}, (id) => ALL.get(id), one),
      ),
    ).toEqual({ current: 2, previous: 0, since: 0 });
  });

  test('without a destination is cold', () => {
    expect(move(A, 0, 10)).toEqual({ current: 0, previous: 0, since: 0 });
    expect(move({ current: 0, previous: 0, since: 0 }, 1, 10)).toEqual(A);
  });
});

test('new prefixes are written before the slots whose packets need them', () => {
  const file = ['10.0.1.1', '10.0.1.2'].map((address) => row(address));
  const live = filled(untouched(), file, { now: 10, slots: 16 });
  const { service, ...made } = planFor(live, file, { now: 20 });
  expect(made.writes).toEqual([]);
  const { writes } = plan(live, {
    service: { ...service, flags: service.flags | CELL_NAMES },
    isNew: false,
    forward: 'tunnel',
    destinations: file.map((one, index) => ({ ...one, weight: index })),
    sources: { ipv4: { address: BALANCER, spread: 0 } },
    names: NAMES,
    sessionPort: 0,
    mac: BALANCER_MAC,
    mtu: 1500,
    now: 20,
  });
  const first = writes.findIndex(({ map }) => map === 'slots');
  const early = writes.slice(0, first).find(({ map }) => map === 'device');
  expect(early).toMatchObject({ value: { names: NAMES } });
});

test('nobody is said to be forgotten who only has the id of one that is gone', () => {
  // All ids are taken, so that those of the old destinations are given out again.
  const sizes = { slots: 64, destinations: 3, cells: 1024 };
  const config = (...last: number[]): string => `names = "10.7.0.0/16"
[[service]]
name = "web"
ways = ["192.0.2.10:80/tcp"]
slots = 16
remember = "destinations"
destinations = [${last.map((one) => `"10.0.1.${one}"`).join(', ')}]
`;
  const full = applyConfig(untouched(sizes), config(1, 2, 3), 10);
  const [web] = planText(full, config(4, 5, 6), 20).services;
  expect(web?.plan.removed).toHaveLength(3);
  expect(web?.plan.forgets).toEqual([]);
});

test.each([
  { last: ['1.1', '1.2'], told: [] },
  {
    last: ['1.1', '2.0'],
    told: ['10.0.2.0 cannot be named: its last bits, which are its number, are 0'],
  },
  {
    last: ['1.1', '2.1', '1.2'],
    told: [
      '10.0.1.1, 10.0.2.1 cannot be named: all have the number 1; a shorter prefix tells more apart',
    ],
  },
])('who of $last cannot be named is told by the first fill', ({ last, told }) => {
  const config = (remember: string): string => `names = "10.7.0.0/16"
[[service]]
name = "web"
ways = ["192.0.2.10:80/tcp"]
slots = 16
remember = "${remember}"
destinations = [${last.map((one) => `"10.0.${one}"`).join(', ')}]
`;
  const warnings = (remember: string): string[] =>
    configWarnings(planText(untouched(), config(remember), 10), 512);
  expect(warnings('destinations')).toEqual(
    told.map((why) => `web: ${why}; connections there break when their slots move`),
  );
  expect(warnings('balancer')).toEqual([]);
});

test('hot slots that a fill leaves are counted, with the time until one may go cold', () => {
  const live = filled(untouched(), [row('10.0.1.1'), row('10.0.1.2')], {
    ...{ now: 10, slots: 16, vip: ['192.0.2.10:80/tcp'] },
  });
  expect(stillHot(live, 10)).toEqual({ hot: 0, wait: 0 });
  const drained = filled(live, [row('10.0.1.1'), row('10.0.1.2', 0)], { now: 100 });
  const hot = [...drained.slots.values()].filter(isHot).length;
  expect(hot).toBeGreaterThan(0);
  expect(stillHot(drained, 150)).toEqual({ hot, wait: 250 });
});
