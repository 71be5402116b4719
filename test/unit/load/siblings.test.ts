// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What --status says about siblings. */
import { expect, test } from '@jest/globals';

import { EMPTY_PAIR } from '../../../src/abi/siblings.js';
import { describeSiblings, siblingsStatus } from '../../../src/load/siblings.js';
import { joinNames, parseNames } from '../../../src/wire/names.js';
import { ip, mac } from '../wire/names.js';

const NOW = { wall: Date.parse('2026-11-30T12:00:00Z'), kernel: 5000 };
const NAMES = joinNames([parseNames('10.7.0.0/16')]);
const QUIET = { number: 3, address: ip('10.0.1.3'), mac: mac('02:00:0a:00:01:03') };
const BUSY = { number: 2, address: ip('10.0.1.2'), mac: mac('02:00:0a:00:01:02') };
const READ = {
  names: NAMES,
  self: [ip('10.0.1.1')],
  siblings: [
    {
      ...BUSY,
      since: 1400n,
      found: { packets: 2000n, last: 4990n },
      sent: { packets: 3n, bytes: 300n, last: 4000n },
      named: { packets: 0n, last: 0n },
    },
    { ...QUIET, ...EMPTY_PAIR },
  ],
};

const NEIGHBOURS = new Map([['10.0.1.2', '02:00:0a:00:01:02']]);

test('times are told by the wall clock', () => {
  const { siblings } = siblingsStatus(READ, NEIGHBOURS, NOW);
  expect(siblings?.[0]).toEqual({
    address: '10.0.1.2',
    number: 2,
    mac: '02:00:0a:00:01:02',
    neighbour: '02:00:0a:00:01:02',
    known_since: '2026-11-30T11:00:00.000Z',
    found: { packets: 2000n, last: '2026-11-30T11:59:50.000Z' },
    sent: { packets: 3n, bytes: 300n, last: '2026-11-30T11:43:20.000Z' },
    named: { packets: 0n, last: null },
  });
});

test('siblings without a packet are only counted', () => {
  expect(describeSiblings(siblingsStatus(READ, NEIGHBOURS, NOW))).toEqual([
    '  is 10.0.1.1; sends on to 2 siblings named by 10.7.0.0/16',
    '  10.0.1.2: 3 sent on to it (last 2026-11-30 11:43:20 UTC), 2,000 came from it and found a socket here (last 2026-11-30 11:59:50 UTC)',
  ]);
});

test('a destination that does not send on says nothing of it', () => {
  const status = siblingsStatus({ names: {}, self: [], siblings: [] }, NEIGHBOURS, NOW);
  expect(status).toEqual({});
  expect(describeSiblings(status)).toEqual([]);
});

test('one that the kernel finds at another MAC is told, even without a packet', () => {
  const known = new Map([...NEIGHBOURS, ['10.0.1.3', '02:00:0a:00:01:99']]);
  const lines = describeSiblings(siblingsStatus(READ, known, NOW));
  expect(lines).toContain(
    '  10.0.1.3: sent to 02:00:0a:00:01:03, but the kernel finds it at 02:00:0a:00:01:99',
  );
});
