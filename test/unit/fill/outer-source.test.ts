// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { chooseSources, ownSources } from '../../../src/fill/outer-source.js';
import { poolWarnings } from '../../../src/fill/pool-neighbours.js';
import { Failure } from '../../../src/text/failure.js';
import type { Link } from '../../../src/system/ip/links.js';
import { chosenAddresses } from '../../../src/system/ip/own.js';
import { fakeRun } from '../system/fake-run.js';
import { filled, row, untouched } from '../plan/states.js';
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

describe('the pools of full-nat', () => {
  const POOL = { address: ip('10.9.9.0'), spread: 3 };
  const POOL_6 = { address: ip('2001:db8:9::'), spread: 3 };
  const IPV4 = { ...OWN, sources: { ipv4: OWN.sources.ipv4 } };

  test('are those of the families that destinations have, and no others', () => {
    const asked = { ipv4: POOL, ipv6: POOL_6 };
    expect(chooseSources(asked, {}, IPV4, 'full-nat')).toEqual({ ipv4: POOL });
    expect(chooseSources({}, asked, IPV4, 'full-nat')).toEqual({ ipv4: POOL });
    expect(chooseSources(asked, {}, OWN, 'full-nat')).toEqual(asked);
    expect(chooseSources(asked, {}, NO_OWN, 'full-nat')).toEqual({});
  });

  test('have no address that connections of this host may have, on whatever device', () => {
    const chosen = [
      { address: '10.9.8.255', device: 'eth1' },
      { address: '10.9.9.2', device: 'eth2' },
    ];
    expect(() =>
      chooseSources({ ipv4: POOL }, {}, { ...IPV4, chosen }, 'full-nat'),
    ).toThrow(
      "10.9.9.0/30 has 10.9.9.2 of eth2, which is the host's own, and full-nat cannot send from it",
    );
    const others = chosen.slice(0, 1);
    expect(
      chooseSources({ ipv4: POOL }, {}, { ...IPV4, chosen: others }, 'full-nat'),
    ).toEqual({ ipv4: POOL });
  });

  test('may have those that the doctor puts on a device so that somebody answers for them', async () => {
    const addresses = (...all: object[]): object[] => all;
    const devices = [
      {
        ...{ ifname: 'lo', flags: ['LOOPBACK', 'UP'] },
        addr_info: addresses(
          { local: '127.0.0.1', prefixlen: 8 },
          { local: '10.9.9.1', prefixlen: 32 },
          { local: '::1', prefixlen: 128 },
        ),
      },
      {
        ...{ ifname: 'eth1', flags: ['BROADCAST', 'UP'] },
        addr_info: addresses(
          { local: '10.2.0.1', prefixlen: 24 },
          { local: '10.2.0.100', prefixlen: 24, secondary: true },
          { local: '10.3.0.1', prefixlen: 32 },
          { local: '2001:db8::2:1', prefixlen: 64 },
          { local: '2001:db8::2:64', prefixlen: 128, deprecated: true },
        ),
      },
      { ifname: 'eth2', flags: ['UP'] },
    ];
    const { run } = fakeRun({ 'ip -j addr show': JSON.stringify(devices) });
    expect(await chosenAddresses(run)).toEqual([
      { address: '127.0.0.1', device: 'lo' },
      { address: '10.2.0.1', device: 'eth1' },
      { address: '10.3.0.1', device: 'eth1' },
      { address: '2001:db8::2:1', device: 'eth1' },
    ]);
  });

  test('are warned of where a neighbour has one of their addresses', async () => {
    const blank = untouched({
      ...{ slots: 64, destinations: 8, cells: 16 },
      ...{ canRewrite: true, blocks: 8 },
    });
    const live = { ...blank, answers: new Map(), pools: [] };
    const web = { slots: 16, vip: ['192.0.2.10:80/tcp'] };
    const fullNat = { ...web, forward: 'full-nat' as const, sources: { ipv4: POOL } };
    const after = filled(live, [row('10.0.1.1')], fullNat);
    const { run } = fakeRun({
      'ip -j neigh show': JSON.stringify([
        { dst: '10.9.9.3', dev: 'eth1', lladdr: '02:00:00:00:00:09', state: ['STALE'] },
        { dst: '10.9.9.1', dev: 'eth1', state: ['FAILED'] },
        { dst: '10.9.9.4', dev: 'eth1', lladdr: '02:00:00:00:00:0a', state: ['STALE'] },
      ]),
    });
    expect(await poolWarnings(run, after)).toEqual([
      '10.9.9.3, which full-nat sends from (10.9.9.0/30), is known on eth1 with the MAC 02:00:00:00:00:09: a host that has it gets the answers; name other addresses with --source, or if it is gone: ip neigh del 10.9.9.3 dev eth1',
    ]);
    // Nobody is asked where nobody sends by full-nat.
    expect(await poolWarnings(fakeRun({}).run, live)).toEqual([]);
  });
});
