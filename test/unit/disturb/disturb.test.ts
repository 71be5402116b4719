// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { disturbCommand } from '../../../src/disturb.js';
import type { Row } from '../../../src/disturb/changes.js';
import {
  DEFAULT_CHANGES,
  formatChange,
  makeSchedule,
  parseChange,
  toCsv,
} from '../../../src/disturb/changes.js';
import { moduloTable } from '../../../src/disturb/modulo.js';
import { settingsFor } from '../../../src/disturb/protocol.js';
import { SERVICE } from '../../../src/disturb/testbed.js';
import { schedule } from './runs.js';

test('l4lb-disturb --help is this text', () => {
  const command = disturbCommand().configureOutput({ getOutHelpWidth: () => 100 });
  expect(command.helpInformation()).toMatchSnapshot();
});

describe('a change', () => {
  test.each([
    { text: 'remove 1', parsed: { kind: 'remove', count: 1 } },
    { text: 'remove', parsed: { kind: 'remove', count: 1 } },
    { text: ' add  12 ', parsed: { kind: 'add', count: 12 } },
    { text: 'drain 2', parsed: { kind: 'drain', count: 2 } },
    { text: 'reweight 2 50', parsed: { kind: 'reweight', count: 2, weight: 50 } },
    { text: 'replace', parsed: { kind: 'replace' } },
    { text: 'takeover', parsed: { kind: 'takeover' } },
    { text: 'both', parsed: { kind: 'both' } },
    { text: 'rolling', parsed: { kind: 'rolling' } },
    { text: 'kill  balancer', parsed: { kind: 'balancer', act: 'kill' } },
    { text: 'add balancer', parsed: { kind: 'balancer', act: 'add' } },
    { text: 'drain 10.0.1.12', parsed: { kind: 'drain', number: 12 } },
    { text: 'restore 10.0.1.3', parsed: { kind: 'restore', number: 3 } },
  ])('"$text" is understood', ({ text, parsed }) => {
    expect(parseChange(text)).toEqual(parsed);
  });

  test.each([
    { text: '', why: 'is not remove N, add N' },
    { text: 'explode 1', why: 'is not remove N, add N' },
    { text: 'remove one', why: 'not a number' },
    { text: 'remove -1', why: 'not a number' },
    { text: 'remove 0', why: 'changes nothing' },
    { text: 'add 1 2', why: 'one number too many' },
    { text: 'reweight 1', why: 'the form reweight N WEIGHT' },
    { text: 'reweight 1 0', why: 'the weight must be from 1 to 65535' },
    { text: 'reweight 1 70000', why: 'the weight must be from 1 to 65535' },
    { text: 'replace 1', why: 'takes no number' },
    { text: 'both 2', why: 'takes no number' },
    { text: 'drain 10.0.2.1', why: 'not a number' },
    { text: 'drain 10.0.1.1 10.0.1.2', why: 'not a number' },
    { text: 'remove 10.0.1.1', why: 'not a number' },
    { text: 'kill 1', why: 'is not remove N, add N' },
    { text: 'remove balancer', why: 'not a number' },
  ])('"$text" is refused: $why', ({ text, why }) => {
    expect(() => parseChange(text)).toThrow(why);
  });

  test.each([
    ...DEFAULT_CHANGES,
    'takeover',
    'both',
    'rolling',
    'drain 10.0.1.12',
    'cut balancer',
  ])('"%s" is printed as it is read', (text) => {
    expect(formatChange(parseChange(text))).toBe(text);
  });
});

describe('a schedule', () => {
  const weights = (rows: Row[] = []): string[] =>
    rows.map(({ number, weight }) => `${number}:${weight}`);

  test('changes the lowest numbers, and adds new ones', () => {
    const { first, steps, destinations } = schedule(
      3,
      ...['remove 1', 'add 2', 'drain 1', 'reweight 1 50', 'replace', 'remove 2'],
    );
    expect(weights(first)).toEqual(['1:100', '2:100', '3:100']);
    expect(steps.map(({ rows }) => weights(rows).join(' '))).toEqual([
      '2:100 3:100',
      '2:100 3:100 4:100 5:100',
      '2:0 3:100 4:100 5:100',
      '2:0 3:50 4:100 5:100',
      '2:0 3:50 4:100 5:100',
      '4:100 5:100',
    ]);
    expect(steps.map(({ removed }) => removed)).toEqual([[1], [], [], [], [], [2, 3]]);
    expect(destinations).toBe(5);
  });

  test('restarts all destinations in use one after another', () => {
    const { steps } = schedule(3, 'remove 1', 'add 1', 'drain 10.0.1.3', 'rolling');
    expect(
      steps.slice(3).map(({ change, rows }) => [formatChange(change), ...weights(rows)]),
    ).toEqual([
      ['drain 10.0.1.2', '2:0', '3:0', '4:100'],
      ['restore 10.0.1.2', '2:100', '3:0', '4:100'],
      ['drain 10.0.1.4', '2:100', '3:0', '4:0'],
      ['restore 10.0.1.4', '2:100', '3:0', '4:100'],
    ]);
  });

  test.each([
    { changes: ['drain 10.0.1.4'], why: 'no such destination to drain' },
    { changes: ['restore 10.0.1.1'], why: 'no such destination to restore' },
    { changes: ['drain 2', 'rolling'], why: 'would leave no destination' },
    { changes: ['remove 3'], why: 'would leave no destination' },
    { changes: ['remove 4'], why: 'more destinations than there are' },
    { changes: ['drain 2', 'remove 3'], why: 'would leave no destination' },
    { changes: ['drain 3'], why: 'would leave no destination' },
    { changes: ['drain 2', 'reweight 2 5'], why: 'more destinations than there are' },
    { changes: ['add 98'], why: 'makes 101 destinations; at most 100 are possible' },
  ])('$changes of 3 destinations $why', ({ changes, why }) => {
    expect(() => makeSchedule(3, changes.map(parseChange))).toThrow(why);
  });

  test('is a file for l4lb-map, with the MACs of the testbed', () => {
    expect(
      toCsv([
        { number: 1, weight: 100 },
        { number: 26, weight: 0 },
      ]),
    ).toBe(
      'address, MAC, weight\n10.0.1.1, 02:00:0a:00:01:01, 100\n10.0.1.26, 02:00:0a:00:01:1a, 0\n',
    );
  });
});

test.each([
  { connections: 1, every: 250, fresh: 5 },
  { connections: 1000, every: 250, fresh: 10 },
  { connections: 10_000, every: 2500, fresh: 100 },
])(
  '$connections connections send every $every ms, $fresh more come each second',
  ({ connections, every, fresh }) => {
    const settings = settingsFor(SERVICE, connections, 30_000);
    expect(settings).toMatchObject({ every, freshPerSecond: fresh });
    expect(settings.limit).toBeGreaterThan(30_000 + connections);
  },
);

test("the original's table goes row by row, those of more weight more often", () => {
  const rows = [
    { number: 1, weight: 100 },
    { number: 2, weight: 50 },
    { number: 3, weight: 0 },
  ];
  expect(moduloTable(rows, 7).map(({ number }) => number)).toEqual([1, 1, 2, 1, 1, 2, 1]);
});
