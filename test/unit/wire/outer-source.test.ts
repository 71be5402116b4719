// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { Fault, tryParse } from '../../../src/text/fault.js';
import {
  familyOf,
  familyOfText,
  formatSource,
  joinSources,
  parseSource,
  sourcesIn,
} from '../../../src/wire/outer-source.js';
import { BALANCER, BALANCER_6, WEB_1, WEB_2, WEB_6, ip } from './names.js';

describe('a source', () => {
  test.each([
    { text: '10.0.0.4', address: '10.0.0.4', spread: 0 },
    { text: '10.0.0.4/32', address: '10.0.0.4', spread: 0, written: '10.0.0.4' },
    { text: '10.0.0.4/31', address: '10.0.0.4', spread: 1 },
    { text: '10.7.5.0/24', address: '10.7.5.0', spread: 0xff },
    { text: '10.7.0.0/16', address: '10.7.0.0', spread: 0xffff },
    { text: '2001:db8::4', address: '2001:db8::4', spread: 0 },
    {
      text: '2001:DB8::4/128',
      address: '2001:db8::4',
      spread: 0,
      written: '2001:db8::4',
    },
    { text: '2001:db8::700/120', address: '2001:db8::700', spread: 0xff },
    { text: '2001:db8::7:0/112', address: '2001:db8::7:0', spread: 0xffff },
  ])('$text is $address with the mask $spread', ({ text, address, spread, written }) => {
    expect(parseSource(text)).toEqual({ address: ip(address), spread });
    expect(formatSource(parseSource(text))).toBe(written ?? text);
  });

  test.each([
    { text: 'ens4', fault: 'is not an IP address' },
    { text: '', fault: 'is not an IP address' },
    {
      text: '::ffff:10.0.0.4',
      fault: 'is an IPv4 address in IPv6 form; write 10.0.0.4',
    },
    { text: '224.0.0.1', fault: 'cannot be a source: it is a multicast address' },
    {
      text: 'fe80::4',
      fault:
        'cannot be a source: it is a link-local address, which means another host on each link',
    },
    { text: '10.0.0.0/15', fault: 'does not end in a length from /16 to /32' },
    { text: '10.0.0.0/33', fault: 'does not end in a length from /16 to /32' },
    { text: '10.0.0.0/', fault: 'does not end in a length from /16 to /32' },
    { text: '10.0.0.0/24/24', fault: 'does not end in a length from /16 to /32' },
    { text: '10.0.0.0/255.255.0.0', fault: 'does not end in a length from /16 to /32' },
    { text: '2001:db8::/64', fault: 'does not end in a length from /112 to /128' },
    {
      text: '10.7.5.4/24',
      fault: 'has bits set after its length; write 10.7.5.0/24',
    },
    {
      text: '2001:db8::7:1/112',
      fault: 'has bits set after its length; write 2001:db8::7:0/112',
    },
  ])('"$text" $fault', ({ text, fault }) => {
    expect(tryParse(() => parseSource(text))).toEqual(new Fault(`"${text}" ${fault}`));
  });
});

describe('sources', () => {
  test('are one for each family', () => {
    const [four, six] = [parseSource('10.0.0.4'), parseSource('2001:db8::4')];
    expect(joinSources([six, four])).toEqual({ ipv4: four, ipv6: six });
    expect(joinSources([six])).toEqual({ ipv6: six });
    expect(joinSources([])).toEqual({});
    expect(joinSources([six, four, six])).toBeUndefined();
  });

  test('of entries are those of the first of each family', () => {
    const entries = [
      { address: WEB_1, source: BALANCER, spread: 0 },
      { address: WEB_6, source: BALANCER_6, spread: 0xff },
      { address: WEB_2, source: WEB_1, spread: 1 },
    ].map((entry) => ({ ...entry, forward: 'tunnel' as const }));
    expect(sourcesIn(entries)).toEqual({
      ipv4: { address: BALANCER, spread: 0 },
      ipv6: { address: BALANCER_6, spread: 0xff },
    });
  });

  test('the family is told by the text as by the bytes', () => {
    expect([WEB_1, WEB_6].map(familyOf)).toEqual(['ipv4', 'ipv6']);
    expect(['10.0.1.15', '2001:db8:1::15'].map(familyOfText)).toEqual(['ipv4', 'ipv6']);
  });
});
