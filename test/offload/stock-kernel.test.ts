// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A second kernel at both ends: Debian's own runs our program on a veth, and its own
 * tunnel devices take off what we put on. None of our code is at the destination.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { Build } from '../../src/abi/maps.js';
import type { Role, SampleJson } from '../kernel/network.js';
import { Vm, whyNoVm } from './vm.js';

interface Way {
  inner: 'IPv4' | 'IPv6';
  outer: 'IPv4' | 'IPv6';
  /** The device that takes any such outer header off, and the kernel's module for it. */
  device: string;
  module: string;
  /** What the device needs before it is set up. */
  prepare?: string;
  vip: string;
  destination: string;
}

const DESTINATION = { IPv4: '10.0.1.1', IPv6: 'fd00::1:1' };
/** As the kernel makes it, it takes IPv6 only. */
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

/** The commands that load a build, as docs/guide/walkthrough.md gives them. */
const builds: [Build, string][] = [
  ['host', 'bin/l4lb-load.js -i eth0 -m xdpdrv'],
  ['portable', 'ip link set dev eth0 xdpdrv obj l4lb_xdp.o sec xdp'],
];

const NETWORK = 'stock';
const PORT = 7000;
const BYTES = 100_000;
// The portable build has 512 for all services.
const SLOTS = 64;
// It boots in five seconds, and in far more when the host is busy.
const MOST_MS = 180_000;

/** What a config file says of it. */
function service({ vip, destination, inner, outer }: Way): string {
  return `[[service]]
name = "${inner}-in-${outer}"
address = "${vip}"
ports = ${PORT}
protocol = "tcp"
slots = ${SLOTS}
destinations = [{ address = "${destination}" }]
`;
}

const reason = whyNoVm();
const describeInVm = reason === undefined ? describe : describe.skip;

describeInVm("Debian's kernel", () => {
  let vm: Vm;

  async function within(role: Role, ...command: string[]): Promise<string> {
    return vm.within(NETWORK, role, ...command);
  }

  /** Packets that the device took the outer header off. */
  async function decapsulated(device: string): Promise<number> {
    const shown = await within('destination1', 'ip', '-j', '-s', 'link', 'show', device);
    const [link] = JSON.parse(shown) as {
      stats64: { rx: { packets: number; errors: number; dropped: number } };
    }[];
    expect(link?.stats64.rx).toMatchObject({ errors: 0, dropped: 0 });
    return link?.stats64.rx.packets ?? 0;
  }

  async function ipIn(role: Role, command: string): Promise<void> {
    await within(role, 'ip', ...command.split(' '));
  }

  beforeAll(async () => {
    vm = await Vm.boot('--timeout', '400');
    // Before the namespaces are made: each then has the device of each module.
    for (const { module } of ways) await vm.expectOk('modprobe', module);
    const vips = ways.flatMap(({ vip }) => ['--vip', vip]);
    const options = ['--ipv6', '--count', '1', ...vips];
    await vm.expectOk('testbed/network.sh', 'up', NETWORK, ...options);
    for (const { device, prepare } of ways) {
      if (prepare !== undefined) await within('destination1', ...prepare.split(' '));
      await ipIn('destination1', `link set ${device} up`);
    }
    const answer = ['testbed/transfer.mjs', 'answer', `${PORT}`];
    await vm.start(NETWORK, 'destination1', 'node', ...answer);
  }, MOST_MS);

  afterAll(() => vm.shutDown(), MOST_MS);

  test('is another one than the host runs', () => {
    expect(vm.kernel).toMatch(/^6\.1\.[0-9-]+-amd64$/);
  });

  describe.each(builds)('%s build', (_, load) => {
    beforeAll(async () => {
      await within('balancer', 'ip', 'link', 'set', 'dev', 'eth0', 'xdp', 'off');
      await within('balancer', ...load.split(' '));
      await vm.run('tee', ['/tmp/l4lb.toml'], ways.map(service).join(''));
      await within('balancer', 'bin/l4lb-map.js', '-i', 'eth0', '-c', '/tmp/l4lb.toml');
    }, MOST_MS);

    const taken = new Map<string, number>();

    test.each(ways)(
      '$inner in $outer: TCP to $vip is decapsulated by $device and answered',
      async ({ device, vip }) => {
        const before = await decapsulated(device);
        const ask = ['testbed/transfer.mjs', 'ask', vip, `${PORT}`, `${BYTES}`];
        expect(await within('client', 'node', ...ask)).toBe(
          `${BYTES} bytes came back as they were sent\n`,
        );
        const packets = (await decapsulated(device)) - before;
        // What this many bytes take, so these are not the packets of anything else.
        expect(packets).toBeGreaterThan(BYTES / 1500);
        taken.set(vip, packets);
      },
      MOST_MS,
    );

    test(
      'counted just what was decapsulated',
      async () => {
        const command = 'bin/l4lb-stats.js -i eth0 --json --once --interval 0.1';
        const stats = await within('balancer', ...command.split(' '));
        const { destinations, verdicts } = JSON.parse(stats) as SampleJson;
        const counted = destinations.map(({ packets }) => packets);
        expect(counted.sort()).toEqual([...taken.values()].sort());
        const ended = Object.keys(verdicts).filter((name) => verdicts[name]?.packets);
        // What the kernels ask each other about their neighbours is ARP, or ICMPv6.
        const neighbours = ['not ip', 'not tcp or udp'];
        expect(ended.filter((name) => !neighbours.includes(name))).toEqual(['balanced']);
      },
      MOST_MS,
    );
  });
});
