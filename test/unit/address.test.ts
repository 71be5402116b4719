// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import {
  ANY_ADDRESS,
  compareAddresses,
  formatAddress,
  formatMac,
  parseAddress,
  parseMac,
  unusableAddress,
} from '../../src/address.js';
import { ip, mac } from './names.js';

describe('address', () => {
  test.each([
    { text: '10.0.1.15', hex: '00000000000000000000ffff0a00010f' },
    { text: '0.0.0.0', hex: '00000000000000000000ffff00000000' },
    { text: '255.255.255.255', hex: '00000000000000000000ffffffffffff' },
  ])('$text lies in the maps as $hex, and is written so again', ({ text, hex }) => {
    expect(parseAddress(text)?.toString('hex')).toBe(hex);
    expect(formatAddress(Buffer.from(hex, 'hex'))).toBe(text);
  });

  test.each([
    '',
    'any',
    '10.0.1',
    '10.0.1.256',
    '10.0.1.15.1',
    '10.0.1.015',
    '0x0a.0.1.15',
    ' 10.0.1.15',
    '10.0.1.15\n',
    '10.0.1.15/24',
    '10.0.1.-1',
    '::ffff:10.0.1.15',
    'example.org',
  ])('"%s" is no IPv4 address', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  test('16 zero bytes are any address, and not 0.0.0.0', () => {
    expect(formatAddress(ANY_ADDRESS)).toBe('any');
    expect(ANY_ADDRESS.equals(ip('0.0.0.0'))).toBe(false);
  });

  test.each([
    { text: '0.0.0.0', reason: 'it stands for "this network" (0.0.0.0/8)' },
    { text: '0.255.255.255', reason: 'it stands for "this network" (0.0.0.0/8)' },
    { text: '127.0.0.1', reason: 'it is a loopback address' },
    { text: '224.0.0.1', reason: 'it is a multicast address' },
    { text: '239.255.255.255', reason: 'it is a multicast address' },
    { text: '240.0.0.1', reason: 'it is a reserved or broadcast address' },
    { text: '255.255.255.255', reason: 'it is a reserved or broadcast address' },
  ])('$text cannot be used: $reason', ({ text, reason }) => {
    expect(unusableAddress(ip(text))).toBe(reason);
  });

  test.each(['1.0.0.0', '10.0.1.0', '126.255.255.255', '128.0.0.1', '223.255.255.255'])(
    '%s can be used',
    (text) => {
      expect(unusableAddress(ip(text))).toBeUndefined();
    },
  );

  test.each([
    { text: '02:00:0a:00:01:0f', written: '02:00:0a:00:01:0f' },
    { text: '02-00-0A-00-01-0F', written: '02:00:0a:00:01:0f' },
    { text: 'FF:FF:FF:FF:FF:FF', written: 'ff:ff:ff:ff:ff:ff' },
  ])('the MAC address $text is written $written', ({ text, written }) => {
    expect(formatMac(mac(text))).toBe(written);
    expect(mac(text).toString('hex')).toBe(written.replaceAll(':', ''));
  });

  test.each([
    '',
    '02:00:0a:00:01',
    '02:00:0a:00:01:0f:00',
    '02:00-0a:00-01:0f',
    '2:0:a:0:1:f',
    '02000a00010f',
    '0200.0a00.010f',
    '02:00:0a:00:01:0g',
    ' 02:00:0a:00:01:0f',
    '02:00:0a:00:01:0f\n',
  ])('"%s" is no MAC address', (text) => {
    expect(parseMac(text)).toBeUndefined();
  });

  test('addresses are sorted by number, not by letter', () => {
    const sorted = ['9.9.9.9', '10.0.1.2', '10.0.1.15', '10.0.9.1', '10.0.10.1'];
    expect([...sorted].reverse().sort(compareAddresses)).toEqual(sorted);
    expect(compareAddresses('10.0.1.2', '10.0.1.2')).toBe(0);
  });
});
