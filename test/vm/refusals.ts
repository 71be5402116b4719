// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What a card can refuse, and how the tools then explain why and what to do. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { DEBUGFS, OFFLOADED, buildOf, programsOn, useCard } from './card.js';
import type { Built } from './card.js';
import type { Vm } from './vm.js';
import { MOST_MS } from './vm.js';

/**
 * More entries of `services` than netdevsim takes: see build-vm.sh. So many slots would be
 * more than a card holds in all.
 */
const TOO_MANY = 2_097_152;
const ON_CARD = ['-i', 'eth0', '-m', 'xdpoffload'];
/** The next step if the driver needs a look. */
const LOOK = 'next: l4lb-doctor -i eth0 -m xdpoffload';

export function refusals(vm: Vm): void {
  describe('a card that refuses', () => {
    let large: Built;
    beforeAll(async () => {
      large = await buildOf({ cells: TOO_MANY });
      await vm.shell('ip link add veth0 type veth peer name veth1');
    }, MOST_MS);
    afterAll(async () => {
      large.remove();
      await vm.shell('ip link del veth0');
    }, MOST_MS);
    useCard(vm);

    /**
     * Switches a feature of the device off while `act` runs, and on again whatever
     * happens.
     */
    async function refusing(knob: string, act: () => Promise<void>): Promise<void> {
      const file = `${DEBUGFS}/netdevsim0/${knob}`;
      await vm.shell(`echo N > ${file}`);
      try {
        await act();
      } finally {
        await vm.shell(`echo Y > ${file}`);
      }
    }

    async function expectRefusal(args: string[], ...messages: string[]): Promise<void> {
      const { exitCode, stdout, stderr } = await vm.l4lb('load', ...args);
      for (const message of messages) expect(stderr).toContain(message);
      expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    }

    test.each([
      {
        what: 'any program',
        knob: 'bpf_bind_accept',
        says: "the kernel does not take l4lb_xdp.o: prog 'l4lb_2': BPF program load failed",
        cause: 'the driver refused before it looked at the program',
        next: LOOK,
      },
      {
        what: 'an instruction',
        knob: 'bpf_bind_verifier_accept',
        says: "the kernel does not take l4lb_xdp.o: prog 'l4lb_2': BPF program load failed",
        cause: 'the program does what this card cannot, or is too long for it',
        next: 'next: l4lb-load --check-offload ',
      },
      {
        what: 'maps',
        knob: 'ports/0/bpf_map_accept',
        says: "the kernel does not take l4lb_xdp.o: map 'device': failed to create",
        cause:
          'eth0 has no eBPF offload: its driver has none, or its card has other firmware',
        next: LOOK,
      },
      {
        what: 'to run it',
        knob: 'ports/0/bpf_xdpoffload_accept',
        says: 'eth0 does not take the program: netdevsim: XDP offload disabled in DebugFS',
        cause: 'the card took the program, but does not run it on this port',
        next: 'next: dmesg | tail',
      },
    ])(
      'refuses $what',
      async ({ knob, says, cause, next }) => {
        await refusing(knob, () =>
          expectRefusal(ON_CARD, says, `likely cause: ${cause}`, next),
        );
        expect(await programsOn(vm, 'eth0')).toEqual([]);
      },
      MOST_MS,
    );

    test(
      'refuses any program, and l4lb-doctor says what of it',
      () =>
        refusing('bpf_bind_accept', async () => {
          const { stdout, exitCode } = await vm.l4lb('doctor', ...ON_CARD);
          expect(stdout).toContain(
            'finding (offload): eth0 refuses the program in offload mode',
          );
          expect(stdout).toContain(
            'the driver netdevsim supports offload, so the cause is the card',
          );
          expect(stdout).toContain('fix: l4lb-load -i eth0 -m xdpdrv');
          expect(exitCode).toBe(1);
        }),
      MOST_MS,
    );

    test(
      'a map that is too large for it',
      () =>
        expectRefusal(
          [...ON_CARD, '--obj', large.object],
          "the kernel does not take l4lb_xdp.o: map 'services': failed to create",
          'likely cause: map services has more entries than the card has left',
          'next: make l4lb_xdp.o with smaller numbers than it has, such as SLOTS=256',
        ),
      MOST_MS,
    );

    test(
      'the host build',
      () =>
        expectRefusal(
          [...ON_CARD, '--obj', 'l4lb_xdp_host.o'],
          "the kernel does not take l4lb_xdp_host.o: map 'counters': failed to create",
          'counters is none: this is not the portable build',
          'next: l4lb-load -i eth0 -m xdpoffload without --obj',
        ),
      MOST_MS,
    );

    test.each(['veth0', 'lo'])(
      '%s has no card at all',
      (device) =>
        expectRefusal(
          ['-i', device, '-m', 'xdpoffload'],
          `likely cause: ${device} has no eBPF offload`,
          `next: l4lb-doctor -i ${device} -m xdpoffload`,
          `l4lb-load -i ${device} -m xdpdrv, which runs it on the host`,
        ),
      MOST_MS,
    );

    test(
      'refuses driver mode: auto says so, and takes generic mode',
      () =>
        refusing('ports/0/bpf_xdpdrv_accept', async () => {
          const { stdout } = await vm.l4lb('load', '-i', 'eth0');
          expect(stdout).toContain(
            'driver mode is not available: netdevsim: driver XDP disabled in DebugFS\n' +
              'eth0 [Generic] l4lb_xdp_host.o attached',
          );
          const { exitCode } = await vm.l4lb('load', '-i', 'eth0', '--off');
          expect(exitCode).toBe(0);
        }),
      MOST_MS,
    );

    test(
      'refuses another program: the one that is there stays',
      async () => {
        await vm.shell(OFFLOADED);
        const before = await programsOn(vm, 'eth0');
        await refusing('ports/0/bpf_xdpoffload_accept', () =>
          expectRefusal(
            [...ON_CARD, '--replace'],
            'eth0 does not take the program: netdevsim: XDP offload disabled in DebugFS',
            'next: dmesg | tail',
          ),
        );
        expect(before).toHaveLength(1);
        expect(await programsOn(vm, 'eth0')).toEqual(before);
      },
      MOST_MS,
    );
  });
}
