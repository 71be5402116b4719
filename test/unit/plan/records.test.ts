// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** When records are full, as datapath/records.h and flows.h have it. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';

import { LIMIT_RECORDS, MOST_RECORDS, decodeDone } from '../../../src/abi/limits.js';
import type { FlowRecord } from '../../../src/abi/record.js';
import { putU32 } from '../../../src/abi/bytes.js';
import {
  describeRecords,
  isNearlyFull,
  judgeRecords,
  moreMegabytes,
  recordsJson,
} from '../../../src/plan/records.js';
import { Unseen } from '../../../src/text/unseen.js';

/** In seconds; the 16 bits of a record's time have wrapped once by then. */
const NOW = 4 * (0x10000 + 10);

const record = (more: Partial<FlowRecord> = {}): FlowRecord => ({
  ...{ signature: 1, destination: 1, established: true, lasting: true },
  ...{ ended: false, seen: 10, ...more },
});
const set = (...odd: FlowRecord[]): FlowRecord[] =>
  [...odd, ...Array.from({ length: 8 }, () => record())].slice(0, 8);
const full = (one: FlowRecord[]): number => judgeRecords(1, [one], [], NOW).full;

describe('a set is full', () => {
  test('if all of its records are of established connections', () => {
    expect(full(set())).toBe(1);
  });

  test.each<[string, FlowRecord]>([
    ['is empty', record({ signature: 0, established: false, seen: 0 })],
    ['is of a SYN alone', record({ established: false, lasting: false })],
    [
      'has had two packets, the last 68 seconds ago',
      record({ lasting: false, seen: 0x10000 - 7 }),
    ],
    ['has ended', record({ ended: true })],
    ['is older than an hour', record({ seen: 0x10000 + 10 - 901 })],
  ])('but not if one %s', (_, odd) => {
    expect(full(set(odd))).toBe(0);
  });

  test('even if one is an hour old, or had its second packet a minute ago', () => {
    expect(full(set(record({ seen: 0x10000 + 10 - 900 })))).toBe(1);
    expect(full(set(record({ lasting: false, seen: 0x10000 - 6 })))).toBe(1);
  });
});

describe('the limit', () => {
  const limited = (...done: [second: number, count: number][]): number | undefined =>
    judgeRecords(
      1,
      [],
      done.map(([second, count]) => ({ second, count })),
      NOW,
    ).limited;

  test('was reached if any CPU did all that it may', () => {
    expect(limited([NOW, MOST_RECORDS - 1])).toBeUndefined();
    expect(limited([NOW, 3], [NOW - 9, MOST_RECORDS], [NOW - 20, MOST_RECORDS])).toBe(9);
  });

  test('is not told for ever', () => {
    expect(limited([NOW - 300, MOST_RECORDS])).toBe(300);
    expect(limited([NOW - 301, MOST_RECORDS])).toBeUndefined();
    expect(limited()).toBeUndefined();
  });

  test('lies as in the header', () => {
    const header = readFileSync(
      new URL('../../../datapath/l4lb.h', import.meta.url),
      'utf8',
    );
    const [, shift] = /#define L4LB_MOST_RECORDS \(1 << (\d+)\)/.exec(header) ?? [];
    expect(2 ** Number(shift)).toBe(MOST_RECORDS);
    expect(header).toContain('#define L4LB_FORGOTTEN 900\t');
    expect(header).toContain('#define L4LB_YOUNG 16\t');
    const [, names = ''] = /enum l4lb_limit \{([^}]*)\}/.exec(header) ?? [];
    expect(names.split(',').map((name) => name.trim())[LIMIT_RECORDS]).toBe(
      'L4LB_LIMIT_RECORDS',
    );
    const value = Buffer.alloc(8);
    putU32(value, 5, 0);
    putU32(value, 6, 4);
    expect(decodeDone(value)).toEqual({ second: 5, count: 6 });
    expect(header).toMatch(/struct l4lb_done \{\s*__u32 second;[^}]*__u32 count;\s*\}/);
  });
});

test('from one full set in twenty on, records are nearly full', () => {
  const records = { sets: 1 << 17, seen: 256, full: 12, limited: undefined };
  expect(isNearlyFull(records)).toBe(false);
  expect(describeRecords(records)).toEqual([]);
  expect(describeRecords({ ...records, full: 13, limited: 2 })).toEqual([
    'records are nearly full: 5% of new connections in hot slots find no room, and go to the previous destination',
    'the limit of 32,768 new records a second was reached 2 s ago: more new connections in hot slots went to the previous destination',
  ]);
  expect(isNearlyFull({ ...records, seen: 0, full: 0 })).toBe(false);
});

test('what could not be read is said, and where nothing is kept there is nothing', () => {
  const unseen = new Unseen('the records could not be read: no such map');
  expect(describeRecords(unseen)).toEqual([unseen.why]);
  expect(recordsJson(unseen)).toEqual({ unseen: unseen.why });
  expect(describeRecords(undefined)).toEqual([]);
  expect(recordsJson(undefined)).toBeNull();
});

test('JSON has a share, and null for a limit that was not reached', () => {
  const records = { sets: 1 << 17, seen: 256, full: 32, limited: undefined };
  expect(recordsJson(records)).toEqual({
    ...{ nearly_full: true, full_share: 0.125, limit_reached_s_ago: null },
  });
});

test('more room is four times as much, as far as there is', () => {
  const records = { seen: 1, full: 1, limited: undefined };
  expect(moreMegabytes({ ...records, sets: 1 << 17 })).toBe(32);
  expect(moreMegabytes({ ...records, sets: 1 << 27 })).toBe(8192);
});
