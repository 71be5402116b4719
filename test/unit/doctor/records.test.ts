// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What the doctor makes of the records of a balancer. */
import { expect, test } from '@jest/globals';

import { examine } from '../../../src/doctor/examine.js';
import { Unseen } from '../../../src/text/unseen.js';
import { facts } from './facts.js';

const ROOM = { sets: 1 << 17, seen: 256, full: 0, limited: undefined };
const look = (records: Parameters<typeof facts>[0]) => {
  const { findings, well, unseen } = examine(facts(records));
  return [...findings, ...well, ...unseen].filter(({ check }) => check === 'records');
};

test('there is room, or nearly always', () => {
  expect(look({ records: ROOM })).toMatchObject([
    { text: 'there is room for the record of any new connection' },
  ]);
  expect(look({ records: { ...ROOM, full: 2 } })).toMatchObject([
    { text: 'there is room for the record of all but 0.78% of new connections' },
  ]);
});

test('records that are nearly full are a finding, with the size that helps', () => {
  expect(look({ records: { ...ROOM, full: 32 } })).toEqual([
    {
      check: 'records',
      severity: 'finding',
      finding:
        'records are nearly full: 12.50% of new connections in hot slots go to the previous destination, even if it is drained',
      evidence:
        'in 32 of 256 sets that were looked at, all records are of established connections',
      fix: 'l4lb-load -i ens4 --replace --flows 32',
    },
  ]);
});

test('a limit that was reached is a remark', () => {
  expect(look({ records: { ...ROOM, limited: 7 } })).toMatchObject([
    {
      severity: 'remark',
      evidence:
        'a processor recorded 32,768 connections in a second, 7 s ago, as many as it may',
    },
  ]);
});

test('records that cannot be read are not seen, and where there are none nothing is said', () => {
  const why = 'the records could not be read: no such map';
  expect(look({ records: new Unseen(why) })).toEqual([{ check: 'records', text: why }]);
  expect(look({ records: undefined })).toEqual([]);
});
