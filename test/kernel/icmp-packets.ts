// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** ICMP through both builds: errors about connections, and echo. */
import { beforeAll, describe, expect, test } from '@jest/globals';

import type { Build } from '../../src/abi/maps.js';
import { encodeKey } from '../../src/abi/bytes.js';
import type { VerdictName } from '../../src/abi/verdicts.js';
import { sumsOf } from '../../src/model/sums.js';
import { kernelSeconds } from '../../src/system/clock.js';
import { ICMP, ICMPV6, UDP, ethernet, icmp, packet, u16, udp } from '../frames.js';
import {
  client,
  service,
  balancer,
  destination,
  FAMILIES,
  toBalancer,
  web,
  to,
  filled,
  expectUntouched,
  SINGLE,
  DOUBLE,
} from './any-packet.js';
import type { Fill, Outcome } from './program.js';
import { Program } from './program.js';

/** The program that the groups of any-packet.test.ts share. */
interface Shared {
  /** Fills it anew. */
  share: (fill: Fill) => Promise<void>;
  send: (frame: Buffer) => Promise<Outcome>;
  program: () => Program;
}

export function icmpPackets(build: Build, { share, send, program }: Shared): void {
  describe.each(FAMILIES)('ICMP over %s', (family) => {
    const other = { from: '192.0.2.254', to: service.ipv4 };
    const router =
      family === 'ipv6' ? { from: '2001:db8:f::1', to: service.ipv6 } : other;
    const between = family === 'ipv6' ? router : undefined;
    const protocol = family === 'ipv6' ? ICMPV6 : ICMP;
    const destinations = Object.fromEntries(
      Array.from({ length: 16 }, (_, number) => [
        `10.0.2.${number + 1}`,
        destination.mac,
      ]),
    );
    beforeAll(() => share(filled('ipv4', { destinations })));

    /** A packet that a destination had sent and a router could not forward. */
    const answer = (port: number, inner = UDP): Buffer =>
      packet(
        { from: service[family], to: client[family], protocol: inner },
        Buffer.concat([u16(80), u16(port), Buffer.alloc(40)]),
      );
    const error = (type: number, quoted: Buffer): Buffer =>
      ethernet(
        toBalancer,
        packet({ ...router, protocol }, icmp(type, 0, Buffer.alloc(4), quoted, between)),
      );
    const header = family === 'ipv6' ? 40 : 20;
    const ERRORS = family === 'ipv6' ? [1, 2, 3, 4] : [3, 11, 12];

    test.each(ERRORS)(
      'an error of type %i goes where its connection goes',
      async (type) => {
        const ports = Array.from({ length: 40 }, (_, index) => index + 1);
        const ours = ports.map((port) => {
          const way = { ...to(family), protocol: UDP };
          return ethernet(toBalancer, packet(way, udp({ from: port, to: 80 })));
        });
        const errors = ports.map((port) =>
          error(type, answer(port).subarray(0, header + 8)),
        );
        const { ran, verdicts } = await program().runAll([...ours, ...errors]);
        expect(verdicts).toEqual({ balanced: 80 });
        errors.forEach((frame, index) => {
          const there = ran[index]?.frame.subarray(30, 34);
          const sent = ran[40 + index]?.frame;
          expect(sent?.subarray(30, 34)).toEqual(there);
          expect(sent?.subarray(34)).toEqual(frame.subarray(14));
        });
        expect(ran).toHaveLength(80);
      },
    );

    test.each<[VerdictName, string, Buffer]>([
      [
        'not tcp or udp',
        'seven bytes of what was quoted',
        error(3, answer(1).subarray(0, header + 7)),
      ],
      [
        'not tcp or udp',
        'a quoted header cut short',
        error(3, answer(1).subarray(0, 12)),
      ],
      ['not tcp or udp', 'a redirect', error(family === 'ipv6' ? 137 : 5, answer(1))],
      [
        'not tcp or udp',
        'somebody else had sent it',
        error(3, packet({ ...to(family), protocol: UDP }, udp(web))),
      ],
      ['not tcp or udp', 'it was ICMP itself', error(3, answer(1, protocol))],
      [
        'not ours',
        'a port that has no service',
        error(
          3,
          packet(
            { from: service[family], to: client[family], protocol: UDP },
            udp({ from: 81, to: 4242 }),
          ),
        ),
      ],
    ])('%s: %s', async (verdict, _, frame) => {
      expectUntouched(await send(frame), frame, verdict);
    });

    const REQUEST = family === 'ipv6' ? 128 : 8;
    const REPLY = family === 'ipv6' ? 129 : 0;
    const echo = (type: number, way: { from: string; to: string }, size = 40): Buffer =>
      icmp(
        type,
        0,
        Buffer.from('12340007', 'hex'),
        Buffer.alloc(size, 'ping'),
        family === 'ipv6' ? way : undefined,
      );
    const back = { from: service[family], to: client[family] };

    test.each([0, 4, 56, 1400])('an echo request of %i bytes', async (size) => {
      for (const tags of [[], SINGLE, DOUBLE]) {
        const frame = ethernet(
          { ...toBalancer, tags },
          packet({ ...to(family), protocol }, echo(REQUEST, to(family), size)),
        );
        const outcome = await send(frame);
        if (build === 'portable') {
          expectUntouched(outcome, frame, 'not tcp or udp');
          continue;
        }
        expect(outcome).toEqual({
          action: 'TX',
          verdict: 'echo answered',
          bytes: frame.length,
          frame: ethernet(
            { to: client.mac, from: balancer.mac, tags },
            packet({ ...back, protocol }, echo(REPLY, back, size)),
          ),
        });
      }
    });

    test.each<[VerdictName, string, Buffer]>([
      ['not tcp or udp', 'a reply', echo(REPLY, to(family))],
      ['not tcp or udp', 'a code that is not 0', echo(REQUEST, to(family)).fill(1, 1, 2)],
    ])('%s: %s', async (verdict, _, message) => {
      const frame = ethernet(toBalancer, packet({ ...to(family), protocol }, message));
      expectUntouched(await send(frame), frame, verdict);
    });

    /** A message of zeros, except for the addresses in IPv6. */
    const zeros = (type: number, way: { from: string; to: string }): Buffer =>
      icmp(
        type,
        0,
        Buffer.alloc(4),
        Buffer.alloc(8),
        family === 'ipv6' ? way : undefined,
      );

    if (build === 'host') {
      test('the answer to an echo request of zeros has a right checksum', async () => {
        const frame = ethernet(
          toBalancer,
          packet({ ...to(family), protocol }, zeros(REQUEST, to(family))),
        );
        const outcome = await send(frame);
        expect(outcome.verdict).toBe('echo answered');
        expect(outcome.frame).toEqual(
          ethernet(
            { to: client.mac, from: balancer.mac },
            packet({ ...back, protocol }, zeros(REPLY, back)),
          ),
        );
        expect(sumsOf(outcome.frame).filter(({ isRight }) => !isRight)).toEqual([]);
      });

      test('all that can be asked is answered with right checksums', async () => {
        const frames = Array.from({ length: 600 }, (_, number) => {
          const rest = Buffer.alloc(4);
          rest.writeUInt16BE(number * 109, 0);
          // With this number the sum of the answer is 0xffff.
          rest.writeUInt16BE(0xffff - number * 109, 2);
          const between = family === 'ipv6' ? to(family) : undefined;
          const message = icmp(REQUEST, 0, rest, Buffer.alloc(number % 3), between);
          return ethernet(toBalancer, packet({ ...to(family), protocol }, message));
        });
        const { ran, verdicts } = await program().runAll(frames);
        expect(verdicts).toEqual({ 'echo answered': 600 });
        for (const { frame } of ran) {
          expect(sumsOf(frame).filter(({ isRight }) => !isRight)).toEqual([]);
        }
      });

      test('answers no more than the limit in a second', async () => {
        const frame = ethernet(
          toBalancer,
          packet({ ...to(family), protocol }, echo(REQUEST, to(family))),
        );
        const limited = async (second: number, count: number): Promise<Outcome> => {
          const { bpftool, mapIds } = program();
          const limits = (await bpftool.maps(mapIds)).find(
            ({ name }) => name === 'limits',
          );
          const value = Buffer.concat([second, count].map(encodeKey));
          await bpftool.queries([
            `map update id ${limits?.id} key 2 0 0 0 value ${[...value].join(' ')}`,
          ]);
          return send(frame);
        };
        // The test's second may be over when the packet comes.
        let outcome: Outcome;
        do outcome = await limited(kernelSeconds(), 10_000);
        while (outcome.verdict === 'echo answered');
        expectUntouched(outcome, frame, 'echo limited');
        expect((await limited(kernelSeconds(), 0)).verdict).toBe('echo answered');
        // A second that is over does not count.
        expect((await limited(1, 10_000)).verdict).toBe('echo answered');
      });
    }

    test.each(
      family === 'ipv6'
        ? ['::', '::1', 'ff02::1', 'ff0e::7', service.ipv6]
        : [
            '0.0.0.0',
            '0.1.2.3',
            '127.0.0.1',
            '224.0.0.1',
            '255.255.255.255',
            service.ipv4,
          ],
    )('an echo request from %s passes', async (from) => {
      const way = { ...to(family), from };
      const frame = ethernet(
        toBalancer,
        packet({ ...way, protocol }, echo(REQUEST, way)),
      );
      expectUntouched(await send(frame), frame, 'not tcp or udp');
    });

    test('an echo request from the MAC address of a group passes', async () => {
      const frame = ethernet(
        { to: balancer.mac, from: '03:00:00:00:00:01' },
        packet({ ...to(family), protocol }, echo(REQUEST, to(family))),
      );
      expectUntouched(await send(frame), frame, 'not tcp or udp');
    });

    test('an echo request to an address without service passes', async () => {
      const elsewhere = {
        from: client[family],
        to: family === 'ipv6' ? '2001:db8:5::11' : '203.0.113.11',
      };
      const frame = ethernet(
        toBalancer,
        packet({ ...elsewhere, protocol }, echo(REQUEST, elsewhere)),
      );
      expectUntouched(await send(frame), frame, 'not tcp or udp');
    });

    test('an echo request passes when the switch is off', async () => {
      const own = await Program.load(build);
      await own.fill(filled('ipv4', { echo: false }));
      const frame = ethernet(
        toBalancer,
        packet({ ...to(family), protocol }, echo(REQUEST, to(family))),
      );
      expectUntouched(await own.send(frame), frame, 'not tcp or udp');
      own.close();
    });
  });
}
