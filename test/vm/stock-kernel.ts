// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A second kernel at both ends: Debian's own runs our program on a veth, and its own
 * tunnel devices remove what we added. None of our code runs at the destination.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { Build } from '../../src/abi/maps.js';
import type { Role, SampleJson, Tool } from '../kernel/network.js';
import type { Vm } from './vm.js';
import { NAMES, stockNames } from './stock-names.js';
import { MOST_MS } from './vm.js';

interface Way {
  inner: 'IPv4' | 'IPv6';
  outer: 'IPv4' | 'IPv6';
  /** The device that takes off any such outer header, and the kernel's module for it. */
  device: string;
  module: string;
  /** What the device needs before it is set up. */
  prepare?: string;
  vip: string;
  destination: string;
}

const DESTINATION = { IPv4: '10.0.1.1', IPv6: 'fd00::1:1' };
/** The device accepts only IPv6 inside when the kernel creates it. */
const ANY_INSIDE = 'ip -6 tunnel change ip6tnl0 mode any';

const ways: Way[] = [
  {
    inner: 'IPv4',
    outer: 'IPv4',
    device: 'tunl0',
    module: 'ipip',
    vip: '10.0.100.1',
    destination: DESTINATION.IPv4,
  },
  {
    inner: 'IPv6',
    outer: 'IPv6',
    device: 'ip6tnl0',
    module: 'ip6_tunnel',
    prepare: ANY_INSIDE,
    vip: 'fd00:64::1',
    destination: DESTINATION.IPv6,
  },
  {
    inner: 'IPv4',
    outer: 'IPv6',
    device: 'ip6tnl0',
    module: 'ip6_tunnel',
    prepare: ANY_INSIDE,
    vip: '10.0.100.2',
    destination: DESTINATION.IPv6,
  },
  {
    inner: 'IPv6',
    outer: 'IPv4',
    device: 'sit0',
    module: 'sit',
    vip: 'fd00:64::2',
    destination: DESTINATION.IPv4,
  },
];

const NETWORK = 'stock';
const PORT = 7000;
const BYTES = 100_000;
const SENT = '/tmp/sent';
/**
 * It is there and needs no libraries: see build-vm.sh. An emulated processor starts it
 * quickly.
 */
const BUSYBOX = '/run/l4lb-vm/busybox';
// The portable build has 512 slots for all services.
const SLOTS = 64;

/** The service in a config file. */
function service({ vip, inner, outer }: Way, rows: string, more = ''): string {
  return `[[service]]
name = "${inner}-in-${outer}"
address = "${vip}"
ports = ${PORT}
protocol = "tcp"
slots = ${SLOTS}
${more}destinations = [${rows}]
`;
}

/** Packets that come back to SENT, or it fails. */
function ask(vip: string): string {
  const line = `${BUSYBOX} timeout 20 ${BUSYBOX} nc ${vip} ${PORT} <${SENT}`;
  return `${line} | ${BUSYBOX} cmp - ${SENT}`;
}

/** The services with another destination beside the stock one, where both know the other. */
function shared(stock: number, deciding: number): string {
  const services = ways.map((way) => {
    const other = way.destination.replace(/1$/, '2');
    const rows = [
      `{ address = "${way.destination}", weight = ${stock} }`,
      `{ address = "${other}", weight = ${deciding} }`,
    ];
    return service(way, rows.join(', '), 'remember = "destinations"\n');
  });
  return [`names = ${JSON.stringify(NAMES)}\n`, ...services].join('');
}

export function stockKernel(vm: Vm): void {
  onStockKernel(vm, ['host', 'portable'], true);
}

/** A part of that, which is enough to know that stock tunnels take what we send. */
export function hostBuild(vm: Vm): void {
  onStockKernel(vm, ['host'], false);
}

function onStockKernel(vm: Vm, builds: readonly Build[], hasNames: boolean): void {
  describe("Debian's kernel", () => {
    async function within(role: Role, ...command: string[]): Promise<string> {
      return vm.within(NETWORK, role, ...command);
    }

    async function inShell(role: Role, line: string): Promise<void> {
      await within(role, BUSYBOX, 'sh', '-c', line);
    }

    /** The number of packets that the device took the outer header off. */
    async function decapsulated(device: string): Promise<number> {
      const shown = await within(
        'destination1',
        'ip',
        '-j',
        '-s',
        'link',
        'show',
        device,
      );
      const [link] = JSON.parse(shown) as {
        stats64: { rx: { packets: number; errors: number; dropped: number } };
      }[];
      expect(link?.stats64.rx).toMatchObject({ errors: 0, dropped: 0 });
      return link?.stats64.rx.packets ?? 0;
    }

    async function l4lbIn(role: Role, tool: Tool, ...args: string[]): Promise<string> {
      return vm.l4lbIn(NETWORK, role, tool, '-i', 'eth0', ...args);
    }

    async function l4lb(tool: Tool, ...args: string[]): Promise<string> {
      return l4lbIn('balancer', tool, ...args);
    }

    async function ipIn(role: Role, command: string): Promise<void> {
      await within(role, 'ip', ...command.split(' '));
    }

    beforeAll(async () => {
      // Before the namespaces are made, so that each has the device of each module.
      for (const { module } of ways) await vm.expectOk('modprobe', module);
      const vips = ways.flatMap(({ vip }) => ['--vip', vip]);
      const options = ['--ipv6', '--count', '2', ...vips];
      await vm.expectOk('testbed/network.sh', 'up', NETWORK, ...options);
      for (const { device, prepare } of ways) {
        if (prepare !== undefined) await within('destination1', ...prepare.split(' '));
        await ipIn('destination1', `link set ${device} up`);
      }
      const echo = `${BUSYBOX} nc -ll -p ${PORT} -e ${BUSYBOX} cat`;
      await inShell('destination1', `${echo} >/dev/null 2>&1 &`);
      await vm.shell(`head -c ${BYTES} /dev/urandom > ${SENT}`);
    }, MOST_MS);

    afterAll(async () => {
      await vm.expectOk('testbed/network.sh', 'down', NETWORK);
    }, MOST_MS);

    test('is another one than the host runs', () => {
      expect(vm.kernel).toMatch(/^6\.1\.[0-9-]+-amd64$/);
    });

    describe.each(builds)('%s build', (build) => {
      beforeAll(async () => {
        await within('balancer', 'ip', 'link', 'set', 'dev', 'eth0', 'xdp', 'off');
        // Loaded as docs/guide/walkthrough.md does it.
        if (build === 'host') await l4lb('load', '-m', 'xdpdrv');
        else await ipIn('balancer', 'link set dev eth0 xdpdrv obj l4lb_xdp.o sec xdp');
        await vm.run(
          'tee',
          ['/tmp/l4lb.toml'],
          ways.map((way) => service(way, `{ address = "${way.destination}" }`)).join(''),
        );
        await l4lb('map', '-c', '/tmp/l4lb.toml');
      }, MOST_MS);

      const taken = new Map<string, number>();

      test.each(ways)(
        '$inner in $outer: TCP to $vip is decapsulated by $device and answered',
        async ({ device, vip }) => {
          const before = await decapsulated(device);
          await inShell('client', ask(vip));
          const packets = (await decapsulated(device)) - before;
          // At least as many packets as these bytes need, so they belong to the transfer.
          expect(packets).toBeGreaterThan(BYTES / 1500);
          taken.set(vip, packets);
        },
        MOST_MS,
      );

      test(
        'counted just what was decapsulated',
        async () => {
          const stats = await l4lb('stats', '--json', '--once', '--interval', '0.1');
          const { destinations, verdicts } = JSON.parse(stats) as SampleJson;
          const counted = destinations.map(({ packets }) => packets);
          expect(counted.sort()).toEqual([...taken.values()].sort());
          const ended = Object.keys(verdicts).filter((name) => verdicts[name]?.packets);
          // The kernels ask each other about their neighbours in ARP or ICMPv6.
          const neighbours = ['not ip', 'not tcp or udp'];
          expect(ended.filter((name) => !neighbours.includes(name))).toEqual([
            'balanced',
          ]);
        },
        MOST_MS,
      );
    });

    if (!hasNames) return;
    const vips = ways.map(({ vip }) => vip);
    const tools = { vm, inShell, l4lb: l4lbIn, busybox: BUSYBOX };
    stockNames({ ...tools, vips, config: shared, ask, port: PORT });
  });
}
