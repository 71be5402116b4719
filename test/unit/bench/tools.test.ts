// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { millisecondsOf } from '../../../bench/times.js';
import { destinationRows, toolResults } from '../../../bench/tools.js';
import { parseDestinations } from '../../../src/config/destinations-csv.js';
import { Failure } from '../../../src/text/failure.js';

describe('processor time, as bash tells it', () => {
  const shell = '0m0.003s 0m0.002s';

  test.each([
    ['for itself and in the kernel', '0m0.120s 0m0.030s', 150],
    ['with minutes', '1m0.500s 2m0.250s', 180_750],
  ])('%s', (_, children, milliseconds) => {
    expect(millisecondsOf(`${shell}\n${children}\n`)).toBeCloseTo(milliseconds, 6);
  });

  test('none: it is told what there was instead', () => {
    expect(() => millisecondsOf('nothing\n')).toThrow(Failure);
    expect(() => millisecondsOf('nothing\n')).toThrow('bash told no times: nothing');
  });
});

test.each([1, 512, 4096])('%i rows, none of them bad or twice', (count) => {
  const file = { name: 'rows.csv', text: destinationRows(count) };
  const { rows, problems } = parseDestinations([file]);
  expect(problems).toEqual([]);
  expect(new Set(rows.map(({ address }) => address)).size).toBe(count);
  expect(rows.filter(({ mac }) => mac === undefined)).toEqual([]);
});

test('ratios are those of the same round', () => {
  const [node, tick] = toolResults([
    { name: 'node -e 0', kind: 'clock', rounds: [50, 100, 200] },
    { name: 'tick', kind: 'processor', rounds: [10, 40, 20] },
  ]);
  expect(node?.ratio).toEqual({ median: 1, lower: 1, upper: 1 });
  expect(tick).toMatchObject({
    name: 'tick',
    kind: 'processor',
    milliseconds: { median: 20, lower: 15, upper: 30 },
  });
  expect(tick?.ratio.median).toBe(0.2);
  expect(tick?.ratio.lower).toBeCloseTo(0.15);
  expect(tick?.ratio.upper).toBeCloseTo(0.3);
});
