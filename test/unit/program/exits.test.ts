// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The devices that packets can leave by, and why others are refused. */
import { describe, expect, test } from '@jest/globals';

import { exitsOf } from '../../../src/program/exits.js';
import { senderOf } from '../../../src/system/ip/links.js';
import type { WantedExit } from '../../../src/plan/steps.js';
import { Iproute } from '../../../src/system/ip/links.js';
import type { Link } from '../../../src/system/ip/links.js';
import { Failure } from '../../../src/text/failure.js';
import { mac } from '../wire/names.js';

const LINK = { name: 'eth0', ifindex: 2 } as Link;

const device = (ifname: string, ifindex: number, more: object = {}): object => ({
  ...{ ifname, ifindex, mtu: 1500, flags: ['BROADCAST', 'UP', 'LOWER_UP'] },
  address: `02:00:00:00:00:${ifindex.toString(16).padStart(2, '0')}`,
  ...more,
});
const kind = (info_kind: string, info_data = {}): object => ({
  linkinfo: { info_kind, info_data },
});
const vlan = (id: number, protocol = '802.1Q'): object =>
  kind('vlan', { id, protocol, flags: [] });

/** As `ip -j -d link show` prints them (iproute2 6.1). */
const LINKS = [
  device('lo', 1, { flags: ['LOOPBACK', 'UP'], address: '00:00:00:00:00:00' }),
  device('eth0', 2),
  device('eth1', 3, { mtu: 9000 }),
  device('veth7', 7, kind('veth')),
  device('eth1.20', 10, { link: 'eth1', mtu: 1400, ...vlan(20) }),
  device('eth0.30', 11, { link: 'eth0', ...vlan(30) }),
  device('eth1.40', 12, { link: 'eth1', ...vlan(40, '802.1ad') }),
  device('br0', 13, kind('bridge')),
  device('br0.50', 14, { link: 'br0', ...vlan(50) }),
  device('mac0', 15, kind('macvlan')),
  device('eth9', 16, { flags: ['BROADCAST'] }),
  device('tun0', 17, { address: undefined, ...kind('tun') }),
  device('eth2.60', 18, { link_netnsid: 0, ...vlan(60) }),
];

async function exitBy(name: string): Promise<WantedExit | undefined> {
  const answer = { exitCode: 0, stdout: JSON.stringify(LINKS), stderr: '' };
  const ip = new Iproute(() => Promise.resolve(answer));
  return (await exitsOf({ ip }, LINK, new Map([['10.9.0.2', name]]))).get(name);
}

describe('a device that packets can leave by', () => {
  test.each([
    { name: 'eth1', ifindex: 3, of: '03', tag: 0, mtu: 9000 },
    { name: 'veth7', ifindex: 7, of: '07', tag: 0, mtu: 1500 },
    { name: 'eth1.20', ifindex: 3, of: '0a', tag: 20, mtu: 1400 },
    { name: 'eth0.30', ifindex: 2, of: '0b', tag: 30, mtu: 1500 },
  ])('$name', async ({ name, ifindex, of, tag, mtu }) => {
    const own = mac(`02:00:00:00:00:${of}`);
    expect(await exitBy(name)).toEqual({ name, ifindex, mac: own, vlan: tag, mtu });
  });

  test('is not the one that packets come in on', async () => {
    expect(await exitBy('eth0')).toBeUndefined();
  });
});

test.each([
  { name: 'none', cause: 'there is no such device' },
  { name: 'lo', cause: 'lo is a loopback device, which drops frames from XDP' },
  { name: 'br0', cause: 'br0 is a bridge device, which drops frames from XDP' },
  { name: 'br0.50', cause: 'br0 is a bridge device, which drops frames from XDP' },
  { name: 'mac0', cause: 'mac0 is a macvlan device, which drops frames from XDP' },
  { name: 'eth1.40', cause: 'its tags are of the protocol 802.1ad, not 802.1Q' },
  { name: 'eth9', cause: 'it is down' },
  { name: 'tun0', cause: 'it has no Ethernet address' },
  { name: 'eth2.60', cause: 'the device beneath it is in another namespace' },
])('$name is refused: $cause', async ({ name, cause }) => {
  const failure = await exitBy(name).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(Failure);
  const { message, advice } = failure as Failure;
  expect(message).toBe(`no packet can leave for 10.9.0.2 by ${name}`);
  expect(advice.cause).toContain(cause);
});

test('an exit has the name of its device, or that of its VLAN', async () => {
  const answer = { exitCode: 0, stdout: JSON.stringify(LINKS), stderr: '' };
  const all = await new Iproute(() => Promise.resolve(answer)).senders();
  expect(senderOf(all, { ifindex: 3, vlan: 0 })?.name).toBe('eth1');
  expect(senderOf(all, { ifindex: 3, vlan: 20 })?.name).toBe('eth1.20');
  expect(senderOf(all, { ifindex: 3, vlan: 21 })?.name).toBeUndefined();
  expect(senderOf(all, { ifindex: 99, vlan: 0 })?.name).toBeUndefined();
});
