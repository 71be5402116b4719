// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A card with several ports, a card that disappears, and tools that are killed. */
import { beforeAll, describe, expect, test } from '@jest/globals';

import {
  DEBUGFS,
  OFFLOADED,
  countSlots,
  programsOn,
  readTable,
  useCard,
} from './card.js';
import type { Vm } from './vm.js';
import { IS_ALL, MOST_MS } from './vm.js';

const PIN = '/sys/fs/bpf/of-eth0';
const GONE = '/sys/fs/bpf/of-eth2';
/** The second card; its port is eth2. */
const PLUG = 'echo "1 1" > /sys/bus/netdevsim/new_device';
const UNPLUG = 'echo 1 > /sys/bus/netdevsim/del_device';

export function cardGoes(vm: Vm): void {
  describe('a machine with two cards', () => {
    useCard(vm);
    beforeAll(async () => {
      await vm.shell(PLUG);
      await vm.shell(`bpftool prog load l4lb_xdp.o ${PIN} type xdp dev eth0`);
    }, MOST_MS);

    const row = (what: string, act: () => Promise<void>): void =>
      test(what, act, MOST_MS);

    const attach = (device: string): ReturnType<Vm['run']> =>
      vm.run('ip', ['link', 'set', 'dev', device, 'xdpoffload', 'pinned', PIN]);

    row('another card does not take the program of the first', async () => {
      const { exitCode, stderr } = await attach('eth2');
      expect(stderr).toBe('Error: netdevsim: program bound to different dev.\n');
      expect(exitCode).toBe(2);
      expect(await programsOn(vm, 'eth2')).toEqual([]);
    });

    row('another port of the same card does, and is filled and replaced', async () => {
      expect((await attach('eth1')).exitCode).toBe(0);
      const fill = ['-f', '32_destinations.csv', '-s', '10.0.0.4'];
      const { stdout } = await vm.l4lb('map', '-i', 'eth1', ...fill);
      expect(stdout).toContain('eth1 [Offload] any/tcp, any/udp: 32 destinations');
      expect(countSlots(await readTable(vm)).size).toBe(32);
      const replaced = await vm.l4lb('load', '-i', 'eth1', '--replace');
      expect(replaced.stdout).toContain('maps and counters are kept');
      const off = await vm.l4lb('load', '-i', 'eth1', '--off');
      expect(off.stdout).toMatch(/^eth1 \[Offload\] l4lb_2 .* removed/);
      await vm.shell(`rm ${PIN}`);
    });

    const fill = (count: number): string[] => [
      ...['-i', 'eth0', '-f', `${count}_destinations.csv`],
    ];

    const killed = 'l4lb-map killed while it writes: each slot has a destination';
    const killIt = async (): Promise<void> => {
      await vm.l4lb('map', ...fill(32));
      const slot = 'bpftool map lookup name slots key 0 0 0 0';
      await vm.shell(`before=$(${slot})
      bin/l4lb-map.js ${fill(512).join(' ')} & filler=$!
      until [ "$(${slot})" != "$before" ]; do sleep 0.05; done
      kill -KILL $filler; for lock in /run/l4lb/*.lock; do flock $lock true; done`);
      const counts = countSlots(await readTable(vm));
      expect([...counts.keys()].filter((address) => !address.startsWith('10.'))).toEqual(
        [],
      );
    };
    row(IS_ALL ? killed : '512 destinations have a slot each', async () => {
      await vm.shell(OFFLOADED);
      if (IS_ALL) await killIt();
      const { stdout } = await vm.l4lb('map', ...fill(512));
      expect(stdout).toContain('512 destinations in 512 slots');
      expect(countSlots(await readTable(vm)).size).toBe(512);
    });

    row('a card that goes is told of, and one that comes is counted again', async () => {
      const load = OFFLOADED.replace('eth0', 'eth2');
      await vm.shell(load);
      const stats = 'bin/l4lb-stats.js -i eth2 --plain --interval 0.5';
      const pid = await vm.shell(`${stats} > /tmp/stats 2>&1 & echo $!`);
      const until = (holds: string): Promise<string> =>
        vm.shell(`timeout 120 sh -c 'until ${holds}; do sleep 0.5; done'`);
      await until('grep -q Offload /tmp/stats');
      await vm.shell(UNPLUG);
      const warning = 'Warning: no device eth2; waiting until it is back';
      await until(`grep -q "^${warning}$" /tmp/stats`);
      await vm.shell(`${PLUG}; ${load}`);
      await until(`sed "1,/^${warning}/d" /tmp/stats | grep -q Offload`);
      await vm.shell(`kill ${pid}`);
    });

    row('a card that is gone while its program is pinned troubles no other', async () => {
      await vm.shell(`bpftool prog load l4lb_xdp.o ${GONE} type xdp dev eth2`);
      await vm.shell(UNPLUG);
      // bpftool's own list stops there.
      expect((await vm.run('bpftool', ['-j', 'prog', 'show'])).exitCode).toBe(255);

      const status = await vm.l4lb('load', '-i', 'eth0', '--status');
      expect(status.stdout).toContain('512 destinations in 512 slots');
      const filled = await vm.l4lb('map', ...fill(32));
      expect(filled.stdout).toContain('32 added, 512 removed');
      const stats = await vm.l4lb('stats', '-i', 'eth0', '--once', '--interval', '0.1');
      expect(stats.stdout).toContain('[Offload]');
      const replaced = await vm.l4lb('load', '-i', 'eth0', '--replace');
      expect(replaced.stdout).toContain('maps and counters are kept');
      const all = [status, filled, stats, replaced];
      expect(all.map(({ exitCode, stderr }) => [exitCode, stderr])).toEqual(
        all.map(() => [0, '']),
      );

      const { stderr } = await vm.l4lb('load', '-i', 'eth2', '--status');
      expect(stderr).toContain('no device eth2');
      expect(stderr).toMatch(/next: name one of: lo, .*eth0, eth1\n/);
      await vm.shell(`rm ${GONE}`);
    });

    if (!IS_ALL) return;
    row(
      'l4lb-load killed while the driver looks at the program leaves nothing',
      async () => {
        const load = ['-i', 'eth1', '-m', 'xdpoffload'];
        const delay = `${DEBUGFS}/netdevsim0/bpf_bind_verifier_delay`;
        await vm.shell(`echo 1000 > ${delay}
      bin/l4lb-load.js ${load.join(' ')} & loader=$!
      until pgrep -P $loader -f 'prog load'; do sleep 0.1; done
      kill -KILL $loader
      echo 0 > ${delay}`);
        expect(await programsOn(vm, 'eth1')).toEqual([]);

        // It waits for the bpftool that the killed one left behind, and cleans up.
        const { stdout, stderr } = await vm.l4lb('load', ...load);
        expect(stderr).toBe('');
        expect(stdout).toMatch(
          /^eth1 \[Offload\] l4lb_xdp\.o attached as program \d+\n$/,
        );
        expect(await vm.shell('ls /sys/fs/bpf')).not.toContain('l4lb');
      },
    );
  });
}
