// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Where destinations decide, a stock tunnel beside them: it takes what a destination sends
 * on to it, and, as the current destination, what names another.
 */
import { beforeAll, describe, expect, test } from '@jest/globals';

import type { Role, Tool } from '../kernel/network.js';
import type { Vm } from './vm.js';
import { MOST_MS } from './vm.js';

/** What of the network of stock-kernel.ts is needed here. */
export interface Stock {
  vm: Vm;
  vips: readonly string[];
  /** The services where so many parts of the weight are at the stock tunnels, and the others. */
  config: (stock: number, deciding: number) => string;
  inShell: (role: Role, line: string) => Promise<void>;
  l4lb: (role: Role, tool: Tool, ...args: string[]) => Promise<string>;
  /** A line of shell that sends SENT to a service, and compares what comes back. */
  ask: (vip: string) => string;
  port: number;
  busybox: string;
}

/** The first decides by its kernel's tunnels alone; the second runs our program. */
const SIBLINGS = `10.0.1.1,02:00:0a:00:01:01
10.0.1.2,02:00:0a:00:01:02
fd00::1:1,02:00:0a:00:01:01
fd00::1:2,02:00:0a:00:01:02
`;
export const NAMES = ['10.7.0.0/16', 'fd07::/112'];

export function stockNames(stock: Stock): void {
  const { vm, vips, busybox, port, inShell, l4lb } = stock;

  async function fill(weights: [number, number]): Promise<void> {
    await vm.run('tee', ['/tmp/l4lb.toml'], stock.config(...weights));
    await l4lb('balancer', 'map', '-c', '/tmp/l4lb.toml');
  }

  describe('beside a destination that decides', () => {
    beforeAll(async () => {
      await vm.run('tee', ['/tmp/siblings.csv'], SIBLINGS);
      const known = ['--names', ...NAMES, '--siblings', '/tmp/siblings.csv'];
      await l4lb('destination2', 'load', '-m', 'xdpdrv', '--decap', ...known);
    }, MOST_MS);

    test(
      'the stock tunnels take what it sends on to them',
      async () => {
        await fill([1, 0]);
        // Each says a word, and another once the file is there.
        const say = `echo one; until [ -e /tmp/go ]; do ${busybox} usleep 100000; done; echo two`;
        // Nothing of them may hold the output of the shell that starts them.
        const clients = vips.map(
          (vip, index) =>
            `{ (${say}) | ${busybox} timeout 120 ${busybox} nc ${vip} ${port} >/tmp/said${index}; } >/dev/null 2>&1 &`,
        );
        await inShell('client', clients.join(' '));
        const said = (what: string): string =>
          vips
            .map(
              (_, i) => `until ${what} /tmp/said${i}; do ${busybox} usleep 100000; done`,
            )
            .join('; ');
        await vm.shell(`timeout 60 bash -c '${said('grep -q one')}'`);
        await fill([0, 1]);
        await vm.shell(`touch /tmp/go; timeout 60 bash -c '${said('grep -q two')}'`);
        const status = await l4lb('destination2', 'load', '--status', '--json');
        const { programs } = JSON.parse(status) as {
          programs: { verdicts: Record<string, { packets: number }> }[];
        };
        expect(programs[0]?.verdicts['sent on']?.packets).toBeGreaterThanOrEqual(
          vips.length,
        );
      },
      MOST_MS,
    );

    test(
      'the stock tunnels take packets that name another destination',
      async () => {
        await fill([1, 0]);
        const asked = ['--src', '10.0.255.1:4242', '--dst', `10.0.100.1:${port}`];
        const said = await l4lb('balancer', 'explain', ...asked, '--tcp-flags', 'ACK');
        expect(said).toContain('the current destination sends on what is not its own');
        for (const vip of vips) await inShell('client', stock.ask(vip));
      },
      MOST_MS,
    );
  });
}
