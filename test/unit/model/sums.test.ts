// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Checksums as a receiver judges them, on frames from books and frames that are wrong. */
import { describe, expect, test } from '@jest/globals';

import { sumsOf, wrongInnerSums, wrongSums } from '../../../src/model/sums.js';
import {
  CLIENT,
  CLIENT_MAC,
  CLIENT_V6,
  ETHERNET,
  SERVICE,
  SERVICE_V6,
  UDP,
  UDP_FRAME,
  UDP_V6,
  bytes,
} from './tables.js';

const echo = (sum: string, rest = '0000 0000'): Buffer =>
  bytes(
    `${ETHERNET} 0800 4500001c 00000000 4001 7ccf ${CLIENT} ${SERVICE} ${sum} ${rest}`,
  );
const echoV6 = (sum: string): Buffer =>
  bytes(
    `${ETHERNET} 86dd 60000000 0008 3a ff ${CLIENT_V6} ${SERVICE_V6} ${sum} 0007 0001`,
  );
/** 10.0.0.4 to 10.0.1.15, with the example in front. */
const tunnel = (header: string): Buffer =>
  bytes(`${ETHERNET} 0800 ${header} 0a000004 0a00010f ${UDP}`);

describe('the sums of a frame', () => {
  test.each<[string, Buffer, Record<string, boolean>]>([
    ['UDP has none of ours but the header', UDP_FRAME, { 'the IPv4 header': true }],
    ['IPv6 has no header sum', bytes(`${ETHERNET} 86dd ${UDP_V6}`), {}],
    ['an echo request', echo('0800 f7ff'), { 'the IPv4 header': true, ICMP: true }],
    ['a reply of zeros', echo('0000 ffff'), { 'the IPv4 header': true, ICMP: true }],
    ['one with a sum of 0', echo('0000 0000'), { 'the IPv4 header': true, ICMP: false }],
    [
      'one that is off by one',
      echo('0800 f7fe'),
      { 'the IPv4 header': true, ICMP: false },
    ],
    // 0 and 0xffff are the same where anything else is not 0.
    [
      'either zero',
      echo('0000 ffff', 'ffff 0000'),
      { 'the IPv4 header': true, ICMP: true },
    ],
    [
      'the other',
      echo('0000 0000', 'ffff 0000'),
      { 'the IPv4 header': true, ICMP: true },
    ],
    ['ICMPv6, with its addresses', echoV6('8000 242b'), { ICMPv6: true }],
    ['ICMPv6 without them', echoV6('8000 7ff7'), { ICMPv6: false }],
    ['ARP', bytes(`${ETHERNET} 0806 00`), {}],
  ])('%s', (_, frame, sums) => {
    expect(
      Object.fromEntries(sumsOf(frame).map(({ of, isRight }) => [of, isRight])),
    ).toEqual(sums);
  });

  test('padding is not counted in, nor is a fragment judged', () => {
    expect(sumsOf(Buffer.concat([echo('0800 f7ff'), Buffer.alloc(9, 7)]))).toEqual(
      sumsOf(echo('0800 f7ff')),
    );
    const piece = echo('0800 f7fe');
    piece.writeUInt16BE(0x2000, 20);
    expect(sumsOf(piece).map(({ of }) => of)).toEqual(['the IPv4 header']);
  });
});

describe('what is wrong', () => {
  const RIGHT = tunnel('45000030 00004000 4004 25b8');
  const WRONG = tunnel('45000030 00004000 4004 25b7');

  test('a header that the program made is right', () => {
    expect(wrongSums(UDP_FRAME, RIGHT, 'balanced')).toEqual([]);
    expect(wrongSums(UDP_FRAME, WRONG, 'balanced')).toEqual([
      'checksum of the IPv4 header: wrong',
    ]);
  });

  test('a packet that goes by the link is as right or wrong as it came', () => {
    expect(wrongSums(RIGHT, RIGHT, 'balanced')).toEqual([]);
    expect(wrongSums(WRONG, WRONG, 'balanced')).toEqual([]);
    expect(wrongSums(RIGHT, WRONG, 'balanced')).toEqual([
      'checksum of the IPv4 header: wrong',
    ]);
  });

  test('an answer is as right or wrong as its question', () => {
    const reply = (sum: string): Buffer => {
      const frame = echo(sum);
      bytes(CLIENT_MAC).copy(frame);
      return frame;
    };
    const verdict = 'echo answered';
    expect(wrongSums(echo('0800 f7ff'), reply('0000 ffff'), verdict)).toEqual([]);
    expect(wrongSums(echo('0800 f7ff'), reply('0000 0000'), verdict)).toEqual([
      'checksum of ICMP: wrong',
    ]);
    expect(wrongSums(echo('0800 1234'), reply('0000 ffff'), verdict)).toEqual([
      'checksum of ICMP: right, and was wrong',
    ]);
    expect(wrongSums(echo('0800 1234'), reply('0000 1a34'), verdict)).toEqual([]);
  });

  test('what passes is not judged', () => {
    expect(wrongSums(WRONG, WRONG, 'not ours')).toEqual([]);
  });

  test('the inner header is as it was, behind the outer one', () => {
    expect(wrongInnerSums(WRONG, UDP_FRAME)).toEqual([]);
    const broken = Buffer.from(UDP_FRAME);
    broken.writeUInt8(1, 15);
    expect(wrongInnerSums(RIGHT, broken)).toEqual(['checksum of the IPv4 header: wrong']);
    const wrongFirst = Buffer.from(RIGHT);
    wrongFirst.writeUInt8(1, 35);
    expect(wrongInnerSums(wrongFirst, UDP_FRAME)).toEqual([
      'checksum of the IPv4 header: right, and was wrong',
    ]);
  });
});
