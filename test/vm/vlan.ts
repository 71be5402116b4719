// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A destination on a VLAN behind the balancer's second device: frames leave by that device
 * with a tag. The kernel of the machine that runs the tests may have no VLANs.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { Role } from '../kernel/network.js';
import type { Vm } from './vm.js';
import { MOST_MS } from './vm.js';

const NETWORK = 'vlan';
const VIP = '10.0.0.1';
const PORT = 7000;
const BUSYBOX = '/run/l4lb-vm/busybox';

export function vlan(vm: Vm): void {
  describe('a VLAN', () => {
    async function inShell(role: Role, line: string): Promise<string> {
      return vm.within(NETWORK, role, BUSYBOX, 'sh', '-ec', line);
    }

    /** A VLAN device with the tag 20, which a card must leave inside the frame. */
    async function addVlan(role: Role, device: string, address: string): Promise<void> {
      await inShell(
        role,
        `ethtool -K ${device} rxvlan off txvlan off; ` +
          `ip link add link ${device} name ${device}.20 type vlan id 20; ` +
          `ip addr add ${address} dev ${device}.20; ip link set ${device}.20 up`,
      );
    }

    beforeAll(async () => {
      await vm.shell('modprobe 8021q');
      const up = ['up', NETWORK, '--gateway', '--count', '1', '--quiet'];
      const { exitCode, stderr } = await vm.run('testbed/network.sh', up);
      expect([exitCode, stderr]).toEqual([0, '']);
      await addVlan('balancer', 'eth1', '10.3.0.1/24');
      await addVlan('destination1', 'eth0', '10.3.0.2/24');
      // It says a word to each client.
      const server = `while ${BUSYBOX} true; do echo served | ${BUSYBOX} nc -l -p ${PORT}; done`;
      await inShell('destination1', `(${server}) >/dev/null 2>&1 &`);
    }, MOST_MS);
    afterAll(async () => {
      await vm.run('testbed/network.sh', ['down', NETWORK]);
    }, MOST_MS);

    test(
      'packets leave by the device beneath it, with its tag',
      async () => {
        const device = ['-i', 'eth0'];
        await vm.l4lbIn(NETWORK, 'balancer', 'load', ...device, '-m', 'xdpdrv');
        const rows = '/tmp/vlan.csv';
        await vm.run('tee', [rows], '10.3.0.2\n');
        const service = [
          '--vip',
          `${VIP}:${PORT}/tcp`,
          '--forward',
          'link',
          '--slots',
          '16',
        ];
        const said = await vm.l4lbIn(
          ...([NETWORK, 'balancer', 'map'] as const),
          ...[...device, '-f', rows, ...service],
        );
        expect(said).toContain('packets for 1 destination leave by eth1.20');
        const ask = `${BUSYBOX} timeout 20 ${BUSYBOX} nc ${VIP} ${PORT} </dev/null`;
        expect(await inShell('client', ask)).toContain('served');
        const shown = ['-j', '-s', 'link', 'show', 'eth0.20'];
        const links = await vm.within(NETWORK, 'destination1', 'ip', ...shown);
        const [link] = JSON.parse(links) as { stats64: { rx: { packets: number } } }[];
        expect(link?.stats64.rx.packets).toBeGreaterThan(2);
      },
      MOST_MS,
    );
  });
}
