// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Whether answers find the addresses that full-nat sends from, as far as the doctor sees. */
import { describe, expect, test } from '@jest/globals';

import { examine } from '../../../src/doctor/examine.js';
import type { LinkFacts, PoolFacts } from '../../../src/doctor/facts.js';
import { balancer, facts } from './facts.js';

const ETH1: LinkFacts = {
  name: 'eth1',
  networks: [
    { address: '10.2.0.1', length: 24 },
    { address: '2001:db8::1', length: 64 },
  ],
  ...{ proxied: new Set(), arpIgnore: 0, proxyArp: false, proxyNdp: false },
  ...{ forwarding: true, forwardingIpv6: true },
};

type Place = Omit<PoolFacts['addresses'][number], 'address'>;
const NOWHERE: Place = { isLocal: false, device: undefined };
const LOCAL: Place = { isLocal: true, device: 'lo' };
const ON_LINK: Place = { isLocal: false, device: 'eth1' };
const BEHIND: Place = { isLocal: false, device: 'eth2' };

const pool = (source: string, addresses: string[], place: Place): PoolFacts => ({
  ...{ source, returned: 0n },
  addresses: addresses.map((address) => ({ address, ...place })),
});
const one = (address: string, place: Place): PoolFacts => pool(address, [address], place);

const look = (pools: PoolFacts[], link: Partial<LinkFacts> = {}) => {
  const links = [{ ...ETH1, ...link }];
  const { findings, well, unseen } = examine(
    facts({ balancer: balancer({ pools: { links, pools } }) }),
  );
  return [...findings, ...well, ...unseen].filter(({ check }) => check === 'pools');
};

const WELL = (source: string) => [
  { check: 'pools', text: `answers to ${source} find this host` },
];

test('an address on a link for which nobody answers is a finding', () => {
  expect(look([one('10.2.0.9', ON_LINK)])).toEqual([
    {
      check: 'pools',
      severity: 'finding',
      finding:
        'answers to 10.2.0.9 never arrive, as this host does not answer ARP for it on eth1',
      evidence:
        'eth1 has 10.2.0.1/24, so hosts on its link ask for 1 address of 10.2.0.9 themselves; ip route get 10.2.0.9: it is no address of this host, which does not answer for others there',
      fix: 'ip route add local 10.2.0.9 dev lo',
    },
  ]);
});

test.each<[string, PoolFacts, Partial<LinkFacts>, string]>([
  [
    'several addresses',
    pool('10.2.0.8/31', ['10.2.0.8', '10.2.0.9'], ON_LINK),
    {},
    'ip route add local 10.2.0.8/31 dev lo',
  ],
  [
    'an address of lo, where ARP is for the own ones of the device',
    one('10.2.0.9', LOCAL),
    { arpIgnore: 1 },
    'ip addr add 10.2.0.9/24 dev eth1',
  ],
  [
    'addresses where ARP is so',
    pool('10.2.0.8/31', ['10.2.0.8', '10.2.0.9'], ON_LINK),
    { arpIgnore: 2 },
    'for one in 10.2.0.8 10.2.0.9; do ip addr add $one/24 dev eth1; done',
  ],
  [
    'IPv6, where ND is always so',
    one('2001:db8::9', LOCAL),
    {},
    'ip addr add 2001:db8::9/128 dev eth1 preferred_lft 0',
  ],
  [
    'several of IPv6',
    pool('2001:db8::8/127', ['2001:db8::8', '2001:db8::9'], ON_LINK),
    { proxied: new Set(['2001:db8::9']) },
    'for one in 2001:db8::8 2001:db8::9; do ip addr add $one/128 dev eth1 preferred_lft 0; done',
  ],
  [
    'one that a host answers for which sends nothing on',
    one('10.2.0.9', BEHIND),
    { proxyArp: true, forwarding: false },
    'ip route add local 10.2.0.9 dev lo',
  ],
  [
    'one that the kernel does not answer for, as it is on that link',
    one('10.2.0.9', ON_LINK),
    { proxyArp: true, proxied: new Set(['10.2.0.9']) },
    'ip route add local 10.2.0.9 dev lo',
  ],
])('it is fixed for %s', (_, which, link, fix) => {
  expect(look([which], link)).toMatchObject([{ severity: 'finding', fix }]);
});

describe('all is well where this host answers', () => {
  test.each<[string, PoolFacts, Partial<LinkFacts>]>([
    ['as for its own', one('10.2.0.9', LOCAL), {}],
    ['as for one of the device', one('10.2.0.1', LOCAL), { arpIgnore: 2 }],
    ['by proxy_arp', one('10.2.0.9', BEHIND), { proxyArp: true }],
    ['by ip neigh', one('10.2.0.9', BEHIND), { proxied: new Set(['10.2.0.9']) }],
    ['by IPv6 as for one of the device', one('2001:db8::1', LOCAL), {}],
    [
      'by IPv6 and ip neigh',
      one('2001:db8::9', BEHIND),
      { proxied: new Set(['2001:db8::9']), proxyNdp: true },
    ],
  ])('%s', (_, which, link) => {
    expect(look([which], link)).toEqual(WELL(which.source));
  });
});

test('an address on no link cannot be judged from here until an answer came', () => {
  const outside = one('10.9.0.1', NOWHERE);
  expect(look([outside])).toEqual([
    {
      check: 'pools',
      text: '10.9.0.1: on no link of this host, so routers have to send answers here, and whether they do cannot be seen from here',
    },
  ]);
  expect(look([{ ...outside, returned: 1n }])).toEqual(WELL('10.9.0.1'));
});

test('without full-nat nothing is said', () => {
  const { well, unseen, findings } = examine(facts());
  const all = [...findings, ...well, ...unseen].map(({ check }) => check);
  expect(all).not.toContain('pools');
});
