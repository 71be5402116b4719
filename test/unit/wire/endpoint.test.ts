// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import {
  compareEndpoints,
  formatEndpoint,
  parseEndpoint,
  sameEndpoint,
  sortedByName,
} from '../../../src/wire/endpoint.js';

describe('a destination as people write it', () => {
  test.each([
    '10.0.1.1',
    '10.0.1.1:8080',
    'fd00::1',
    '[fd00::1]:8080',
    'local:127.0.0.23:223',
    'local:[::1]:65535',
  ])('%s has this one form', (text) => {
    expect(formatEndpoint(parseEndpoint(text))).toBe(text);
  });

  test('is read in other forms, too', () => {
    const written = ['[fd00::1]', 'FD00:0::1', '[10.0.1.1]', '[fd00:0::1]:80'];
    expect(written.map((text) => formatEndpoint(parseEndpoint(text)))).toEqual([
      'fd00::1',
      'fd00::1',
      '10.0.1.1',
      '[fd00::1]:80',
    ]);
  });

  test.each([
    ['', '"" is not an IP address'],
    ['host:80', '"host:80" is not an IP address'],
    ['10.0.1.1:', '"10.0.1.1:" has no port from 1 to 65535 behind its address'],
    ['10.0.1.1:0', '"10.0.1.1:0" has no port'],
    ['10.0.1.1:080', 'has no port'],
    ['10.0.1.1:65536', 'has no port'],
    ['10.0.1.1:80:80', 'is not an IP address'],
    ['[fd00::1', 'is not an IP address'],
    ['[fd00::1]80', 'is not an IP address'],
    ['[[fd00::1]]:80', 'is not an IP address'],
    ['[fe80::1%eth0]:80', 'names a zone'],
    [
      '127.0.0.23:223',
      '127.0.0.23:223 cannot be a destination: it is a loopback address',
    ],
    ['224.0.0.1:80', 'it is a multicast address'],
    ['local:', '"local:" is not an IP address'],
    ['local:10.0.1.1:99999', 'has no port'],
  ])('%j is refused', (text, reason) => {
    expect(() => parseEndpoint(text)).toThrow(reason);
  });

  test('differs by port, and by being local', () => {
    const [one, other] = ['10.0.1.1:80', '10.0.1.1:81'].map(parseEndpoint);
    if (!one || !other) throw new Error('there are two');
    expect(sameEndpoint(one, other)).toBe(false);
    expect(sameEndpoint(one, { ...one, forward: 'nat' })).toBe(true);
    expect(sameEndpoint(one, { ...one, forward: 'local' })).toBe(false);
    expect(sameEndpoint({ ...one, port: 0 }, { address: one.address })).toBe(true);
  });

  test('is sorted by number', () => {
    const sorted = ['10.0.1.2', '10.0.1.2:9', '10.0.1.2:80', '10.0.1.10', 'fd00::1'];
    const reversed = [...sorted].reverse();
    expect(sortedByName(reversed, (text) => text)).toEqual(sorted);
    expect(sortedByName(['10.0.1.2', 'any'], (text) => text)).toEqual([
      'any',
      '10.0.1.2',
    ]);
    const [first = '', second = ''] = sorted;
    expect(compareEndpoints(parseEndpoint(first), parseEndpoint(second))).toBeLessThan(0);
  });
});
