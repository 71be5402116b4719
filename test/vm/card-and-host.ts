// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A device that runs a program on its card and one on the host, and programs that are
 * replaced.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { SampleJson } from '../kernel/network.js';
import type { Built } from './card.js';
import {
  buildOf,
  countSlots,
  programsOn,
  readTable,
  useCard,
  writeCounter,
} from './card.js';
import type { Tool } from '../kernel/network.js';
import type { Vm } from './vm.js';
import { MOST_MS } from './vm.js';

const ON_CARD = ['-m', 'xdpoffload'];
const COUNTED = { packets: 77n, bytes: 7700n };
const CONFIG = `
[[service]]
name = "web"
address = "10.0.0.4"
ports = 80
protocol = "tcp"
slots = 256
destinations = [{ address = "10.0.1.1", mac = "02:00:0a:00:01:01" }]

[[service]]
name = "dns"
address = "10.0.0.4"
ports = 53
protocol = "udp"
slots = 128
destinations = [{ address = "10.0.1.2", mac = "02:00:0a:00:01:02" }]
`;

export function cardAndHost(vm: Vm): void {
  describe('a device that has a card and a host', () => {
    let larger: Built;
    beforeAll(async () => {
      larger = await buildOf({ slots: 1024, destinations: 600 });
    }, MOST_MS);
    afterAll(() => larger.remove());
    useCard(vm);

    const row = (what: string, act: () => Promise<void>): void =>
      test(what, act, MOST_MS);

    async function ok(tool: Tool, ...args: string[]): Promise<string> {
      const { exitCode, stdout, stderr } = await vm.l4lb(tool, '-i', 'eth0', ...args);
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
      return stdout;
    }

    async function sample(...args: string[]): Promise<SampleJson> {
      const once = ['--json', '--once', '--interval', '0.1'];
      return JSON.parse(await ok('stats', ...once, ...args)) as SampleJson;
    }

    row('auto takes the host, where slots remember', async () => {
      expect(await ok('load')).toMatch(/^eth0 \[Driver\] l4lb_xdp_host\.o attached/);
    });

    row('xdpoffload takes the card as well, and fills it', async () => {
      const fill = ['-f', '32_destinations.csv', '--json'];
      const { stdout } = await vm.l4lb('load', '-i', 'eth0', ...ON_CARD, ...fill);
      expect(JSON.parse(stdout.slice(stdout.indexOf('{')))).toMatchObject({
        mode: 'Offload',
        object: 'l4lb_xdp.o',
        build: 'portable',
        destinations: 32,
      });
      const modes = (await programsOn(vm, 'eth0')).map(({ mode }) => mode);
      expect(modes).toEqual(['xdpdrv', 'xdpoffload']);
    });

    test.each<[Tool, ...string[]]>([
      ['load', '--replace'],
      ['map', '-f', '32_destinations.csv'],
      ['map', '--export'],
      ['stats', '--once'],
      ['explain', '--src', '192.0.2.7:4242', '--dst', '10.0.0.4:80/tcp'],
      ['doctor', '--interval', '1'],
    ])(
      'l4lb-%s %s asks which is meant',
      async (tool, ...args) => {
        const { exitCode, stderr } = await vm.l4lb(tool, '-i', 'eth0', ...args);
        expect(stderr).toBe(
          `l4lb-${tool}: eth0 has 2 XDP programs\n` +
            '  next: say which is meant: -m xdpdrv or -m xdpoffload\n',
        );
        expect(exitCode).toBe(2);
      },
      MOST_MS,
    );

    row('-m says which is meant', async () => {
      expect(await sample('-m', 'xdpdrv')).toMatchObject({
        mode: 'Driver',
        destinations: [],
      });
      const { mode, destinations } = await sample(...ON_CARD);
      expect(mode).toBe('Offload');
      expect(destinations).toHaveLength(32);
    });

    row('--status tells both', async () => {
      const [driver = '', passes, offload = '', filled] = (
        await ok('load', '--status')
      ).split('\n');
      expect(driver).toMatch(/^eth0 \[Driver\] l4lb_2 \(program \d+, host\)/);
      expect(passes).toBe('  no service yet: everything passes to the host');
      expect(offload).toMatch(/^eth0 \[Offload\] l4lb_2 \(program \d+, portable\)/);
      expect(filled).toBe('  any/tcp, any/udp: 32 destinations in 512 slots, ssh kept');
    });

    row('--off with a mode takes that one off', async () => {
      const taken = await ok('load', '--off', '-m', 'xdpdrv');
      expect(taken).toMatch(/^eth0 \[Driver\] l4lb_2 \(program \d+\) removed\n$/);
      expect(await programsOn(vm, 'eth0')).toMatchObject([{ mode: 'xdpoffload' }]);
    });

    row('auto adds none to that of the card, and says how to', async () => {
      const { exitCode, stderr } = await vm.l4lb('load', '-i', 'eth0');
      expect(stderr).toContain('eth0 already has an XDP program: l4lb_2');
      expect(stderr).toContain('--replace; or --off; or -m xdpdrv');
      expect(exitCode).toBe(1);
    });

    row('--replace swaps it on the card, and keeps its maps', async () => {
      await vm.shell(writeCounter(1, COUNTED));
      const [before] = await programsOn(vm, 'eth0');
      expect(await ok('load', '--replace')).toMatch(
        /^eth0 \[Offload\] l4lb_xdp\.o replaced as program \d+\n {2}maps and counters are kept\n$/,
      );
      const [after] = await programsOn(vm, 'eth0');
      expect(after?.mode).toBe('xdpoffload');
      expect(after?.id).not.toBe(before?.id);
      expect((await sample()).totals.packets).toBe(77);
    });

    row('--flows is not for a card', async () => {
      const { exitCode, stderr } = await vm.l4lb(
        'load',
        ...['-i', 'eth0', '--replace', '--flows', '8'],
      );
      expect(stderr).toContain('--flows is for the balancer on the host');
      expect(exitCode).toBe(2);
    });

    row('--replace by a larger build carries tables and sums over', async () => {
      const table = await readTable(vm);
      const stdout = await ok('load', '--replace', '--obj', larger.object);
      expect(stdout).toContain('the maps are new: tables and sums were carried over');
      const carried = await readTable(vm);
      expect(carried.slice(0, 512)).toEqual(table);
      expect(new Set(carried.slice(512))).toEqual(new Set(['id 0']));
      expect((await sample()).totals).toMatchObject({ packets: 77, bytes: 7700 });
    });

    row('l4lb-map -c applies a config file, and --export has it back', async () => {
      await vm.run('tee', ['/tmp/l4lb.toml'], CONFIG);
      await ok('map', '-c', '/tmp/l4lb.toml');
      const exported = await ok('map', '--export');
      for (const line of CONFIG.split('\n').filter((one) => one.startsWith('slots'))) {
        expect(exported).toContain(line);
      }
      const counts = countSlots(await readTable(vm));
      expect([counts.get('10.0.1.1'), counts.get('10.0.1.2')]).toEqual([256, 128]);
    });

    row('--off takes the card off too', async () => {
      expect(await ok('load', '--off')).toMatch(/^eth0 \[Offload\] l4lb_2 .* removed\n$/);
      expect(await programsOn(vm, 'eth0')).toEqual([]);
    });
  });
}
