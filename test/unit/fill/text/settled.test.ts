// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What --settle --used says. */
import { expect, test } from '@jest/globals';

import { describeSettled, settledJson } from '../../../../src/fill/text/settled.js';
import type { HotPair } from '../../../../src/plan/used.js';

const SETTLED = { settled: 4, forgotten: 0, hot: 5, wait: 297 };
const PAIRS: HotPair[] = [
  {
    ...{ current: '10.0.1.2', previous: ['10.0.1.1'], slots: 4, settled: 4 },
    testimony: { isSeen: true, isUsed: false, age: 4, quiet: Infinity },
  },
  {
    ...{ current: '10.0.1.4', previous: ['10.0.1.1'], slots: 2, settled: 0 },
    testimony: { isSeen: false, why: '10.0.1.4 gave no status' },
  },
  {
    ...{ current: '10.0.1.3', previous: ['10.0.1.2', '10.0.1.1'], slots: 3, settled: 0 },
    testimony: { isSeen: true, isUsed: true, age: 4, quiet: 3 },
  },
];

test('pairs that are needed come first, then those that nobody could tell of', () => {
  expect(describeSettled({ ...SETTLED, pairs: PAIRS }, 'eth0')).toEqual([
    '  4 slots went cold',
    '  5 slots hot, remembering their previous destinations; the next may go cold in 297 s: l4lb-map -i eth0 --settle',
    '  from 10.0.1.1, 10.0.1.2 to 10.0.1.3: 3 slots needed, the last time 7 s ago',
    '  from 10.0.1.1 to 10.0.1.4: 2 slots not seen, so the idle time decides: 10.0.1.4 gave no status',
    '  from 10.0.1.1 to 10.0.1.2: 4 slots not needed',
  ]);
});

test('a dry run says what each pair would do', () => {
  expect(
    describeSettled({ ...SETTLED, forgotten: 1, pairs: PAIRS }, 'eth0', true),
  ).toEqual([
    '  4 slots would go cold',
    '  1 slot would forget a drained destination, whose deadline has passed',
    '  5 slots would stay hot, remembering their previous destinations; the next may go cold in 297 s: l4lb-map -i eth0 --settle',
    '  from 10.0.1.1, 10.0.1.2 to 10.0.1.3: 3 slots needed, the last time 7 s ago; would stay hot',
    '  from 10.0.1.1 to 10.0.1.4: 2 slots not seen, so the idle time decides: 10.0.1.4 gave no status; would stay hot',
    '  from 10.0.1.1 to 10.0.1.2: 4 slots not needed; would go cold',
  ]);
});

test.each([
  { settled: 0, then: '4 slots not needed, but all moved too lately; would stay hot' },
  { settled: 3, then: '4 slots not needed, but 1 moved too lately; 3 would go cold' },
])(
  'a slot that moved too lately stays hot, needed or not: $then',
  ({ settled, then }) => {
    const pairs = PAIRS.slice(0, 1).map((pair) => ({ ...pair, settled }));
    const lines = describeSettled({ ...SETTLED, pairs }, 'eth0', true);
    expect(lines.at(-1)).toBe(`  from 10.0.1.1 to 10.0.1.2: ${then}`);
  },
);

test('of very many pairs the first are shown', () => {
  const pairs = PAIRS.slice(2).concat(
    Array<HotPair[]>(20).fill(PAIRS.slice(1, 2)).flat(),
  );
  const lines = describeSettled({ ...SETTLED, pairs }, 'eth0');
  expect(lines).toHaveLength(11);
  expect(lines.at(-1)).toBe('  13 pairs more like these; --json shows all');
});

test('JSON has all, and null for what nobody knows', () => {
  expect(settledJson({ ...SETTLED, pairs: PAIRS })).toMatchObject({
    pairs: [
      {
        current: '10.0.1.2',
        previous: ['10.0.1.1'],
        slots: 4,
        slots_settled: 4,
        seen: true,
        needed: false,
        quiet_s: null,
        why: null,
      },
      { seen: false, needed: null, quiet_s: null, why: '10.0.1.4 gave no status' },
      { previous: ['10.0.1.2', '10.0.1.1'], seen: true, needed: true, quiet_s: 3 },
    ],
  });
  expect(settledJson(SETTLED)).not.toHaveProperty('pairs');
});

test('records that are nearly full are told', () => {
  const records = { sets: 1024, seen: 256, full: 128, limited: undefined };
  expect(describeSettled({ ...SETTLED, records }, 'eth0').at(-1)).toBe(
    '  records are nearly full: 50% of new connections in hot slots find no room, and go to the previous destination',
  );
  expect(settledJson({ ...SETTLED, records })).toMatchObject({
    records: { nearly_full: true, full_share: 0.5, limit_reached_s_ago: null },
  });
});
