// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Other packets that a network sends, through both builds: IPv6, VLAN tags, extension
 * headers, fragments; icmp-packets.ts and too-big-packets.ts have the rest.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { isWay, placeCells, withNotes } from '../../src/plan/cells.js';
import type { Build } from '../../src/abi/maps.js';
import { CELL_HASH_SOURCE } from '../../src/abi/cell.js';
import type { VerdictName } from '../../src/abi/verdicts.js';
import { declaredBy } from '../../src/program/declared.js';
import type { MapShape } from '../../src/program/declared.js';
import { readState, readTables, untouchedTables } from '../../src/program/read.js';
import {
  IPIP,
  IPV6,
  MORE_FRAGMENTS,
  TCP,
  UDP,
  checksum,
  ethernet,
  extension,
  ip,
  ipv4,
  ipv6,
  packet,
  tcp,
  u16,
  udp,
} from '../frames.js';
import {
  client,
  service,
  destination,
  FAMILIES,
  toBalancer,
  web,
  to,
  filled,
  expectSent,
  expectUntouched,
  SINGLE,
  DOUBLE,
} from './any-packet.js';
import { icmpPackets } from './icmp-packets.js';
import type { Fill, Outcome } from './program.js';
import { Program, objectOf } from './program.js';
import { tooBigPackets } from './too-big-packets.js';

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const AUTHENTICATION = 51;
const NO_NEXT_HEADER = 59;

const pairs = FAMILIES.flatMap((inner) =>
  FAMILIES.map((outer) => [inner, outer] as const),
);

describe.each<Build>(['portable', 'host'])('the %s build', (build) => {
  /** Filled anew by each group of tests; destinations that go leave nothing behind. */
  let shared: Program;
  let program: Program;
  beforeAll(async () => {
    shared = await Program.load(build);
  });
  afterAll(() => shared.close());

  test('its maps hold zeros at first, so l4lb-load -f need not read them', async () => {
    const read = await readState(shared.bpftool, shared.maps);
    expect(read).toEqual(untouchedTables(shared.maps));
    const { counters, returned } = shared.maps;
    const counted = [counters, ...(returned ? [returned] : [])].map(({ id }) => id);
    const values = (await shared.bpftool.dumps(counted))
      .flat()
      .flatMap((one) => one.values);
    expect(values.every((value) => value.every((byte) => byte === 0))).toBe(true);
  });

  test('its maps are those that the object declares', () => {
    const { maps } = shared;
    const declared = declaredBy(objectOf(build), { sets: maps.flows?.entries });
    const byName = (one: MapShape, other: MapShape): number =>
      one.name.localeCompare(other.name);
    const loaded = (Object.values(maps) as MapShape[]).map(
      ({ name, kind, keySize, valueSize, entries }) => ({
        ...{ name, kind, keySize, valueSize, entries },
      }),
    );
    expect(declared?.maps.toSorted(byName)).toEqual(loaded.toSorted(byName));
  });

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

  icmpPackets(build, { share, send, program: () => program });
  tooBigPackets(build);

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
