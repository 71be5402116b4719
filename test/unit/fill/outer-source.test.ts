// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { chooseSources, ownSources } from '../../../src/fill/outer-source.js';
import { Failure } from '../../../src/text/failure.js';
import type { Link } from '../../../src/system/ip/links.js';
import { BALANCER, BALANCER_6, ip } from '../wire/names.js';

const NO_OWN = { sources: {}, missing: new Map() };
const OWN = {
  sources: {
    ipv4: { address: BALANCER, spread: 0 },
    ipv6: { address: BALANCER_6, spread: 0 },
  },
  missing: new Map(),
};
const SPREAD = { address: ip('10.7.0.0'), spread: 0xffff };
const OTHER = { address: ip('10.8.0.0'), spread: 0xff };

describe('the source of a fill', () => {
  test.each([
    { what: 'a new service: the own', asked: {}, kept: {}, ipv4: OWN.sources.ipv4 },
    { what: 'nothing asked: as it is', asked: {}, kept: { ipv4: SPREAD }, ipv4: SPREAD },
    {
      what: 'one asked for',
      asked: { ipv4: OTHER },
      kept: { ipv4: SPREAD },
      ipv4: OTHER,
    },
    {
      what: 'back to the own',
      asked: { isOwn: true },
      kept: { ipv4: SPREAD },
      ipv4: OWN.sources.ipv4,
    },
  ])('$what', ({ asked, kept, ipv4 }) => {
    // The other family goes its own way.
    expect(chooseSources(asked, kept, OWN, 'tunnel')).toEqual({
      ipv4,
      ipv6: OWN.sources.ipv6,
    });
  });

  test('own and an address: that address in its family, the own in the other', () => {
    const kept = { ipv4: SPREAD, ipv6: { address: ip('2001:db8::700'), spread: 0xff } };
    expect(chooseSources({ isOwn: true, ipv4: OTHER }, kept, OWN, 'tunnel')).toEqual({
      ipv4: OTHER,
      ipv6: OWN.sources.ipv6,
    });
  });

  test('a family that nobody is of needs none', () => {
    expect(chooseSources({}, {}, NO_OWN, 'tunnel')).toEqual({});
  });
});

test('a service without a tunnel has no source, and needs none', () => {
  const missing = new Map([['ipv4', new Failure('none')] as const]);
  expect(chooseSources({}, {}, { sources: {}, missing }, 'link')).toEqual({});
});

describe('a device without an address of its own', () => {
  const LINK = {
    name: 'ens4',
    addresses: { ipv4: undefined, ipv6: '2001:db8::4' },
  } as Link;
  const row = { place: 'web.csv:3', address: '10.0.1.15', mac: undefined, weight: 1 };

  test('does with a source that is asked for, or kept', () => {
    const own = ownSources(LINK, [row]);
    expect(chooseSources({ ipv4: SPREAD }, {}, own, 'tunnel')).toEqual({ ipv4: SPREAD });
    expect(chooseSources({}, { ipv4: SPREAD }, own, 'tunnel')).toEqual({ ipv4: SPREAD });
  });

  test.each([
    { what: 'has none to give', asked: {}, kept: {} },
    { what: 'nor to go back to', asked: { isOwn: true }, kept: { ipv4: SPREAD } },
  ])('$what, and the row that needs it is named', ({ asked, kept }) => {
    const own = ownSources(LINK, [row]);
    expect(() => chooseSources(asked, kept, own, 'tunnel')).toThrow(
      'ens4 has no IPv4 address to send from',
    );
    expect(own.missing.get('ipv4')?.advice.cause).toMatch(/^web\.csv:3: 10\.0\.1\.15 /);
  });
});
