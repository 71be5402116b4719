// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { expect, test } from '@jest/globals';

import type { Seen, Vote } from '../../../../src/fleet/agreement/votes.js';
import {
  formatSeen,
  majority,
  parseSeen,
} from '../../../../src/fleet/agreement/votes.js';

/** What nodes say of one destination; - says nothing of its service. */
function votes(...all: (Vote | '-')[]): Map<string, Seen> {
  const said = (vote: Vote): ReturnType<Seen['get']> =>
    new Map(vote === 'up' ? [] : [['10.0.1.1', vote]]);
  return new Map(
    all.map((vote, index): [string, Seen] => [
      `node${index}`,
      new Map(vote === '-' ? [] : [['web', said(vote) ?? new Map()]]),
    ]),
  );
}

test.each([
  [['up', 'up', 'down'], 3, 'up'],
  [['down', 'up', 'down'], 3, 'down'],
  [['down', 'down', 'down'], 3, 'down'],
  // Of two, one is not most.
  [['up', 'down'], 2, 'up'],
  [['down', 'suspect', 'up'], 3, 'suspect'],
  [['suspect', 'suspect', 'down'], 3, 'suspect'],
  [['suspect', 'up', 'up'], 3, 'up'],
  // Too few have asked it.
  [['down', 'unknown', 'unknown'], 3, undefined],
  [['down', '-', '-'], 3, undefined],
  [['down'], 3, undefined],
  [['down', 'down'], 3, 'down'],
  [['down'], 1, 'down'],
  [[], 0, undefined],
] as [Vote[], number, Vote | undefined][])('%j of %i nodes', (said, live, verdict) => {
  expect(majority('web', ['10.0.1.1'], votes(...said), live)).toEqual([verdict]);
});

test('what a node sees is read as it was written', () => {
  const seen: Seen = new Map([
    ['web', new Map([['10.0.1.1', 'down' as const]])],
    ['dns', new Map([['10.0.1.2', 'unknown' as const]])],
    ['constructor', new Map()],
  ]);
  expect(parseSeen(formatSeen(seen))).toEqual(seen);
});

test.each([
  ['', 'it is not JSON'],
  ['{"format":1}', 'it is not what a checker sees'],
  ['{"format":1,"services":{"web":1}}', 'it is not what a checker sees'],
  ['{"format":1,"services":[["web",[["10.0.1.1","gone"]]]]}', 'it is not what'],
])('%s is none', (text, fault) => {
  expect(() => parseSeen(text)).toThrow(fault);
});
