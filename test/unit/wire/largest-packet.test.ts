// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { expect, test } from '@jest/globals';

import { describeRoom, roomFor } from '../../../src/wire/largest-packet.js';
import { WEB_1, WEB_2 } from './names.js';

const IPV6 = Buffer.from('20010db8000000000000000000000010', 'hex');

test.each([
  { what: 'IPv4', mtu: 1500, addresses: [WEB_1, WEB_2], room: 1480 },
  { what: 'IPv6', mtu: 1500, addresses: [IPV6], room: 1460 },
  {
    what: 'both, of which the smaller counts',
    mtu: 1520,
    addresses: [WEB_1, IPV6],
    room: 1480,
  },
  { what: 'IPv4 in hardly any MTU', mtu: 10, addresses: [WEB_1], room: 0 },
])('$mtu bytes with $what destinations leave $room', ({ mtu, addresses, room }) => {
  expect(
    roomFor(
      mtu,
      addresses.map((address) => ({ address })),
    ),
  ).toBe(room);
});

test('is told with the MSS, which the headers of IP and TCP are not in', () => {
  expect(describeRoom(1480)).toBe(
    '  largest packet that fits: 1480 bytes; TCP MSS 1440 (IPv6 1420)',
  );
});
