// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What the test of the guide reads from a page, and what it takes for the same. */
import { describe, expect, test } from '@jest/globals';

import { isAsShown, shownBy, stable } from '../../console.js';

describe('a page', () => {
  test('shows files and commands, in their order', () => {
    const page = [
      'Words.',
      '```csv web.csv',
      'address',
      '10.0.1.1',
      '```',
      '```console',
      'balancer# l4lb-map -i eth0 -f web.csv',
      'Loading file with 1 destination',
      '$ make',
      '```',
      '```console norun',
      '# bash',
      '```',
      '```toml',
      'echo = true',
      '```',
    ].join('\n');
    expect(shownBy(page)).toEqual([
      { kind: 'file', name: 'web.csv', text: 'address\n10.0.1.1\n' },
      {
        kind: 'command',
        role: 'balancer',
        command: 'l4lb-map -i eth0 -f web.csv',
        output: ['Loading file with 1 destination'],
      },
      { kind: 'command', role: '', command: 'make', output: [] },
    ]);
  });

  test('that shows output without a command is at fault', () => {
    expect(() => shownBy('```console\nwords\n```')).toThrow('without a prompt: words');
  });
});

test.each([
  ['an id', 'attached as program 2875', 'attached as program 7'],
  ['a time', 'may go cold in 299 s: l4lb-map', 'may go cold in 300 s: l4lb-map'],
  [
    'what ping took',
    '1 received, 0% packet loss, time 0ms',
    '1 received, 0% packet loss, time 12ms',
  ],
  ['what arping took', '[DE:AD:BE:EF:00:10]  0.535ms', '[DE:AD:BE:EF:00:10]  1.2ms'],
  ['lines of a file', '13 h2.txt', '  7 h2.txt'],
  ['who got how many', '     11 destination1', '      9 destination1'],
  ['a count', 'balanced       0 pkts/s      116 in all', 'balanced  0 pkts/s  42 in all'],
])('%s differs from run to run', (_, one, other) => {
  expect(stable(one)).toBe(stable(other));
});

test.each([
  { what: 'the same', shown: ['a', 'b'], output: ['a', 'b'], same: true },
  { what: 'nothing', shown: [], output: [], same: true },
  { what: 'more than is shown', shown: [], output: ['a'], same: false },
  { what: 'another line', shown: ['a', 'b'], output: ['a', 'c'], same: false },
  { what: 'a line less', shown: ['a', 'b'], output: ['a'], same: false },
  {
    what: 'any lines between',
    shown: ['a', '...', 'd'],
    output: ['a', 'b', 'c', 'd'],
    same: true,
  },
  { what: 'any lines at the end', shown: ['a', '...'], output: ['a', 'b'], same: true },
  { what: 'no lines for any', shown: ['a', '...'], output: ['a'], same: true },
  {
    what: 'a line that never comes',
    shown: ['...', 'd'],
    output: ['a', 'b'],
    same: false,
  },
  {
    what: 'slots that differ',
    shown: ['65,536 slots'],
    output: ['512 slots'],
    same: false,
  },
])('$what: $same', ({ shown, output, same }) => {
  expect(isAsShown(shown, output)).toBe(same);
});
