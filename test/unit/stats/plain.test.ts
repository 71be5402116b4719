// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';
import { plainBlock } from '../../../src/stats/plain.js';
import { ip } from '../wire/names.js';
import { manyDestinations, sample, withAnswers } from './samples.js';

const TITLE = '== Load balancer outbound statistics [Driver] ==';

function block(...lines: string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}

describe('the plain block', () => {
  test("has the original's lines", () => {
    const two = sample({ '10.0.0.57': 1_029_744, '10.0.10.19': 1_031_841.4 });
    expect(plainBlock(two)).toBe(
      block(
        TITLE,
        '',
        '   1  10.0.0.57          1,029,744 pkts/s     1,186,265,088 bits/s',
        '   2  10.0.10.19         1,031,841 pkts/s     1,188,681,293 bits/s',
        '',
        '[Totals]                 2,061,585 pkts/s     2,374,946,381 bits/s',
      ),
    );
  });

  test('has answers in columns of their own, where they come back', () => {
    const two = sample({ '10.2.0.2:8080': 12, '10.0.10.19': 1000 }, { balanced: 1012 });
    expect(plainBlock(withAnswers(two, { '10.2.0.2:8080': 1_234_567 }))).toBe(
      block(
        TITLE,
        '',
        '   1  10.2.0.2:8080             12 pkts/s            13,824 bits/s    1,234,567 answers/s     1,422,221,184 bits/s',
        '   2  10.0.10.19             1,000 pkts/s         1,152,000 bits/s',
        '',
        '[Totals]                     1,012 pkts/s         1,165,824 bits/s    1,234,567 answers/s     1,422,221,184 bits/s',
        '',
        'balanced                     1,012 pkts/s         1,012,000 in all',
      ),
    );
  });

  test('ends in the verdicts with packets', () => {
    const verdicts = { balanced: 10, 'not ours': 1234, 'too big': 5 };
    expect(plainBlock(sample({ '10.0.0.57': 10 }, verdicts))).toBe(
      block(
        TITLE,
        '',
        '   1  10.0.0.57                 10 pkts/s            11,520 bits/s',
        '',
        '[Totals]                        10 pkts/s            11,520 bits/s',
        '',
        'balanced                        10 pkts/s            10,000 in all',
        'not ours                     1,234 pkts/s         1,234,000 in all',
        'too big                          5 pkts/s             5,000 in all',
      ),
    );
  });

  test('shows a verdict whose packets came before', () => {
    const quiet = sample({ '10.0.0.57': 10 });
    quiet.verdicts.malformed = { packets: 3n, bytes: 180n, pps: 0, bps: 0 };
    expect(plainBlock(quiet)).toMatch(/\n\nmalformed +0 pkts\/s +3 in all\n$/);
  });

  test('says what is wrong with the records', () => {
    const records = { sets: 1 << 17, seen: 256, full: 64, limited: 3 };
    expect(plainBlock({ ...sample({ '10.0.0.57': 10 }), records })).toMatch(
      /\n\nrecords are nearly full: 25% of .*\nthe limit of 32,768 new records .* 3 s ago: .*\n$/,
    );
  });

  test('says how many ports are taken, where services need them', () => {
    const pool = { address: ip('10.0.9.0'), spread: 0, firstBlock: 0, services: [1] };
    const pools = [{ ...pool, seen: 100, taken: 9, established: 8 }];
    const ports = { blocks: 4, pools };
    expect(plainBlock({ ...sample({ '10.0.0.57': 10 }), ports })).toMatch(
      /\n\n10\.0\.9\.0: 9\.00% of 32,768 ports are taken, 8\.00% by established connections\n$/,
    );
  });

  test('of an empty table names the next command', () => {
    expect(plainBlock(sample({}))).toBe(
      block(
        TITLE,
        '',
        'The destination table is empty. To fill it: l4lb-map -i ens4 -f FILE',
      ),
    );
  });

  test('of an empty table has the verdicts all the same', () => {
    const lines = plainBlock(sample({}, { 'empty slot': 7 })).split('\n');
    expect(lines.slice(3)).toEqual([
      '',
      'empty slot                       7 pkts/s             7,000 in all',
      '',
    ]);
  });

  test('keeps its columns when figures outgrow them', () => {
    const long = '2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff';
    const lines = plainBlock(sample({ '10.0.0.1': 1, [long]: 1e18 })).split('\n');
    const [first, second, , totals] = lines.slice(2);
    expect(second).toContain(`   2  ${long}  1,000,000,000,000,000,000 pkts/s  `);
    expect([first?.length, totals?.length]).toEqual([second?.length, second?.length]);
  });

  test('aligns 512 rows and has no space at the end of a line', () => {
    const text = plainBlock(sample(manyDestinations(512), { fragment: 1 }));
    const lines = text.split('\n');
    expect(text).not.toMatch(/ \n/);
    expect(text).not.toContain('\x1b');
    expect(lines).toHaveLength(2 + 512 + 2 + 2 + 1);
    expect(new Set(lines.slice(2, 514).map((line) => line.length))).toEqual(
      new Set([66]),
    );
  });
});
