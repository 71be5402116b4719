// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { combineEcn, decap } from '../../../src/model/decap.js';
import {
  BALANCER,
  BALANCER_V6,
  DESTINATION,
  DESTINATION_V6,
  ETHERNET,
  UDP,
  UDP_V6,
  bytes,
  mapped,
} from './tables.js';

const ADDRESSES = [mapped(DESTINATION), bytes(DESTINATION_V6)];
const outer = (inner = UDP, protocol = '04', head = '45000030 00004000'): string =>
  `${ETHERNET} 0800 ${head} 40${protocol}25b8 ${BALANCER} ${DESTINATION} ${inner}`;
const outerV6 = (inner = UDP_V6, next = '29', length = '0030'): string =>
  `${ETHERNET} 86dd 60012345 ${length} ${next} 40 ${BALANCER_V6} ${DESTINATION_V6} ${inner}`;

describe('decapsulation', () => {
  test.each<[string, string, string]>([
    ['IPv4 in IPv4', outer(), `${ETHERNET} 0800 ${UDP}`],
    ['with padding', `${outer()} 00ee`, `${ETHERNET} 0800 ${UDP} 00ee`],
    [
      'IPv6 in IPv4',
      outer(UDP_V6, '29', '45000044 00004000'),
      `${ETHERNET} 86dd ${UDP_V6}`,
    ],
    ['IPv6 in IPv6', outerV6(), `${ETHERNET} 86dd ${UDP_V6}`],
    [
      'IPv4 in IPv6 with a tag',
      outerV6(UDP, '04', '001c').replace('86dd', '81000064 86dd'),
      `${ETHERNET} 81000064 0800 ${UDP}`,
    ],
    [
      // ECT(0) becomes CE: a word grows by one, and its checksum falls by one.
      'congestion on the way',
      outer(UDP.replace('4500001c', '4502001c').replace('3cbf', '3cbd')).replace(
        '45000030',
        '45030030',
      ),
      `${ETHERNET} 0800 ${UDP.replace('4500001c', '4503001c').replace('3cbf', '3cbc')}`,
    ],
    [
      'congestion on the way, in IPv6',
      outerV6(UDP_V6.replace('6000', '6010')).replace('60012345', '60312345'),
      `${ETHERNET} 86dd ${UDP_V6.replace('6000', '6030')}`,
    ],
  ])('%s', (_, frame, expected) => {
    expect(decap(ADDRESSES, bytes(frame))).toEqual({
      verdict: 'decapsulated',
      action: 'PASS',
      frame: bytes(expected),
    });
  });

  test.each<[string, string, string]>([
    ['not ipip', 'UDP', `${ETHERNET} 0800 ${UDP}`],
    ['not ipip', 'ARP', `${ETHERNET} 0806 00`],
    ['not ipip', 'a fragment', outer().replace('00004000', '00002000')],
    ['not ipip', 'an outer header cut short', outer().slice(0, 60)],
    ['not this host', 'another', outer().replace(DESTINATION, '0a000110')],
    ['not ipip', 'an outer header of four words', outer().replace('4500', '4400')],
    ['malformed', 'a length beyond the frame', outer().replace('45000030', '45000031')],
    [
      'malformed',
      'an inner length beyond the outer',
      outer().replace('45000030', '4500002f'),
    ],
    ['malformed', 'IPv6 announced as IPv4', outerV6(UDP_V6, '04')],
    ['malformed', 'an inner header cut short', outerV6(UDP_V6, '29', '0027')],
    ['ecn', 'congestion that cannot be told on', outer().replace('45000030', '45030030')],
  ])('%s: %s', (verdict, _, frame) => {
    const answer = decap(ADDRESSES, bytes(frame));
    expect(answer.verdict).toBe(verdict);
    expect(answer.action).toBe(verdict.startsWith('not') ? 'PASS' : 'DROP');
    expect(answer.frame).toEqual(bytes(frame));
  });

  test('without addresses every one is its own', () => {
    const frame = bytes(outer().replace(DESTINATION, '0a000110'));
    expect(decap(undefined, frame).verdict).toBe('decapsulated');
  });

  test('ECN is combined as in figure 4 of RFC 6040', () => {
    // Rows: inner not-ECT, ECT(1), ECT(0), CE; columns: outer, in the same order.
    expect(
      [0, 1, 2, 3].map((inner) => [0, 1, 2, 3].map((out) => combineEcn(inner, out))),
    ).toEqual([
      [0, 0, 0, undefined],
      [1, 1, 1, 3],
      [2, 1, 2, 3],
      [3, 3, 3, 3],
    ]);
  });
});
