// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { expect, test } from '@jest/globals';

import { fleetInOneLine } from '../../../src/api/words.js';
import { truthOf } from '../../../src/page/figures/truth.js';
import { destination, fleet, service, status } from './status.js';

test.each([
  [{}, 'lb1 of fleet main, led by lb2, up to date, announces 1 address'],
  [{ leader: 'lb1' }, 'lb1 of fleet main, leads, up to date, announces 1 address'],
  [
    { leader: null, up_to_date: false, drained: true, announced: [] },
    'lb1 of fleet main, nobody leads, BEHIND, drained, announces nothing',
  ],
  [
    { linked: false },
    'lb1 of fleet main, THE STORE IS NOT HEARD OF, all stays as it is, up to date, announces 1 address',
  ],
])('a node in a line: %j', (changed, line) => {
  expect(fleetInOneLine(fleet(changed))).toBe(line);
});

test.each([{ linked: false }, { leader: null }, { up_to_date: false }])(
  'the page does not call it well: %j',
  (changed) => {
    const services = [service({ panic: false, destinations: [destination()] })];
    const of = (one: Parameters<typeof fleet>[0]): ReturnType<typeof truthOf> =>
      truthOf(status({ services, fleet: fleet(one) }), { age: 0, fault: undefined });
    expect(of({}).troubles.join()).not.toContain('of fleet');
    expect(of(changed).mood).toBe('bad');
    expect(of(changed).troubles.join()).toContain('lb1 of fleet main');
  },
);

test('the page of the leader tells of nodes that disagree', () => {
  const what = 'NODES DISAGREE about web at revision 7: lb1: a; lb2: b';
  const one = status({ fleet: fleet({ disagreements: [what] }) });
  const { mood, troubles } = truthOf(one, { age: 0, fault: undefined });
  expect(mood).toBe('bad');
  expect(troubles).toContain(`${what}.`);
});
