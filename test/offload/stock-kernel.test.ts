// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A second kernel at both ends: Debian's own runs our program on a veth, and its own
 * tunnel devices take off what we put on. None of our code is at the destination.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { Build } from '../../src/attached.js';
import type { Role, SampleJson } from '../kernel/network.js';
import { Vm, whyNoVm } from './vm.js';

interface Way {
  inner: 'IPv4' | 'IPv6';
  outer: 'IPv4' | 'IPv6';
  /** The device that takes any such outer header off, and the kernel's module for it. */
  device: string;
  module: string;
  vip: string;
  destination: string;
}

const ways: Way[] = [
  {
    inner: 'IPv4',
    outer: 'IPv4',
    device: 'tunl0',
    module: 'ipip',
    vip: '10.0.100.1',
    destination: '10.0.1.1',
  },
];

/** The commands that load a build, as the README gives them. */
const builds: [Build, string][] = [
  ['host', 'bin/l4lb-load.js -i eth0 -m xdpdrv'],
  ['portable', 'ip link set dev eth0 xdpdrv obj l4lb_xdp.o sec xdp'],
];

const NETWORK = 'stock';
const PORT = 7000;
const BYTES = 100_000;
// An emulated processor reads few rows a second; and the portable build has 512 for all.
const SLOTS = 64;
// It boots in five seconds, and in far more when the host is busy.
const MOST_MS = 180_000;

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

  async function sample(): Promise<SampleJson> {
    const command = 'bin/l4lb-stats.js -i eth0 --json --once --interval 0.1';
    return JSON.parse(await within('balancer', ...command.split(' '))) as SampleJson;
  }

  beforeAll(async () => {
    vm = await Vm.boot('--timeout', '400');
    // Before the namespaces are made: each then has the device of each module.
    for (const { module } of ways) await vm.expectOk('modprobe', module);
    const vips = ways.flatMap(({ vip }) => ['--vip', vip]);
    await vm.expectOk('testbed/network.sh', 'up', NETWORK, '--count', '1', ...vips);
    for (const { device } of ways) {
      await within('destination1', 'ip', 'link', 'set', device, 'up');
    }
    const answer = ['test/offload/transfer.mjs', 'answer', `${PORT}`];
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
    }, MOST_MS);

    test.each(ways)(
      '$inner in $outer: TCP to $vip is decapsulated by $device and answered',
      async ({ device, vip, destination }) => {
        const file = `/tmp/${vip}.csv`;
        await vm.expectOk('sh', '-c', `echo "${destination}," >"$0"`, file);
        const service = ['--vip', `${vip}:${PORT}/tcp`, '--slots', `${SLOTS}`];
        await within('balancer', 'bin/l4lb-map.js', '-i', 'eth0', '-f', file, ...service);
        const before = await decapsulated(device);

        const ask = ['test/offload/transfer.mjs', 'ask', vip, `${PORT}`, `${BYTES}`];
        expect(await within('client', 'node', ...ask)).toBe(
          `${BYTES} bytes came back as they were sent\n`,
        );

        const packets = (await decapsulated(device)) - before;
        // A segment carries less than 1500 bytes, so these were not all the packets of
        // another connection.
        expect(packets).toBeGreaterThan(BYTES / 1500);
        const { destinations } = await sample();
        expect(destinations).toContainEqual(
          expect.objectContaining({ address: destination, packets }),
        );
      },
      MOST_MS,
    );
  });
});
