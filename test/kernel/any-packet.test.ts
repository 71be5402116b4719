// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Other packets that a network sends, through both builds: IPv6, VLAN tags, extension
 * headers, ICMP errors and echo, packets that are too big, fragments.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { isWay, placeCells, withNotes } from '../../src/plan/cells.js';
import type { Build } from '../../src/abi/maps.js';
import { CELL_HASH_SOURCE } from '../../src/abi/cell.js';
import { encodeKey } from '../../src/abi/bytes.js';
import type { VerdictName } from '../../src/abi/verdicts.js';
import { sumsOf } from '../../src/model/sums.js';
import { readTables } from '../../src/program/read.js';
import {
  DONT_FRAGMENT,
  ICMP,
  ICMPV6,
  IPIP,
  IPV6,
  MORE_FRAGMENTS,
  TCP,
  UDP,
  checksum,
  ethernet,
  extension,
  icmp,
  ip,
  ipv4,
  ipv6,
  packet,
  tcp,
  u16,
  udp,
} from '../frames.js';
import { kernelSeconds } from '../../src/system/clock.js';
import type { Fill, Outcome } from './program.js';
import { Program } from './program.js';

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const AUTHENTICATION = 51;
const NO_NEXT_HEADER = 59;

const client = {
  ipv4: '192.0.2.7',
  ipv6: '2001:db8:c::7',
  mac: '02:00:00:00:00:01',
};
const service = { ipv4: '203.0.113.10', ipv6: '2001:db8:5::10' };
const balancer = {
  ipv4: '10.0.0.4',
  ipv6: '2001:db8:b::4',
  mac: '02:00:00:00:00:04',
};
const destination = {
  ipv4: '10.0.1.15',
  ipv6: '2001:db8:d::15',
  mac: '02:00:0a:00:01:0f',
};
const FAMILIES = ['ipv4', 'ipv6'] as const;
type Family = (typeof FAMILIES)[number];

const toBalancer = { to: balancer.mac, from: client.mac };
const web = { from: 4242, to: 80 };

function to(family: Family): { from: string; to: string } {
  return { from: client[family], to: service[family] };
}

function filled(family: Family, more: Partial<Fill> = {}): Fill {
  return {
    destinations: { [destination[family]]: destination.mac },
    vips: [`${service.ipv4}:80`, `[${service.ipv6}]:80`],
    source: [balancer.ipv4, balancer.ipv6],
    mac: balancer.mac,
    ...more,
  };
}

/** Takes the outer header apart by hand: its fields, and what follows it. */
function takeApart(frame: Buffer, family: Family, tags = 0): Record<string, unknown> {
  const outer = frame.subarray(14 + tags * 4);
  const length = family === 'ipv6' ? 40 : 20;
  return family === 'ipv6'
    ? {
        version: outer.readUInt8(0) >> 4,
        tos: (outer.readUInt16BE(0) >> 4) & 0xff,
        length: outer.readUInt16BE(4) + length,
        protocol: outer.readUInt8(6),
        ttl: outer.readUInt8(7),
        from: outer.subarray(8, 24),
        to: outer.subarray(24, 40),
        inner: outer.subarray(length),
      }
    : {
        version: outer.readUInt8(0) >> 4,
        tos: outer.readUInt8(1),
        length: outer.readUInt16BE(2),
        protocol: outer.readUInt8(9),
        ttl: outer.readUInt8(8),
        from: outer.subarray(12, 16),
        to: outer.subarray(16, 20),
        inner: outer.subarray(length),
        ...(checksum(outer.subarray(0, 20)) === 0 ? {} : { checksum: 'wrong' }),
      };
}

/** Expects that a frame is sent to the destination unchanged, whatever it is. */
function expectSent(
  outcome: Outcome,
  inner: Buffer,
  outer: Family,
  { tos = 0, protocol = IPIP, tags = [] as [number, number][] } = {},
): void {
  expect(outcome).toMatchObject({ action: 'TX', verdict: 'balanced' });
  const link = ethernet(
    { to: destination.mac, from: balancer.mac, tags },
    Buffer.alloc(0),
  );
  const linkLength = link.length - 2;
  expect(outcome.frame.subarray(0, linkLength)).toEqual(link.subarray(0, linkLength));
  expect(takeApart(outcome.frame, outer, tags.length)).toEqual({
    version: outer === 'ipv6' ? 6 : 4,
    tos,
    length: inner.length + (outer === 'ipv6' ? 40 : 20),
    protocol,
    ttl: 64,
    from: ip(balancer[outer]),
    to: ip(destination[outer]),
    inner,
  });
  expect(outcome.bytes).toBe(outcome.frame.length);
}

function expectUntouched(outcome: Outcome, frame: Buffer, verdict: VerdictName): void {
  expect(outcome).toMatchObject({ verdict, bytes: frame.length, frame });
  expect(outcome.action).not.toBe('TX');
}

const pairs = FAMILIES.flatMap((inner) =>
  FAMILIES.map((outer) => [inner, outer] as const),
);
const SINGLE: [number, number][] = [[0x8100, 7]];
const DOUBLE: [number, number][] = [
  [0x88a8, 100],
  [0x8100, 7],
];

describe.each<Build>(['portable', 'host'])('the %s build', (build) => {
  /** Filled anew by each group of tests; destinations that go leave nothing behind. */
  let shared: Program;
  let program: Program;
  beforeAll(async () => {
    shared = await Program.load(build);
  });
  afterAll(() => shared.close());

  const share = async (fill: Fill): Promise<void> => {
    program = shared;
    await program.fill(fill);
  };
  const send = (frame: Buffer): Promise<Outcome> => program.send(frame);

  describe.each(pairs)('%s in %s', (family, outer) => {
    const protocol = family === 'ipv6' ? IPV6 : IPIP;
    beforeAll(() => share(filled(outer)));

    const inner = packet({ ...to(family), protocol: UDP, tos: 0xb9 }, udp(web));
    test.each<[string, [number, number][]]>([
      ['no tag', []],
      ['one tag', SINGLE],
      ['two tags', DOUBLE],
    ])('with %s: tags, DSCP and ECN stay', async (_, tags) => {
      const outcome = await send(ethernet({ ...toBalancer, tags }, inner));
      expectSent(outcome, inner, outer, { tos: 0xb9, protocol, tags });
    });

    test('TCP', async () => {
      const syn = packet({ ...to(family), protocol: TCP }, tcp(web));
      expectSent(await send(ethernet(toBalancer, syn)), syn, outer, { protocol });
    });

    test('the largest packet that fits, and one byte more', async () => {
      const room = 1500 - (outer === 'ipv6' ? 40 : 20);
      const header = (family === 'ipv6' ? 40 : 20) + 8;
      const sized = (length: number): Buffer =>
        packet({ ...to(family), protocol: UDP }, udp(web, Buffer.alloc(length - header)));
      expect((await send(ethernet(toBalancer, sized(room)))).verdict).toBe('balanced');
      const told = await send(ethernet(toBalancer, sized(room + 1)));
      expect(told.verdict).toBe(build === 'host' ? 'too big told' : 'too big');
    });
  });

  describe('IPv6', () => {
    beforeAll(() => share(filled('ipv6')));

    const between = to('ipv6');
    const ports = udp(web);
    const behind = (next: number, ...rest: Buffer[]): Buffer =>
      ipv6({ ...between, next }, Buffer.concat([...rest, ports]));
    const six = Array.from({ length: 6 }, (_, number) =>
      extension(number === 5 ? UDP : HOP_BY_HOP),
    );

    test.each<[string, Buffer]>([
      ['hop-by-hop options', behind(HOP_BY_HOP, extension(UDP))],
      ['a routing header that has led here', behind(ROUTING, extension(UDP))],
      [
        'an authentication header of 12 bytes',
        behind(AUTHENTICATION, Buffer.from([UDP, 1]), Buffer.alloc(10)),
      ],
      ['a fragment header around all of the packet', behind(FRAGMENT, extension(UDP))],
      ['six headers', behind(HOP_BY_HOP, ...six)],
    ])('is balanced behind %s', async (_, inner) => {
      const outcome = await send(ethernet(toBalancer, inner));
      expectSent(outcome, inner, 'ipv6', { protocol: IPV6 });
    });

    const routed = Buffer.from([0, 1, 0, 0, 0, 0]);
    test.each<[VerdictName, string, Buffer]>([
      ['extension headers', 'seven headers', behind(HOP_BY_HOP, extension(0), ...six)],
      [
        'extension headers',
        'a route that goes on',
        behind(ROUTING, extension(UDP, routed)),
      ],
      ['malformed', 'a header cut short', behind(HOP_BY_HOP).subarray(0, 44)],
      [
        'malformed',
        'a length that lies',
        ipv6({ ...between, next: UDP, length: 9 }, ports),
      ],
      ['malformed', 'UDP cut short', ipv6({ ...between, next: UDP, length: 7 }, ports)],
      ['fragment', 'a first fragment', behind(FRAGMENT, extension(UDP, u16pair(1)))],
      ['fragment', 'a last fragment', behind(FRAGMENT, extension(UDP, u16pair(8)))],
      ['not tcp or udp', 'no next header', behind(NO_NEXT_HEADER)],
      [
        'not ours',
        'another port',
        ipv6({ ...between, next: UDP }, udp({ from: 1, to: 81 })),
      ],
      [
        'not ours',
        'an IPv4 address of a service, written as IPv6',
        ipv6({ from: client.ipv6, to: service.ipv6, next: UDP }, ports).fill(
          Buffer.concat([Buffer.alloc(10), Buffer.from([255, 255]), ip(service.ipv4)]),
          24,
          40,
        ),
      ],
    ])('%s: %s', async (verdict, _, inner) => {
      const frame = ethernet(toBalancer, inner);
      expectUntouched(await send(frame), frame, verdict);
    });

    test('the flow label is the same for a flow, and differs between flows', async () => {
      const label = async (from: number): Promise<number> => {
        const inner = ipv6({ ...between, next: UDP }, udp({ from, to: 80 }));
        return (await send(ethernet(toBalancer, inner))).frame.readUInt32BE(14) & 0xfffff;
      };
      const labels = [await label(1), await label(2), await label(3)];
      expect(new Set(labels).size).toBe(3);
      expect(await label(1)).toBe(labels[0]);
    });
  });

  test('not ip: three tags, and a tag cut short', async () => {
    await share(filled('ipv4'));
    const inner = packet({ ...to('ipv4'), protocol: UDP }, udp(web));
    const three = ethernet({ ...toBalancer, tags: [...DOUBLE, ...SINGLE] }, inner);
    expectUntouched(await send(three), three, 'not ip');
    const cut = ethernet({ ...toBalancer, tags: SINGLE }, inner).subarray(0, 16);
    expectUntouched(await send(cut), cut, 'not ip');
  });

  test('a source that is spread: every bit of it by flow, and the sum is right', async () => {
    await share(filled('ipv4', { source: '10.7.0.0/16' }));
    const frames = Array.from({ length: 200 }, (_, number) =>
      ethernet(
        toBalancer,
        packet({ ...to('ipv4'), protocol: UDP }, udp({ from: number + 1, to: 80 })),
      ),
    );
    const { ran, verdicts } = await program.runAll(frames);
    expect(verdicts).toEqual({ balanced: 200 });
    const sources = ran.map(({ frame }) => {
      expect(checksum(frame.subarray(14, 34))).toBe(0);
      expect(frame.subarray(26, 28)).toEqual(Buffer.from([10, 7]));
      return frame.readUInt16BE(28);
    });
    expect(new Set(sources).size).toBeGreaterThan(190);
    expect(sources.reduce((all, source) => all | source, 0)).toBe(0xffff);
  });

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
        const { ran, verdicts } = await program.runAll([...ours, ...errors]);
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
        const { ran, verdicts } = await program.runAll(frames);
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
          const { bpftool, mapIds } = program;
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

  describe.each(FAMILIES)('too big, over %s', (family) => {
    const protocol = family === 'ipv6' ? ICMPV6 : ICMP;
    const back = { from: service[family], to: client[family] };
    const quoted = family === 'ipv6' ? 1024 : 512;
    const mtu = Buffer.concat([u16(0), u16(1480)]);
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

  describe('fragments of a service that hashes by source', () => {
    beforeAll(async () => {
      const destinations = Object.fromEntries(
        Array.from({ length: 16 }, (_, number) => [
          `10.0.2.${number + 1}`,
          destination.mac,
        ]),
      );
      await share(filled('ipv4', { destinations }));
      await hashBySource(program);
    });

    test('all pieces go where whole packets of the source go', async () => {
      const sources = Array.from({ length: 20 }, (_, number) => `192.0.2.${number + 1}`);
      const frames = sources.flatMap((from) => {
        const way = { ...to('ipv4'), from, protocol: UDP };
        return [0, MORE_FRAGMENTS, MORE_FRAGMENTS | 10, 20].map((fragment) =>
          ethernet(toBalancer, ipv4({ ...way, fragment }, udp(web, Buffer.alloc(80)))),
        );
      });
      const { ran, verdicts } = await program.runAll(frames);
      expect(verdicts).toEqual({ balanced: 80 });
      const chosen = ran.map(({ frame }) => frame.subarray(30, 34).toString('hex'));
      sources.forEach((_, number) => {
        expect(new Set(chosen.slice(4 * number, 4 * number + 4)).size).toBe(1);
      });
    });

    test('IPv6 too', async () => {
      const pieces = [1, 81, 160].map((offset) =>
        ipv6(
          { ...to('ipv6'), next: FRAGMENT },
          Buffer.concat([extension(UDP, u16pair(offset)), udp(web, Buffer.alloc(80))]),
        ),
      );
      const whole = ipv6({ ...to('ipv6'), next: UDP }, udp({ from: 9, to: 80 }));
      const frames = [whole, ...pieces].map((inner) => ethernet(toBalancer, inner));
      const { ran, verdicts } = await program.runAll(frames);
      expect(verdicts).toEqual({ balanced: 4 });
      const chosen = ran.map(({ frame }) => frame.subarray(30, 34).toString('hex'));
      expect(new Set(chosen).size).toBe(1);
    });
  });
});

/** Changes the cells as `hash = "source"` in a config file does. */
async function hashBySource(program: Program): Promise<void> {
  const { cells, device, sizes } = await readTables(program.bpftool, program.maps);
  const ways = [...cells.values()]
    .filter(isWay)
    .map((cell) => ({ ...cell, flags: cell.flags | CELL_HASH_SOURCE }));
  const placed = placeCells(withNotes(ways), cells, device.cellSeed, sizes.cells);
  expect(placed.seed).toBe(device.cellSeed);
  await program.write(
    ...[...placed.cells].map(([key, value]) => ({
      map: 'services' as const,
      key,
      value,
    })),
  );
}

/** The offset and the more bit of a fragment header, after its reserved byte. */
function u16pair(offset: number): Buffer {
  return Buffer.concat([u16(offset), Buffer.alloc(4)]);
}
