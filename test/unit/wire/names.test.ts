// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import {
  bitsOfNames,
  bitsOfNumber,
  formatNames,
  isInNames,
  joinNames,
  namingSource,
  numberOf,
  parseNames,
} from '../../../src/wire/names.js';
import { formatAddress } from '../../../src/wire/address.js';
import { ip } from './names.js';

describe('a prefix of sources that name destinations', () => {
  test.each([
    ['10.0.0.0/8', 12],
    ['10.7.0.0/16', 8],
    ['192.0.2.0/24', 4],
    ['fd00:7::/96', 16],
    ['fd00:7::/112', 8],
    ['fd00:7::/120', 4],
  ])('%s has numbers of %i bits', (text, bits) => {
    expect(bitsOfNumber(parseNames(text))).toBe(bits);
    expect(formatNames(parseNames(text))).toBe(text);
  });

  test.each([
    ['10.7.0.0', 'an even length from /8 to /24'],
    ['10.7.0.0/6', 'an even length from /8 to /24'],
    ['10.7.0.0/15', 'an even length from /8 to /24'],
    ['10.7.0.0/26', 'an even length from /8 to /24'],
    ['10.7.0.0/16/2', 'an even length from /8 to /24'],
    ['fd00:7::/64', 'an even length from /96 to /120'],
    ['names', 'is not an IP address'],
    ['0.0.0.0/8', 'cannot hold sources: it stands for "this network"'],
    ['127.0.0.0/8', 'cannot hold sources: it is a loopback address'],
    ['224.0.0.0/8', 'cannot hold sources: it is a multicast address'],
    ['255.0.0.0/8', 'cannot hold sources: it is a reserved or broadcast address'],
    ['ff02::/96', 'cannot hold sources: it is a multicast address'],
    ['::/96', 'cannot hold sources: it is reserved'],
    ['10.7.0.1/16', 'has bits set after its length; write 10.7.0.0/16'],
    ['fd00:7::1:1/112', 'has bits set after its length; write fd00:7::1:0/112'],
  ])('%s is refused', (text, message) => {
    expect(() => parseNames(text)).toThrow(message);
  });

  test('each family has one', () => {
    const [one, other] = [parseNames('10.7.0.0/16'), parseNames('fd00:7::/112')];
    expect(joinNames([one, other])).toEqual({ ipv4: one, ipv6: other });
    expect(() => joinNames([one, parseNames('10.8.0.0/16')])).toThrow(
      'two prefixes of IPv4',
    );
  });
});

test.each([
  ['10.7.0.0/16', '10.7.255.1', true],
  ['10.7.0.0/16', '10.8.0.1', false],
  ['10.0.0.0/8', '10.0.1.1', true],
  ['fd00:7::/112', 'fd00:7::1', true],
  ['fd00:7::/112', 'fd00:7::1:0', false],
  ['fd00:7::/96', '10.7.0.1', false],
])('in %s lies %s: %s', (prefix, address, isIn) => {
  expect(isInNames(parseNames(prefix), ip(address))).toBe(isIn);
});

describe('a source that names destinations', () => {
  test.each([
    ['10.7.0.0/16', '10.0.1.5', '10.0.1.9', '10.7.9.5'],
    ['10.0.0.0/8', '10.0.1.5', '10.0.2.9', '10.32.145.5'],
    ['fd00:7::/96', 'fd00::1:5', 'fd00::2:9', 'fd00:7::9:5'],
    ['fd00:7::/112', 'fd00::1:5', 'fd00::2:9', 'fd00:7::905'],
  ])('behind %s holds the numbers of %s and %s: %s', (text, first, second, source) => {
    const prefix = parseNames(text);
    const [one, two] = [numberOf(prefix, ip(first)), numberOf(prefix, ip(second))];
    expect(formatAddress(namingSource(prefix, bitsOfNames(prefix, one, two)))).toBe(
      source,
    );
  });

  test('without a first one names nobody', () => {
    expect(bitsOfNames(parseNames('10.7.0.0/16'), 0, 9)).toBe(0);
  });
});
