// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { expect, test } from '@jest/globals';

import {
  describePlan,
  describeRoom,
  planJson,
} from '../../../../src/fill/text/service.js';
import { planFor, rows, untouched } from '../../plan/states.js';

const WHERE = { interface: 'ens4', mode: 'Driver' } as const;

test('the largest packet is told with the MSS, which the headers of IP and TCP are not in', () => {
  expect(describeRoom(1480)).toBe(
    '  largest packet that fits: 1480 bytes; TCP MSS 1440 (IPv6 1420)',
  );
});

test('a service without a tunnel says how it forwards', () => {
  const plan = planFor(untouched(), rows(2), { slots: 16, forward: 'link' });
  const [head] = describePlan(plan, WHERE, false);
  expect(head).toBe(
    'ens4 [Driver] any/tcp, any/udp: 2 destinations in 16 slots, forward link, ssh kept',
  );
  expect(planJson(plan)).toMatchObject({ forward: 'link' });
});
