// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What l4lb-load --decap --status --json printed, read by the balancer. */
import { expect, test } from '@jest/globals';

import { readStatuses } from '../../../src/config/destination-status.js';

const EVENTS = { packets: 0, last: null };
const SIBLING = {
  address: '10.0.1.2',
  number: 2,
  mac: '02:00:0a:00:01:02',
  neighbour: '02:00:0a:00:01:02',
  known_since: '2026-11-30T11:00:00.000Z',
  found: { packets: 4, last: '2026-11-30T11:59:50.000Z' },
  sent: { ...EVENTS, bytes: 0 },
  named: EVENTS,
};
const PROGRAM = {
  name: 'l4lb_decap_1',
  names: ['10.7.0.0/16'],
  self: ['10.0.1.1'],
  siblings: [SIBLING],
};
const status = (program: object, more: object = {}): string =>
  JSON.stringify({
    time: '2026-11-30T12:00:00.000Z',
    interface: 'eth0',
    programs: [{ ...PROGRAM, ...program }],
    ...more,
  });

test('times become ages, by the destination’s own clock', () => {
  const [one] = readStatuses(status({}));
  expect(one?.self).toEqual(['10.0.1.1']);
  expect([...(one?.siblings ?? [])]).toEqual([
    ['10.0.1.2', { known: 3600, found: 10, named: undefined, isMisled: false }],
  ]);
});

test('a sibling whose MAC the kernel knows better is marked; one it does not know is not', () => {
  const misled = (neighbour: string | null): boolean | undefined =>
    readStatuses(status({ siblings: [{ ...SIBLING, neighbour }] }))[0]?.siblings.get(
      '10.0.1.2',
    )?.isMisled;
  expect(misled('02:00:0a:00:01:99')).toBe(true);
  expect(misled(null)).toBe(false);
});

test('a file may hold several', () => {
  const [one, other] = [status({}), status({ self: ['10.0.1.3'] })];
  for (const text of [`${one}\n${other}\n`, `[${one},${other}]`]) {
    expect(readStatuses(text).map(({ self }) => self)).toEqual([
      ['10.0.1.1'],
      ['10.0.1.3'],
    ]);
  }
});

test.each<[string, string, string]>([
  ['nothing', '', 'it is empty'],
  ['no JSON', 'ssh: no route', 'line 1 is not JSON'],
  ['another command’s JSON', '{"slots_hot": 3}', 'did not print it'],
  ['a device without a program', status({}, { programs: [] }), 'eth0 had no XDP program'],
  ['a balancer', status({ name: 'l4lb_2' }), 'has l4lb_2, not the decapsulation program'],
  ['another version', status({ name: 'l4lb_decap_2' }), 'is of another version'],
  ['no names', status({ names: undefined }), 'has no --names'],
  ['nobody', status({ self: [] }), '"self" is empty'],
  ['no time', status({}, { time: undefined }), '"time" is missing'],
  ['a wrong time', status({}, { time: 'now' }), '"time" is not a time: now'],
  [
    'a wrong prefix',
    status({ names: ['10.7.0.0/33'] }),
    'does not end in an even length',
  ],
  ['no address', status({ self: ['web\u001b[2J'] }), '"web\\u001b[2J" is not an IP'],
  ['no siblings', status({ siblings: {} }), 'the list "siblings" is missing'],
  [
    'a sibling of an older version',
    status({ siblings: [{ ...SIBLING, known_since: undefined }] }),
    '"known_since" is missing',
  ],
  [
    'a packet from the future',
    status({
      siblings: [{ ...SIBLING, found: { packets: 1, last: '2026-11-30T12:02:00Z' } }],
    }),
    '"found.last" is later than "time"',
  ],
])('%s is refused', (_, text, message) => {
  expect(() => readStatuses(text)).toThrow(message);
});
