// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { Namespaces, peerOf } from '../../../../src/system/ip/namespaces.js';
import { Failure } from '../../../../src/text/failure.js';
import type { Answer } from '../fake-run.js';
import { fakeRun } from '../fake-run.js';

/** What `ip -j -d addr` (iproute2 6.1) says of a veth, as far as it is read. */
function veth(name: string, index: number, peer: number, namespace?: number): object {
  return {
    ifindex: index,
    link_index: peer,
    ifname: name,
    flags: ['UP', 'LOWER_UP'],
    mtu: 1500,
    address: '02:00:0a:00:00:01',
    link_netnsid: namespace,
    linkinfo: { info_kind: 'veth' },
    addr_info: [{ local: '10.0.0.1' }, { local: '2001:db8::1' }],
  };
}

const HERE = 'ip -d -j -batch - < addr show; netns list';
const within = (name: string): string => HERE.replace('ip', `ip -n ${name}`);
/** What a batch prints: a line for each question. */
const told = (...answers: object[][]): string =>
  answers.map((answer) => `${JSON.stringify(answer)}\n`).join('');
const WHO = 'ip netns identify';

const NETWORK: Record<string, Answer> = {
  [HERE]: told(
    [veth('eth0', 2, 9, 0)],
    [{ name: 'balancer' }, { name: 'switch', id: 0 }],
  ),
  [WHO]: 'balancer\n',
  [within('switch')]: told(
    [veth('balancer', 9, 2, 1), veth('web-1', 10, 2, 2), veth('gone', 11, 2, 3)],
    [
      { name: 'balancer', id: 1 },
      { name: 'switch' },
      { name: 'web-1', id: 2 },
      { name: 'gone', id: 3 },
      { name: 'elsewhere' },
    ],
  ),
  [within('web-1')]: told([veth('eth0', 2, 10, 0)], [{ name: 'switch', id: 0 }]),
  [within('gone')]: { exitCode: 1, stderr: 'Cannot open network namespace' },
};

describe('namespaces', () => {
  test('are the namespaces that veths lead to, each once', async () => {
    const { run } = fakeRun(NETWORK);
    const found = await new Namespaces(run).connected(10);
    expect(found.map(({ name }) => name)).toEqual([undefined, 'switch', 'web-1']);
    expect(found[0]?.devices).toMatchObject([
      {
        name: 'eth0',
        kind: 'veth',
        up: true,
        carrier: true,
        addresses: ['10.0.0.1', '2001:db8::1'],
        peer: { ifindex: 9, namespaceId: 0 },
      },
    ]);
  });

  test('are not looked for without end', async () => {
    const { run } = fakeRun(NETWORK);
    const found = await new Namespaces(run).connected(1);
    expect(found.map(({ name }) => name)).toEqual([undefined, 'switch']);
  });

  test("have a veth's other end, where its namespace has a name", async () => {
    const { run } = fakeRun(NETWORK);
    const all = await new Namespaces(run).connected(10);
    const [here] = all;
    const [device] = here?.devices ?? [];
    if (!here || !device) throw new Error('the test has no device');
    const peer = peerOf(device, here, all);
    expect([peer?.namespace.name, peer?.device.name]).toEqual(['switch', 'balancer']);
    const unseen = { ...device, peer: { ifindex: 9, namespaceId: 7 } };
    expect(peerOf(unseen, here, all)).toBeUndefined();
    const local = { ...device, peer: { ifindex: 2, namespaceId: undefined } };
    expect(peerOf(local, here, all)?.namespace.name).toBeUndefined();
    expect(peerOf(local, here, all)?.device.name).toBe('eth0');
  });

  test('are described by what can be read of them', async () => {
    const { run } = fakeRun({
      'ip -n web-1 -j netconf show': JSON.stringify([
        { interface: 'all', rp_filter: 'off' },
        { interface: 'eth0', rp_filter: 'strict' },
        { interface: 'eth0' },
      ]),
      'ip netns exec web-1 cat /proc/sys/net/ipv4/conf/all/arp_ignore /proc/sys/net/ipv4/conf/eth0.7/arp_ignore':
        '2\n0\n',
      'ip -n web-1 -j -4 route show default': JSON.stringify([{ dev: 'eth0' }]),
      'ip -n web-1 -j -6 route show default': '[]',
    });
    const namespaces = new Namespaces(run);
    expect(await namespaces.arpIgnore('web-1', 'eth0.7')).toBe(2);
    expect([...(await namespaces.rpFilters('web-1'))]).toEqual([
      ['all', 'off'],
      ['eth0', 'strict'],
    ]);
    expect(await namespaces.defaultDevices('web-1')).toEqual(['eth0']);
  });
});

test('what a namespace does not tell is not taken for nothing', async () => {
  const refused = { exitCode: 1, stderr: 'Operation not permitted' };
  const { run } = fakeRun({
    'ip -n web-1 -j netconf show': refused,
    'ip -n web-1 -j -4 route show default': refused,
    'ip netns exec web-1 cat /proc/sys/net/ipv4/conf/all/arp_ignore /proc/sys/net/ipv4/conf/eth0/arp_ignore':
      refused,
  });
  const namespaces = new Namespaces(run);
  for (const asked of [
    () => namespaces.rpFilters('web-1'),
    () => namespaces.defaultDevices('web-1'),
    () => namespaces.arpIgnore('web-1', 'eth0'),
  ]) {
    await expect(asked()).rejects.toThrow(Failure);
  }
});

describe('what carries default routes', () => {
  test.each<{ what: string; ipv4?: object[]; ipv6?: object[]; carriers: string[] }>([
    { what: 'nothing, where there are none', carriers: [] },
    { what: 'the device of IPv4', ipv4: [{ dev: 'eth0' }], carriers: ['eth0'] },
    { what: 'the device of IPv6', ipv6: [{ dev: 'eth1' }], carriers: ['eth1'] },
    {
      what: 'each of several ways',
      ipv4: [{ nexthops: [{ dev: 'eth0' }, { dev: 'eth1' }] }],
      carriers: ['eth0', 'eth1'],
    },
    {
      what: 'a VLAN, the bond that it is on, and the ports of that',
      ipv4: [{ dev: 'bond0.7' }],
      carriers: ['bond0.7', 'bond0', 'eth2', 'eth3'],
    },
  ])('$what', async ({ ipv4 = [], ipv6 = [], carriers }) => {
    const { run } = fakeRun({
      'ip -j -4 route show default': JSON.stringify(ipv4),
      'ip -j -6 route show default': JSON.stringify(ipv6),
      'ip -j link show': JSON.stringify([
        { ifname: 'eth0' },
        { ifname: 'eth1' },
        { ifname: 'eth2', master: 'bond0' },
        { ifname: 'eth3', master: 'bond0' },
        { ifname: 'bond0' },
        { ifname: 'bond0.7', link: 'bond0' },
      ]),
    });
    expect([...(await new Namespaces(run).defaultCarriers())]).toEqual(carriers);
  });
});
