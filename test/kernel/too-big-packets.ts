// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Packets that are too big with an outer header, and what their senders are told. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { Build } from '../../src/abi/maps.js';
import {
  DONT_FRAGMENT,
  ICMP,
  ICMPV6,
  UDP,
  ethernet,
  icmp,
  ipv4,
  ipv6,
  packet,
  u16,
  udp,
} from '../frames.js';
import {
  client,
  service,
  balancer,
  FAMILIES,
  toBalancer,
  web,
  to,
  filled,
  expectUntouched,
  SINGLE,
  DOUBLE,
} from './any-packet.js';
import type { Outcome } from './program.js';
import { Program } from './program.js';

export function tooBigPackets(build: Build): void {
  describe.each(FAMILIES)('too big, over %s', (family) => {
    const protocol = family === 'ipv6' ? ICMPV6 : ICMP;
    const back = { from: service[family], to: client[family] };
    const quoted = family === 'ipv6' ? 1024 : 512;
    const mtu = Buffer.concat([u16(0), u16(1480)]);
    let program: Program;
    const send = (frame: Buffer): Promise<Outcome> => program.send(frame);
    // One of its own, which has told nobody: there is a limit in each second.
    beforeAll(async () => {
      program = await Program.load(build);
      await program.fill(filled('ipv4'));
    });
    afterAll(() => program.close());

    const big = (more: Partial<{ from: string; fragment: number }> = {}): Buffer => {
      const way = { ...to(family), ...(more.from ? { from: more.from } : {}) };
      const payload = udp(
        web,
        Buffer.from(Array.from({ length: 1460 }, (_, at) => at & 255)),
      );
      return family === 'ipv6'
        ? ipv6({ ...way, next: UDP }, payload)
        : ipv4(
            { ...way, protocol: UDP, fragment: more.fragment ?? DONT_FRAGMENT },
            payload,
          );
    };

    test('whether its sender is told depends on the build', async () => {
      for (const tags of [[], SINGLE, DOUBLE]) {
        const frame = ethernet({ ...toBalancer, tags }, big());
        const outcome = await send(frame);
        if (build === 'portable') {
          expectUntouched(outcome, frame, 'too big');
          continue;
        }
        const quote = big().subarray(0, quoted);
        const message =
          family === 'ipv6' ? icmp(2, 0, mtu, quote, back) : icmp(3, 4, mtu, quote);
        expect(outcome).toEqual({
          action: 'TX',
          verdict: 'too big told',
          bytes: frame.length,
          frame: ethernet(
            { to: client.mac, from: balancer.mac, tags },
            packet({ ...back, protocol, tos: 0xc0 }, message),
          ),
        });
      }
    });

    test.each(
      family === 'ipv6'
        ? ['ff02::1', '::', '::1']
        : ['224.0.0.1', '0.0.0.0', '127.0.0.1', '255.255.255.255'],
    )('nobody is told of what %s sent', async (from) => {
      const frame = ethernet(toBalancer, big({ from }));
      expectUntouched(await send(frame), frame, 'too big');
    });

    test('a sender at the MAC address of a group is not told', async () => {
      const frame = ethernet({ ...toBalancer, from: '01:00:5e:00:00:01' }, big());
      expectUntouched(await send(frame), frame, 'too big');
    });

    if (family === 'ipv4') {
      test('a sender that allows fragments is not told', async () => {
        const frame = ethernet(toBalancer, big({ fragment: 0 }));
        expectUntouched(await send(frame), frame, 'too big');
      });
    }

    if (build === 'host') {
      test('tells no more senders than the limit in a second', async () => {
        const frames = Array.from({ length: 1100 }, () => ethernet(toBalancer, big()));
        // A window may end meanwhile; two ends are more than a second apart.
        const { verdicts } = await program.runAll(frames);
        const { 'too big told': told = 0, 'too big': dropped = 0 } = verdicts;
        expect(told + dropped).toBe(1100);
        // The tests before may have used up some of this window.
        expect(told).toBeGreaterThanOrEqual(900);
      });
    }
  });
}
