// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The networks that throughput is measured in: the same two topologies as in
 * docs/guide/gateway.md and docs/guide/local.md, with l4lb in them or without.
 *
 * On the ends of a veth checksums are computed (tx off), since XDP has no offload for them,
 * and GRO merges what arrives; testbed/network.sh sees to both, in all networks with a
 * gateway. So the kernel's own routing has the same frames to carry.
 */
import { join } from 'node:path';

import type { Target } from './iperf.js';
import { serverArguments } from './iperf.js';
import { dnatTo } from './nftables.js';
import { ROOT } from './started.js';
import type { Testbed } from './testbed.js';

const VIP = '10.0.0.1';
const VIP6 = '2001:db8::1';
const BACKEND = '10.2.0.2';
const BACKEND6 = '2001:db8::2:2';
const SERVER = '127.0.0.23';

/** Where the client connects to. */
export const TO_VIP: Target = { address: VIP, port: 23 };
export const TO_VIP6: Target = { address: VIP6, port: 23 };
export const TO_BACKEND: Target = { address: BACKEND, port: 23 };
export const TO_BACKEND6: Target = { address: BACKEND6, port: 23 };
/** Of the service's address too, but not of the service. */
export const TO_OTHER_PORT: Target = { address: VIP, port: 24 };

const GATEWAY = ['--gateway', '--count', '1', '--ipv6'];
const HOST = ['--gateway', '--ipv6'];

/** Sets one up: a network, its servers, and what balances. */
type Bed = (testbed: Testbed) => Promise<void>;

async function listen(
  testbed: Testbed,
  role: string,
  ...targets: Target[]
): Promise<void> {
  for (const target of targets) {
    const { address, port } = target;
    const at = `${address.includes(':') ? `[${address}]` : address}:${port}`;
    await testbed.serve(role, ['src', at], 'iperf', ...serverArguments(target));
  }
}

async function balance(testbed: Testbed, mode: string, services: string): Promise<void> {
  const object = join(ROOT, 'l4lb_xdp_host.o');
  await testbed.tool('balancer', 'load', ['-m', mode, '--obj', object]);
  const file = testbed.write('config.toml', `echo = false\n${services}`);
  await testbed.tool('balancer', 'map', ['--config', file]);
}

function service(address: string, forward: string, destination: string): string {
  return `
[[service]]
name = "${address}"
address = "${address}"
ports = 23
protocol = "tcp"
forward = "${forward}"
destinations = ["${destination}"]
`;
}

function local(mode: string): Bed {
  return async (testbed) => {
    await testbed.up(...HOST);
    await listen(testbed, 'balancer', { address: SERVER, port: 223 }, TO_OTHER_PORT);
    // The program that hands packets to servers would outlive the network.
    testbed.toolAtEnd('balancer', 'load', ['--off']);
    await balance(testbed, mode, service(VIP, 'tunnel', `local:${SERVER}:223`));
  };
}

export const BEDS = {
  routed: async (testbed) => {
    await testbed.up(...GATEWAY);
    await listen(testbed, 'destination1', TO_BACKEND, TO_BACKEND6);
  },
  'the link': async (testbed) => {
    await testbed.up(...GATEWAY);
    await listen(testbed, 'destination1', TO_VIP, TO_VIP6);
    const services = service(VIP, 'link', BACKEND) + service(VIP6, 'link', BACKEND6);
    await balance(testbed, 'xdpdrv', services);
  },
  nat: async (testbed) => {
    await testbed.up(...GATEWAY, '--bare');
    await listen(testbed, 'destination1', TO_BACKEND, TO_BACKEND6);
    const services = service(VIP, 'nat', BACKEND) + service(VIP6, 'nat', `[${BACKEND6}]`);
    await balance(testbed, 'xdpdrv', services);
    await testbed.tool('balancer', 'load', ['--share', 'eth0'], 'eth1');
  },
  DNAT: async (testbed) => {
    await testbed.up(...GATEWAY, '--bare');
    await listen(testbed, 'destination1', TO_BACKEND);
    const file = testbed.write('rules.nft', dnatTo(TO_VIP, BACKEND));
    await testbed.within('balancer', 'nft', '-f', file);
  },
  host: async (testbed) => {
    await testbed.up(...HOST);
    await listen(testbed, 'balancer', TO_VIP);
  },
  local: local('xdpgeneric'),
  'local, driver mode': local('xdpdrv'),
} satisfies Record<string, Bed>;

export type BedName = keyof typeof BEDS;
