// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The configurations that we print, and what BIRD says of them where it is installed. */
import { describe, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { BalancerRouting } from '../../../../src/fleet/announce/bird.js';
import { birdOfBalancer } from '../../../../src/fleet/announce/bird.js';
import { frrOfRouter } from '../../../../src/fleet/announce/frr.js';
import type { RouterRouting } from '../../../../src/fleet/announce/router.js';
import { birdOfRouter } from '../../../../src/fleet/announce/router.js';
import { run, runIfThere } from '../../../../src/system/run.js';
import { Unseen } from '../../../../src/text/unseen.js';

const BALANCER: BalancerRouting = {
  routerId: '10.1.1.2',
  device: 'eth0',
  addresses: { ipv4: '10.1.1.2', ipv6: 'fd00:1:1::2' },
  as: 65100,
  routers: [{ address: '10.1.1.1', as: 65000 }],
  prefixes: ['198.51.100.0/24', '2001:db8:100::10'],
};

const ROUTER: RouterRouting = {
  routerId: '10.255.0.1',
  as: 65000,
  devices: ['b*'],
  balancers: [
    { name: 'lb-1', address: '10.1.1.2', as: 65100 },
    { name: 'router', address: '10.1.2.2', as: 65100 },
  ],
  prefixes: ['198.51.100.0/24', '2001:db8:100::/64'],
};

const CONFIGURATIONS = [
  { what: 'a balancer', text: birdOfBalancer(BALANCER) },
  {
    what: 'a balancer of IPv6 alone, with two routers',
    text: birdOfBalancer({
      ...BALANCER,
      addresses: { ipv6: 'fd00:1:1::2' },
      routers: [
        { address: 'fd00:1:1::1', as: 65000 },
        { address: 'fd00:1:2::1', as: 4_200_000_000 },
      ],
      prefixes: ['2001:db8:100::/64'],
      table: 4242,
      bfd: { interval: 300, multiplier: 5 },
      hold: 30,
      logFile: '/var/log/bird-1.log',
    }),
  },
  { what: 'a router', text: birdOfRouter(ROUTER) },
  {
    what: 'a router of IPv4 alone',
    text: birdOfRouter({
      ...ROUTER,
      devices: ['*'],
      prefixes: ['198.51.100.10'],
      logFile: '/tmp/r.log',
    }),
  },
];

test.each(CONFIGURATIONS)('$what has this configuration', ({ text }) => {
  expect(text).toMatchSnapshot();
});

test('a router with FRR has this configuration', () => {
  expect(frrOfRouter(ROUTER)).toMatchSnapshot();
});

test.each(CONFIGURATIONS)('BIRD reads that of $what', async ({ text }) => {
  const folder = mkdtempSync(join(tmpdir(), 'bird-test-'));
  try {
    const file = join(folder, 'bird.conf');
    writeFileSync(file, text);
    const said = await runIfThere(run, 'bird', ['-p', '-c', file]);
    if (said instanceof Unseen) {
      if (process.env.CI) throw new Error(`this test needs BIRD: ${said.why}`);
      console.warn(`skipped: ${said.why}. Install it: ./setup.sh test`);
      return;
    }
    expect(said).toEqual({ exitCode: 0, stdout: '', stderr: '' });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the guide shows these configurations', () => {
  const page = readFileSync('docs/guide/fleet.md', 'utf8');
  const prefixes = ['198.51.100.0/24'];
  const balancers = [
    { name: 'lb1', address: '10.1.1.2', as: 65100 },
    { name: 'lb2', address: '10.1.2.2', as: 65100 },
  ];
  const router = { ...ROUTER, prefixes, balancers };
  const addresses = { ipv4: '10.1.1.2' };
  for (const text of [
    birdOfBalancer({ ...BALANCER, prefixes, addresses }),
    birdOfRouter(router),
    frrOfRouter(router),
  ]) {
    expect(page).toContain(text);
  }
});

describe('what cannot stand in a configuration is refused', () => {
  test.each<{ what: Partial<BalancerRouting>; why: string }>([
    {
      what: { routerId: 'fd00::1' },
      why: 'the router id fd00::1 is not an IPv4 address',
    },
    {
      what: { routerId: '10.0.0.1; include "/etc/shadow"' },
      why: 'is not an IP address',
    },
    { what: { device: 'eth0" { }; #' }, why: 'the name of a device' },
    { what: { as: 0 }, why: 'the AS number of the balancer is 0, not a whole number' },
    { what: { as: 1.5 }, why: 'the AS number of the balancer is 1.5' },
    { what: { routers: [] }, why: 'there is no router to announce to' },
    { what: { routers: [{ address: 'r', as: 1 }] }, why: 'the router "r" is not an IP' },
    { what: { prefixes: [] }, why: 'there is no address to announce' },
    { what: { prefixes: ['198.51.100.1/24'] }, why: 'has bits set after its length' },
    { what: { prefixes: ['198.51.100.0/33'] }, why: 'neither an address nor' },
    { what: { prefixes: ['198.51.100.0/24/1'] }, why: 'neither an address nor' },
    { what: { prefixes: ['0.0.0.0/0'] }, why: 'it stands for "this network"' },
    {
      what: { addresses: { ipv4: '10.1.1.2' } },
      why: 'the balancer has no IPv6 address',
    },
    { what: { addresses: { ipv6: 'fd00::2' } }, why: 'the balancer has no IPv4 address' },
    {
      what: {
        routers: [{ address: 'fd00::1', as: 1 }],
        prefixes: ['198.51.100.1'],
        addresses: { ipv4: '10.1.1.2' },
      },
      why: 'no address of the family of its router fd00::1',
    },
    { what: { table: 254 }, why: "table 254 is the kernel's own" },
    { what: { bfd: { interval: 1, multiplier: 3 } }, why: 'the interval of BFD is 1' },
    {
      what: { bfd: { interval: 100, multiplier: 1 } },
      why: 'the multiplier of BFD is 1',
    },
    { what: { hold: 1 }, why: 'the hold time is 1' },
    { what: { logFile: 'a"b' }, why: 'the name of a file' },
  ])('$what', ({ what, why }) => {
    expect(() => birdOfBalancer({ ...BALANCER, ...what })).toThrow(why);
  });

  test('by a router, too', () => {
    expect(() => birdOfRouter({ ...ROUTER, balancers: [] })).toThrow('no balancer');
    expect(() => frrOfRouter({ ...ROUTER, balancers: [] })).toThrow('no balancer');
    const name = 'x'.repeat(60);
    const balancers = [{ name, address: '10.1.1.2', as: 1 }];
    expect(() => birdOfRouter({ ...ROUTER, balancers })).toThrow('is too long');
  });
});
