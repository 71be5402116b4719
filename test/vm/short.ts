// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What `make test` runs in the virtual machine even if its processor is emulated. */
import { afterAll, describe, expect, test } from '@jest/globals';

import type { SampleJson } from '../kernel/network.js';
import { programsOn, useCard } from './card.js';
import type { Vm } from './vm.js';
import { MOST_MS } from './vm.js';

const PINS = '/sys/fs/bpf/every';

/** Debian's kernel has a verifier of its own, which is older than that of most hosts. */
export function programs(vm: Vm): void {
  describe("the verifier of Debian's kernel", () => {
    afterAll(() => vm.shell(`rm -rf ${PINS}`), MOST_MS);

    // bpftool takes what a program is from its section, and l4lb_steer.o has programs of
    // several types in one object.
    test(
      'takes the programs of every object',
      async () => {
        const loaded = await vm.shell(
          `mkdir ${PINS}; for object in l4lb_*.o; do ` +
            `bpftool prog loadall $object ${PINS}/\${object%.o} && echo $object; done`,
        );
        expect(loaded.trimEnd().split('\n')).toEqual([
          'l4lb_carry.o',
          'l4lb_carry_flows.o',
          'l4lb_check.o',
          'l4lb_decap.o',
          'l4lb_decap_frags.o',
          'l4lb_steer.o',
          'l4lb_sum.o',
          'l4lb_xdp.o',
          'l4lb_xdp_frags.o',
          'l4lb_xdp_host.o',
        ]);
      },
      MOST_MS,
    );

    // Questions about 4,000 destinations are more than a page, which not every kernel takes.
    test(
      'runs l4lb_sum.o on a long frame',
      async () => {
        const answered = await vm.shell(
          `head -c 64000 /dev/zero >/tmp/asked; ` +
            `bpftool prog run pinned ${PINS}/l4lb_sum/l4lb_sum ` +
            `data_in /tmp/asked data_out /tmp/answered data_size_out 64000 >/dev/null; ` +
            `wc -c </tmp/answered`,
        );
        expect(answered.trim()).toBe('64000');
      },
      MOST_MS,
    );
  });
}

export function shortOffload(vm: Vm): void {
  describe('a device that offloads', () => {
    useCard(vm);

    test(
      'is attached to, filled, read and left',
      async () => {
        const onCard = ['-i', 'eth0', '-m', 'xdpoffload'];
        const filled = await vm.l4lb('load', ...onCard, '-f', '32_destinations.csv');
        expect(filled).toMatchObject({ exitCode: 0, stderr: '' });
        expect(filled.stdout).toMatch(/^eth0 \[Offload\] l4lb_xdp\.o attached/m);
        expect(await programsOn(vm, 'eth0')).toMatchObject([{ mode: 'xdpoffload' }]);

        const once = ['-i', 'eth0', '--json', '--once', '--interval', '0.1'];
        const { stdout } = await vm.l4lb('stats', ...once);
        const { mode, destinations } = JSON.parse(stdout) as SampleJson;
        expect(mode).toBe('Offload');
        expect(destinations).toHaveLength(32);

        const off = await vm.l4lb('load', '-i', 'eth0', '--off');
        expect(off.stdout).toMatch(/^eth0 \[Offload\] l4lb_2 .* removed\n$/);
        expect(await programsOn(vm, 'eth0')).toEqual([]);
      },
      MOST_MS,
    );
  });
}
