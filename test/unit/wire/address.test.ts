// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import {
  ANY_ADDRESS,
  addressFault,
  compareAddresses,
  compareBytes,
  formatAddress,
  formatMac,
  isIpv6,
  parseAddress,
  parseMac,
  unusableAddress,
} from '../../../src/wire/address.js';
import { ip, mac, randomNumbers } from './names.js';

describe('address', () => {
  test.each([
    { text: '10.0.1.15', hex: '00000000000000000000ffff0a00010f' },
    { text: '0.0.0.0', hex: '00000000000000000000ffff00000000' },
    { text: '255.255.255.255', hex: '00000000000000000000ffffffffffff' },
    { text: '2001:db8::15', hex: '20010db8000000000000000000000015' },
    { text: '2001:db8:1:2:3:4:5:6', hex: '20010db8000100020003000400050006' },
    // RFC 5952: the longest run of zeros, the first of equals, never a single group.
    { text: '2001:db8:0:1:1:1:1:1', hex: '20010db8000000010001000100010001' },
    { text: '2001:0:0:1::1', hex: '20010000000000010000000000000001' },
    { text: '2001:db8::1:0:0:1', hex: '20010db8000000000001000000000001' },
    { text: '2001:db8::', hex: '20010db8000000000000000000000000' },
    { text: '::1', hex: '00000000000000000000000000000001' },
    { text: '64:ff9b::c000:20a', hex: '0064ff9b0000000000000000c000020a' },
    { text: 'fd00:abcd:ef::1', hex: 'fd00abcd00ef00000000000000000001' },
  ])('$text lies in the maps as $hex, and is written so again', ({ text, hex }) => {
    expect(parseAddress(text)?.toString('hex')).toBe(hex);
    expect(formatAddress(Buffer.from(hex, 'hex'))).toBe(text);
  });

  test.each([
    { text: '2001:DB8::00A', written: '2001:db8::a' },
    { text: '2001:0db8:0000:0000:0000:0000:0000:0001', written: '2001:db8::1' },
    { text: '2001:db8:0:0:1:0:0:1', written: '2001:db8::1:0:0:1' },
    { text: '2001:db8::0:1', written: '2001:db8::1' },
    { text: '64:ff9b::192.0.2.10', written: '64:ff9b::c000:20a' },
    { text: '1:2:3:4:5:6:1.2.3.4', written: '1:2:3:4:5:6:102:304' },
    { text: '1:2:3:4:5:6:7::', written: '1:2:3:4:5:6:7:0' },
    { text: '::2:3:4:5:6:7:8', written: '0:2:3:4:5:6:7:8' },
  ])('$text is written $written', ({ text, written }) => {
    expect(formatAddress(ip(text))).toBe(written);
  });

  test('what is written is read again as the same, for any bytes', () => {
    const random = randomNumbers(5952);
    for (let round = 0; round < 2000; round++) {
      const address = Buffer.alloc(16);
      // Many groups are zero, since that is what the form is about.
      for (let at = 0; at < 16; at += 2) {
        if (random() < 0.4) address.writeUInt16BE(Math.floor(random() * 65536), at);
      }
      if (address.equals(ANY_ADDRESS)) continue;
      const text = formatAddress(address);
      expect(parseAddress(text)).toEqual(address);
      expect(text).not.toMatch(/[A-F]|:::|(^|:)0[0-9a-f]/);
    }
  });

  test.each([
    { text: '10.0.1.15', is: false },
    { text: '2001:db8::1', is: true },
    { text: '::1', is: true },
  ])('that $text is IPv6: $is', ({ text, is }) => {
    expect(isIpv6(ip(text))).toBe(is);
  });

  test('any address is not IPv6, since it is both', () => {
    expect(isIpv6(ANY_ADDRESS)).toBe(false);
  });

  test.each([
    { text: 'web-1', fault: 'is not an IP address' },
    { text: '2001:db8', fault: 'is not an IP address' },
    {
      text: 'fe80::1%eth0',
      fault: 'names a zone, but packets have none; leave the zone out',
    },
    {
      text: '::ffff:10.0.1.15',
      fault: 'is an IPv4 address in IPv6 form; write 10.0.1.15',
    },
    {
      text: '::FFFF:a00:10f',
      fault: 'is an IPv4 address in IPv6 form; write 10.0.1.15',
    },
  ])('$text $fault', ({ text, fault }) => {
    expect(parseAddress(text)).toBeUndefined();
    expect(addressFault(text)).toBe(fault);
  });

  test.each([
    '',
    'any',
    '2001:db8',
    '2001:db8::1::2',
    '1:2:3:4:5:6:7:8:9',
    '2001:db8::10000',
    '2001:db8::g',
    '2001:db8::1%eth0',
    '2001:db8::1/64',
    '[2001:db8::1]',
    ':2001:db8::1',
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
  ])('"%s" is no address', (text) => {
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
    { text: '::', reason: 'it is the unspecified address' },
    { text: '::1', reason: 'it is a loopback address' },
    { text: '::10.0.1.15', reason: 'it is reserved (::/32)' },
    { text: '0:0:0:1::', reason: 'it is reserved (::/32)' },
    { text: 'ff02::1', reason: 'it is a multicast address' },
    { text: 'ff0e::1:2', reason: 'it is a multicast address' },
    {
      text: 'fe80::1',
      reason: 'it is a link-local address, which means another host on each link',
    },
    {
      text: 'febf:ffff::1',
      reason: 'it is a link-local address, which means another host on each link',
    },
  ])('$text cannot be used: $reason', ({ text, reason }) => {
    expect(unusableAddress(ip(text))).toBe(reason);
  });

  test.each([
    ...['1.0.0.0', '10.0.1.0', '126.255.255.255', '128.0.0.1', '223.255.255.255'],
    ...['2001:db8::', '64:ff9b::1', 'fd00::1', 'fe7f::1', 'fec0::1', 'feff::1'],
  ])('%s can be used', (text) => {
    expect(unusableAddress(ip(text))).toBeUndefined();
  });

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

  test('any comes first, then IPv4, then IPv6, each by number', () => {
    const sorted = [
      ...['9.9.9.9', '10.0.1.2', '255.255.255.255'],
      ...[
        '::2',
        '64:ff9b::1',
        '2001:db8::9',
        '2001:db8::10',
        '2001:db8:0:1::',
        'fd00::1',
      ],
    ];
    expect([...sorted].reverse().sort(compareAddresses)).toEqual(sorted);
    const any = [ip('2001:db8::1'), ANY_ADDRESS, ip('1.1.1.1')].sort(compareBytes);
    expect(any.map(formatAddress)).toEqual(['any', '1.1.1.1', '2001:db8::1']);
  });
});
