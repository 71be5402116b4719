// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What --status says of a balancer's services. */
import { expect, test } from '@jest/globals';

import { isHot } from '../../../src/plan/hot-slots.js';
import type { State } from '../../../src/plan/state.js';
import { describeStatus, statusJson, tablesStatus } from '../../../src/load/status.js';
import { must } from '../../../src/text/must.js';
import { Unseen } from '../../../src/text/unseen.js';
import { ip } from '../wire/names.js';
import type { Ports } from '../../../src/plan/port-use.js';
import { usedPools } from '../../../src/plan/pools.js';
import { applyConfig } from '../plan/configs.js';
import { PORTABLE, SMALL, untouched } from '../plan/states.js';

const service = (port: number, remember: string, weight: number): string =>
  `[[service]]
name = "on ${port}"
ways = ["192.0.2.10:${port}/tcp"]
slots = 16
remember = "${remember}"
destinations = ["10.0.1.1", { address = "10.0.1.2", weight = ${weight} }]
`.replace('on ', 'on-');

function statusOf(live: State): Parameters<typeof describeStatus>[1] {
  const head = { id: 7, name: 'l4lb_2', mode: 'xdpdrv', loadedAt: 0 } as const;
  return { programs: [{ ...head, build: 'host', ...tablesStatus(live) }] };
}

const both = (weight: number): string =>
  `names = "10.7.0.0/16"\n${service(80, 'destinations', weight)}${service(81, 'balancer', 1)}`;

test('each service says who remembers, and how many slots are hot', () => {
  const sizes = { ...SMALL, cells: 1024 };
  const live = applyConfig(applyConfig(untouched(sizes), both(1), 10), both(0), 20);
  const hot = [...live.slots.values()].filter(isHot).length;
  expect(hot).toBeGreaterThan(0);
  const status = statusOf(live);
  expect(describeStatus('eth0', status)).toEqual([
    'eth0 [Driver] l4lb_2 (program 7, host), loaded 1970-01-01 00:00:00 UTC',
    `  192.0.2.10:80/tcp: 2 destinations in 16 slots, ${hot} hot; destinations remember`,
    '  192.0.2.10:81/tcp: 2 destinations in 16 slots, 0 hot; the balancer remembers',
    '  names destinations by 10.7.0.0/16',
  ]);
  expect(statusJson('eth0', { time: 0, ...status })).toMatchObject({
    programs: [
      {
        names: ['10.7.0.0/16'],
        services: [
          { remember: 'destinations', slots_hot: hot },
          { remember: 'balancer', slots_hot: 0 },
        ],
      },
    ],
  });
});

test('a service without a tunnel says how it forwards', () => {
  const text = service(80, 'balancer', 1).replace('slots', 'forward = "link"\nslots');
  const status = statusOf(applyConfig(untouched(), text, 10));
  expect(describeStatus('eth0', status)[1]).toMatch(/ in 16 slots, forward link, 0 hot;/);
  expect(status.programs[0]).toMatchObject({ services: [{ forward: 'link' }] });
});

test('a service of full-nat says how many of its ports are taken', () => {
  const live = applyConfig(untouched(), service(80, 'balancer', 1), 10);
  const source = { source: ip('10.0.9.0'), spread: 1, block: 2 };
  const entries = [...live.destinations].map(
    ([id, entry]) => [id, { ...entry, ...source, forward: 'full-nat' }] as const,
  );
  const tables: State = { ...live, destinations: new Map(entries) };
  const [pool] = usedPools(tables.destinations.values());
  const use = { ...must(pool, 'a pool'), seen: 100, taken: 12, established: 10 };
  const shown = (ports: Ports): Parameters<typeof describeStatus>[1] => {
    const head = { id: 7, name: 'l4lb_2', mode: 'xdpdrv', loadedAt: 0 } as const;
    const status = tablesStatus(tables, [], ports);
    return { programs: [{ ...head, build: 'host', ...status }] };
  };
  const other = { ...use, services: [9] };
  const status = shown({ blocks: 4, pools: [use, other] });
  expect(describeStatus('eth0', status)[2]).toBe(
    '    from 10.0.9.0/31: 12.00% of 65,536 ports are taken, 10.00% by established connections',
  );
  const json = (of: typeof status) => statusJson('eth0', { time: 0, ...of });
  expect(json(status)).toMatchObject({
    programs: [{ services: [{ pools: [{ source: '10.0.9.0/31', taken_share: 0.12 }] }] }],
  });
  const unseen = shown(new Unseen('the ports could not be read: gone'));
  expect(describeStatus('eth0', unseen)[2]).toBe('    the ports could not be read: gone');
  expect(json(unseen)).toMatchObject({
    programs: [
      { services: [{ pools: { unseen: 'the ports could not be read: gone' } }] },
    ],
  });
  expect(JSON.stringify(json(statusOf(live)))).not.toContain('pools');
});

test('a service says by which other devices its packets leave, or that one is gone', () => {
  const live = applyConfig(untouched(), service(80, 'balancer', 1), 10);
  const behind = [...live.destinations].map(
    ([id, entry], index) => [id, { ...entry, exit: index + 1 }] as const,
  );
  const way = { mac: Buffer.alloc(6), vlan: 0, mtu: 1500 };
  const tables: State = {
    ...live,
    destinations: new Map(behind),
    exits: new Map([
      [1, { ...way, ifindex: 3 }],
      [2, { ...way, ifindex: 4 }],
    ]),
    lostExits: new Set([2]),
  };
  const sender = { mac: '', mtu: 1500, up: true, isLoopback: false, kind: '' };
  const none = { parent: undefined, vlan: undefined };
  const senders = [3, 4].map((ifindex) => ({
    ...{ ...sender, ...none, ifindex, name: `eth${ifindex - 2}` },
  }));
  const { services } = tablesStatus(tables, senders);
  expect(services?.[0]?.exits).toEqual([
    { device: 'eth1', destinations: ['10.0.1.1'] },
    { device: null, destinations: ['10.0.1.2'] },
  ]);
  const head = { id: 7, name: 'l4lb_2', mode: 'xdpdrv', loadedAt: 0 } as const;
  const programs = [{ ...head, build: 'host', ...(services && { services }) }] as const;
  expect(describeStatus('eth0', { programs: [...programs] }).slice(2)).toEqual([
    '    packets for 1 destination leave by eth1',
    '    packets for 1 destination are dropped: the device that they leave by is gone; fill again',
  ]);
});

test('a build that keeps no records says nothing where nobody remembers', () => {
  const live = applyConfig(untouched(PORTABLE), service(80, 'balancer', 1), 10);
  const status = statusOf(live);
  expect(describeStatus('eth0', status).slice(1)).toEqual([
    '  192.0.2.10:80/tcp: 2 destinations in 16 slots',
  ]);
  expect(status.programs[0]).toMatchObject({
    services: [{ remember: null, slots_hot: 0 }],
  });
  expect(status.programs[0]).not.toHaveProperty('names');
});
