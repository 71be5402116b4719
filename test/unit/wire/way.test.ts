// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { Fault, tryParse } from '../../../src/text/fault.js';
import { cellIndex, isWay, placeCells, withNotes } from '../../../src/plan/cells.js';
import { withOddHalves } from '../../../src/plan/seed-search.js';
import { TCP, UDP } from '../../../src/wire/protocols.js';
import {
  CELL_BY_PORT,
  CELL_FRAGMENTS,
  CELL_HASH_SOURCE,
  CELL_KEEPS_SSH,
  CELL_UDP_STAYS,
  CELL_USED,
} from '../../../src/abi/cell.js';
import type { Cell } from '../../../src/abi/cell.js';
import { ANY_ADDRESS } from '../../../src/wire/address.js';
import { Failure } from '../../../src/text/failure.js';
import { fold, hash, hashOfWay } from '../../../src/wire/hash.js';
import type { Way } from '../../../src/wire/way.js';
import {
  EVERYTHING,
  compareWays,
  formatWay,
  parseWays,
  versionOf,
  wayKey,
} from '../../../src/wire/way.js';
import { VIP, VIP_6, ip } from './names.js';

function ways(...texts: string[]): Way[] {
  return texts.flatMap((text) => parseWays(text));
}

/** Cells of one service. */
function cellsFor(...texts: string[]): Cell[] {
  return ways(...texts).map((way) => ({
    ...way,
    idle: 0,
    drainDeadline: 0,
    version: versionOf(way.address),
    firstSlot: 0,
    service: 1,
    log2Slots: 9,
    flags: CELL_USED,
  }));
}

/** Whether the program finds a way: its cell under the seed, and nothing else's. */
function isFound(
  way: Way,
  seed: number,
  cells: ReadonlyMap<number, Cell>,
  size: number,
): boolean {
  const cell = cells.get(cellIndex(way, seed, size));
  return cell !== undefined && wayKey(cell) === wayKey(way);
}

describe('ways', () => {
  test.each([
    { text: '192.0.2.10', means: ['192.0.2.10/tcp', '192.0.2.10/udp'] },
    { text: '192.0.2.10:80', means: ['192.0.2.10:80/tcp', '192.0.2.10:80/udp'] },
    { text: '192.0.2.10:80/tcp', means: ['192.0.2.10:80/tcp'] },
    { text: '192.0.2.10:53/UDP', means: ['192.0.2.10:53/udp'] },
    { text: '192.0.2.10/udp', means: ['192.0.2.10/udp'] },
    { text: '192.0.2.10:1', means: ['192.0.2.10:1/tcp', '192.0.2.10:1/udp'] },
    { text: '192.0.2.10:65535/tcp', means: ['192.0.2.10:65535/tcp'] },
    { text: '2001:db8::10', means: ['2001:db8::10/tcp', '2001:db8::10/udp'] },
    { text: '2001:DB8:0::10/tcp', means: ['2001:db8::10/tcp'] },
    { text: '[2001:db8::10]/tcp', means: ['2001:db8::10/tcp'] },
    {
      text: '[2001:db8::10]',
      means: ['2001:db8::10/tcp', '2001:db8::10/udp'],
    },
    { text: '[2001:db8::10]:443/tcp', means: ['[2001:db8::10]:443/tcp'] },
    { text: '[64:ff9b::192.0.2.10]:53/udp', means: ['[64:ff9b::c000:20a]:53/udp'] },
    // A legal address, whatever was meant.
    { text: '2001:db8::10:443/tcp', means: ['2001:db8::10:443/tcp'] },
    { text: 'any', means: ['any/tcp', 'any/udp'] },
    { text: 'any/tcp', means: ['any/tcp'] },
  ])('$text means $means', ({ text, means }) => {
    expect(ways(text).map(formatWay)).toEqual(means);
  });

  test('a way has its address, port and protocol', () => {
    expect(ways('192.0.2.10:443/tcp')).toEqual([
      { address: VIP, port: 443, protocol: TCP },
    ]);
    expect(ways('any/udp')).toEqual([{ address: ANY_ADDRESS, port: 0, protocol: UDP }]);
  });

  test.each([
    { text: '', reason: 'it is not of the form ADDR[:PORT][/PROTO]' },
    { text: ':80', reason: 'it is not of the form ADDR[:PORT][/PROTO]' },
    { text: '/tcp', reason: 'it is not of the form ADDR[:PORT][/PROTO]' },
    {
      text: '192.0.2.10:80:90',
      reason: '"80:90" is not a port from 1 to 65535',
    },
    { text: '192.0.2', reason: '"192.0.2" is not an IP address' },
    { text: '192.0.2.256:80', reason: '"192.0.2.256" is not an IP address' },
    { text: 'example.org', reason: '"example.org" is not an IP address' },
    { text: 'tcp', reason: '"tcp" is not an IP address' },
    {
      text: '127.0.0.1:80',
      reason: "127.0.0.1 cannot be a service's address: it is a loopback address",
    },
    {
      text: '224.0.0.1',
      reason: "224.0.0.1 cannot be a service's address: it is a multicast address",
    },
    {
      text: '0.0.0.0',
      reason:
        '0.0.0.0 cannot be a service\'s address: it stands for "this network" (0.0.0.0/8)',
    },
    {
      text: '2001:db8:0:0:0:0:0:10:443/tcp',
      reason:
        '"2001:db8:0:0:0:0:0:10:443" is not an IP address; with a port: [ADDR]:PORT',
    },
    { text: '[2001:db8::10', reason: 'its bracket is never closed' },
    { text: '[]:80', reason: 'its bracket is never closed' },
    { text: '[192.0.2.10]:80', reason: 'brackets are for IPv6 addresses' },
    { text: '[2001:db8::10]80', reason: 'it is not of the form ADDR[:PORT][/PROTO]' },
    { text: '[2001:db8::10]:', reason: '"" is not a port from 1 to 65535' },
    { text: '[2001:db8::10]:0', reason: '"0" is not a port from 1 to 65535' },
    { text: '[2001:db8::g]:80', reason: '"2001:db8::g" is not an IP address' },
    {
      text: '[fe80::1%eth0]:80',
      reason: '"fe80::1%eth0" names a zone, but packets have none; leave the zone out',
    },
    {
      text: '[::ffff:192.0.2.10]:80',
      reason: '"::ffff:192.0.2.10" is an IPv4 address in IPv6 form; write 192.0.2.10',
    },
    {
      text: '::1',
      reason: "::1 cannot be a service's address: it is a loopback address",
    },
    {
      text: '::',
      reason: ":: cannot be a service's address: it is the unspecified address",
    },
    { text: '192.0.2.10:', reason: '"" is not a port from 1 to 65535' },
    { text: '192.0.2.10:0', reason: '"0" is not a port from 1 to 65535' },
    { text: '192.0.2.10:65536', reason: '"65536" is not a port from 1 to 65535' },
    { text: '192.0.2.10:-1', reason: '"-1" is not a port from 1 to 65535' },
    { text: '192.0.2.10:http', reason: '"http" is not a port from 1 to 65535' },
    { text: '192.0.2.10:8e1', reason: '"8e1" is not a port from 1 to 65535' },
    { text: 'any:80', reason: 'a port needs an address before it' },
    { text: '192.0.2.10/', reason: '"" is neither tcp nor udp' },
    { text: '192.0.2.10/sctp', reason: '"sctp" is neither tcp nor udp' },
    { text: '192.0.2.10:80/6', reason: '"6" is neither tcp nor udp' },
    { text: '192.0.2.10/tcp/udp', reason: '"tcp/udp" is neither tcp nor udp' },
  ])('"$text" is no way: $reason', ({ text, reason }) => {
    expect(tryParse(() => parseWays(text))).toEqual(new Fault(reason));
  });

  test('everything is all TCP and all UDP', () => {
    expect(EVERYTHING.map(formatWay)).toEqual(['any/tcp', 'any/udp']);
  });

  test('a protocol without a name is written as its number', () => {
    expect(formatWay({ address: VIP, port: 0, protocol: 132 })).toBe('192.0.2.10/132');
  });

  test.each([
    { one: '192.0.2.10/tcp', other: '192.0.2.10/udp' },
    { one: '192.0.2.10/tcp', other: '192.0.2.10:80/tcp' },
    { one: '192.0.2.10/tcp', other: '192.0.2.11/tcp' },
    { one: 'any/tcp', other: '192.0.2.10/tcp' },
  ])('$one and $other have different keys', ({ one, other }) => {
    const keys = ways(one, other).map(wayKey);
    expect(keys[0]).not.toBe(keys[1]);
  });

  test('a cell is hashed from the address, and port and protocol as they lie in it', () => {
    const [way] = cellsFor('192.0.2.10:443/tcp');
    const inCell = Buffer.from([443 >> 8, 443 & 255, TCP, 0]).readUInt32LE();
    const address = Buffer.from([192, 0, 2, 10]).readUInt32LE();
    const expected = hashOfWay(99, address, inCell, 10);
    expect(way && cellIndex(way, 99, 1024)).toBe(expected);
  });

  test('an IPv6 address is folded to a word, and its version is hashed with it', () => {
    const [way] = cellsFor('[2001:db8:ffff::10]:443/tcp');
    const inCell = Buffer.from([443 >> 8, 443 & 255, TCP, 6]).readUInt32LE();
    const expected = hashOfWay(99, fold(99, VIP_6), inCell, 10);
    expect(way?.version).toBe(6);
    expect(way && cellIndex(way, 99, 1024)).toBe(expected);
    expect(versionOf(ANY_ADDRESS)).toBe(0);
  });

  test('are in the order of any, IPv4, IPv6, and then of port and protocol', () => {
    const sorted = [
      ...['any/udp', '9.0.0.1/tcp', '192.0.2.10/tcp', '192.0.2.10:80/tcp'],
      ...['192.0.2.10:80/udp', '2001:db8::9/udp', '[2001:db8::10]:80/tcp'],
    ];
    const shuffled = ways(...[...sorted].reverse());
    expect(shuffled.sort(compareWays).map(formatWay)).toEqual(sorted);
  });
});

describe('notes for fragments', () => {
  test.each([
    {
      given: ['192.0.2.10:80/tcp'],
      notes: ['192.0.2.10/tcp'],
    },
    {
      given: ['192.0.2.10:80/tcp', '192.0.2.10:443/tcp'],
      notes: ['192.0.2.10/tcp'],
    },
    {
      given: ['192.0.2.10:53'],
      notes: ['192.0.2.10/tcp', '192.0.2.10/udp'],
    },
    {
      given: ['192.0.2.10:80/tcp', '192.0.2.20:80/tcp'],
      notes: ['192.0.2.10/tcp', '192.0.2.20/tcp'],
    },
    { given: ['192.0.2.10:80/tcp', '192.0.2.10/tcp'], notes: [] },
    { given: ['192.0.2.10:80/tcp', '192.0.2.10/udp'], notes: ['192.0.2.10/tcp'] },
    { given: ['192.0.2.10'], notes: [] },
    { given: ['any'], notes: [] },
  ])('$given are followed by the notes $notes', ({ given, notes }) => {
    const cells = withNotes(cellsFor(...given));
    const [own, added] = [
      cells.slice(0, ways(...given).length),
      cells.slice(ways(...given).length),
    ];
    expect(own).toEqual(cellsFor(...given));
    expect(added.map(formatWay)).toEqual(notes);
    for (const note of added) {
      expect(note).toMatchObject({ port: 0, service: 0, flags: CELL_BY_PORT });
    }
  });

  test('a note is no way', () => {
    const [way, note] = withNotes(cellsFor('192.0.2.10:80/tcp'));
    expect(way && isWay(way)).toBe(true);
    expect(note && isWay(note)).toBe(false);
  });
});

describe('the places of cells', () => {
  const NOTHING: ReadonlyMap<number, Cell> = new Map();
  /** Like any seed of cells it has two odd halves. */
  const SEED = 0x004d_0001;

  test.each([
    { count: 1, size: 16 },
    { count: 8, size: 16 },
    { count: 40, size: 1024 },
    { count: 100, size: 1024 },
  ])('$count ways in $size cells never share one', ({ count, size }) => {
    const wanted = cellsFor(
      ...Array.from({ length: count }, (_, i) => `192.0.2.${i + 1}:80/tcp`),
    );
    const { seed, cells } = placeCells(wanted, NOTHING, 0, size);
    expect(cells.size).toBe(count);
    expect([...cells.keys()].every((index) => index >= 0 && index < size)).toBe(true);
    expect(wanted.filter((way) => !isFound(way, seed, cells, size))).toEqual([]);
  });

  test('the seed stays where no two ways share a cell under it', () => {
    const before = placeCells(cellsFor('192.0.2.10/tcp'), NOTHING, SEED, 1024);
    expect(before.seed).toBe(SEED);
    const wanted = cellsFor('192.0.2.10/tcp', '192.0.2.20/tcp');
    expect(placeCells(wanted, before.cells, SEED, 1024).seed).toBe(SEED);
  });

  test('the seed stays where ways are taken away', () => {
    const texts = Array.from({ length: 8 }, (_, i) => `192.0.2.${i + 1}/tcp`);
    const before = placeCells(cellsFor(...texts), NOTHING, 0, 16);
    const after = placeCells(
      cellsFor(...texts.slice(0, 3)),
      before.cells,
      before.seed,
      16,
    );
    expect(after.seed).toBe(before.seed);
    expect(after.cells.size).toBe(3);
  });

  test('under the same seed a new way may have the cell of one that goes', () => {
    const size = 16;
    const [gone] = cellsFor('192.0.2.1/tcp');
    if (!gone) throw new Error('no way');
    const cell = cellIndex(gone, SEED, size);
    const [heir] = Array.from({ length: 200 }, (_, i) => cellsFor(`198.51.100.${i}/tcp`))
      .flat()
      .filter((way) => cellIndex(way, SEED, size) === cell);
    if (!heir) throw new Error('no way with the same cell');
    const live = new Map([[cell, gone]]);
    const { seed, cells } = placeCells([heir], live, SEED, size);
    expect({ seed, cells: [...cells] }).toEqual({ seed: SEED, cells: [[cell, heir]] });
  });

  test('a device that was never filled gets a seed with two odd halves', () => {
    expect(placeCells(cellsFor('192.0.2.10/tcp'), NOTHING, 0, 1024).seed).toBe(0x1_0001);
  });

  test.each([
    { address: '192.0.2.N', size: 16, most: 8 },
    { address: '198.51.100.N', size: 16, most: 8 },
    { address: '203.0.113.N', size: 16, most: 8 },
    { address: '10.20.30.N', size: 64, most: 20 },
    { address: '10.N.31.7', size: 1024, most: 60 },
  ])(
    'a way of $address more each time, up to $most in $size cells, harms none on the way',
    ({ address, size, most }) => {
      let live = new Map<number, Cell>();
      let seed = 0;
      let seeds = 0;
      for (let count = 1; count <= most; count++) {
        const wanted = cellsFor(
          ...Array.from(
            { length: count },
            (_, i) => `${address.replace('N', String(i + 1))}/tcp`,
          ),
        );
        const old = wanted.slice(0, -1);
        const placed = placeCells(wanted, live, seed, size);

        // One cell after the other is written, under the old seed still.
        const between = new Map(live);
        for (const [index, cell] of placed.cells) {
          between.set(index, cell);
          expect(old.filter((way) => !isFound(way, seed, between, size))).toEqual([]);
        }
        // Then the program is told of the new seed, and what is left over goes.
        if (placed.seed !== seed) seeds++;
        seed = placed.seed;
        expect(wanted.filter((way) => !isFound(way, seed, between, size))).toEqual([]);
        live = placed.cells;
        expect(wanted.filter((way) => !isFound(way, seed, live, size))).toEqual([]);
      }
      expect(live.size).toBe(most);
      expect(seeds).toBeGreaterThan(0);
    },
  );

  test('under a new seed a way stays out of the cells of all that are live', () => {
    // State ways that go are found under the old seed until the new one stands.
    const size = 16;
    for (let first = 1; first < 200; first += 8) {
      const texts = Array.from({ length: 8 }, (_, i) => `192.0.2.${first + i}/tcp`);
      const before = placeCells(cellsFor(...texts), NOTHING, 0, size);
      const wanted = cellsFor(
        ...texts.slice(0, 3),
        '198.51.100.1/tcp',
        '198.51.100.2/tcp',
      );
      const after = placeCells(wanted, before.cells, before.seed, size);
      if (after.seed === before.seed) continue;
      for (const [index, cell] of after.cells) {
        const there = before.cells.get(index);
        expect(there ? wayKey(there) : 'free').toBe(there ? wayKey(cell) : 'free');
      }
    }
  });

  test('more ways than cells are refused with what takes a cell, and what to do', () => {
    const wanted = cellsFor(...Array.from({ length: 17 }, (_, i) => `192.0.2.${i}/tcp`));
    const attempt = (): unknown => placeCells(wanted, NOTHING, 0, 16);
    expect(attempt).toThrow(Failure);
    expect(attempt).toThrow(
      expect.objectContaining({
        message: '17 ways into services do not fit the 16 cells',
        advice: {
          cause:
            'each address, port and protocol takes a cell, and so does each address with ports',
          next: 'name fewer ways, or all of them anew, or use the host build with its 1,024 cells',
        },
      }),
    );
  });

  test('so many IPv6 ways that a search would be in vain are refused without one', () => {
    const size = 1024;
    // Under the first seed that a search tries, these ways share no cell: it would succeed.
    const first = withOddHalves(hash(SEED, 1, 0));
    const places = new Map<number, Cell>();
    for (let i = 1; places.size < 200; i++) {
      const [way] = cellsFor(`2001:db8::${i.toString(16)}/tcp`);
      if (way) places.set(cellIndex(way, first, size), way);
    }
    const wanted = [...places.values()];
    const cells = new Set(wanted.map((way) => cellIndex(way, SEED, size)));
    expect(cells.size).toBeLessThan(wanted.length);
    expect(() => placeCells(wanted, NOTHING, SEED, size)).toThrow(
      '200 ways into services do not fit the 1024 cells',
    );
  });

  test('the notes take cells as the ways do', () => {
    const wanted = withNotes(
      cellsFor(...Array.from({ length: 9 }, (_, i) => `192.0.2.${i}:80/tcp`)),
    );
    expect(() => placeCells(wanted, NOTHING, 0, 16)).toThrow(
      '18 ways into services do not fit the 16 cells',
    );
  });

  test('another seed is a number of 32 bits, after the largest as well', () => {
    const size = 2;
    const clash = Array.from({ length: 100 }, (_, i) => ip(`192.0.2.${i}`))
      .map((address) => ({ address, port: 0, protocol: TCP }))
      .filter((way) => cellIndex(way, 0xffffffff, size) === 1)
      .slice(0, 2)
      .map((way) => ({
        ...way,
        idle: 0,
        drainDeadline: 0,
        version: 0,
        firstSlot: 0,
        service: 1,
        log2Slots: 9,
        flags: CELL_USED,
      }));
    const { seed, cells } = placeCells(clash, NOTHING, 0xffffffff, size);
    expect(seed).not.toBe(0xffffffff);
    expect(seed).toBe(seed >>> 0);
    expect(cells.size).toBe(2);
  });
});

/** Which cells take fragments, and for which service. */
describe('fragments', () => {
  interface Group {
    service: number;
    flags: number;
    ways: string[];
  }
  const AFFINITY = CELL_HASH_SOURCE;

  function cellsOf(groups: Group[]): Cell[] {
    return groups.flatMap(({ service, flags, ways: texts }) =>
      cellsFor(...texts).map((cell) => ({
        ...cell,
        service,
        firstSlot: service * 512,
        flags: CELL_USED | flags,
      })),
    );
  }

  function takers(cells: readonly Cell[]): string[] {
    return cells
      .filter(({ flags }) => flags & CELL_FRAGMENTS)
      .map((cell) => `${formatWay(cell)} ${cell.service}${isWay(cell) ? '' : ' note'}`)
      .sort();
  }

  test.each<{ what: string; groups: Group[]; expected: string[] }>([
    {
      what: 'ways of a service that hashes by source and ports take none',
      groups: [{ service: 1, flags: 0, ways: ['192.0.2.10', '192.0.2.11:80'] }],
      expected: [],
    },
    {
      what: 'a way on all ports takes them, where it hashes by source',
      groups: [{ service: 1, flags: AFFINITY, ways: ['192.0.2.10'] }],
      expected: ['192.0.2.10/tcp 1', '192.0.2.10/udp 1'],
    },
    {
      what: 'one that keeps ssh takes those of UDP alone',
      groups: [{ service: 1, flags: AFFINITY | CELL_KEEPS_SSH, ways: ['2001:db8::10'] }],
      expected: ['2001:db8::10/udp 1'],
    },
    {
      what: 'a note takes them for its ways by port',
      groups: [
        { service: 1, flags: AFFINITY, ways: ['192.0.2.10:80', '192.0.2.10:81/tcp'] },
      ],
      expected: ['192.0.2.10/tcp 1 note', '192.0.2.10/udp 1 note'],
    },
    {
      what: 'a note of two services takes none',
      groups: [
        { service: 1, flags: AFFINITY, ways: ['192.0.2.10:80/tcp'] },
        { service: 2, flags: AFFINITY, ways: ['192.0.2.10:81/tcp'] },
      ],
      expected: [],
    },
    {
      what: 'nor a way on all ports, where a port leads elsewhere',
      groups: [
        { service: 1, flags: AFFINITY, ways: ['192.0.2.10/tcp'] },
        { service: 2, flags: AFFINITY, ways: ['192.0.2.10:81/tcp'] },
      ],
      expected: [],
    },
    {
      what: 'another protocol has nothing to do with it',
      groups: [
        { service: 1, flags: AFFINITY, ways: ['192.0.2.10/tcp'] },
        { service: 2, flags: 0, ways: ['192.0.2.10:81/udp'] },
      ],
      expected: ['192.0.2.10/tcp 1'],
    },
    {
      what: 'the way on all addresses takes them',
      groups: [{ service: 1, flags: AFFINITY, ways: ['any'] }],
      expected: ['any/tcp 1', 'any/udp 1'],
    },
    {
      what: 'a note is in doubt where its other ports go to another service by any',
      groups: [
        { service: 1, flags: AFFINITY, ways: ['192.0.2.10:80/tcp'] },
        { service: 2, flags: AFFINITY, ways: ['any/tcp'] },
      ],
      expected: ['any/tcp 2'],
    },
    {
      what: 'and where that keeps ssh, be it of the same service',
      groups: [
        { service: 1, flags: AFFINITY, ways: ['192.0.2.10:80/tcp'] },
        { service: 1, flags: AFFINITY | CELL_KEEPS_SSH, ways: ['any/tcp'] },
      ],
      expected: [],
    },
    {
      what: 'but not where its other ports go to the same service',
      groups: [{ service: 1, flags: AFFINITY, ways: ['192.0.2.10:80/tcp', 'any/tcp'] }],
      expected: ['192.0.2.10/tcp 1 note', 'any/tcp 1'],
    },
    {
      what: 'a way on all ports is in no doubt: any does not come into it',
      groups: [
        { service: 1, flags: AFFINITY, ways: ['192.0.2.10/tcp'] },
        { service: 2, flags: 0, ways: ['any/tcp'] },
      ],
      expected: ['192.0.2.10/tcp 1'],
    },
  ])('$what', ({ groups, expected }) => {
    expect(takers(withNotes(cellsOf(groups)))).toEqual(expected);
  });

  test('a note that takes them has the target of the service, and is no way', () => {
    const [cell] = cellsOf([
      { service: 3, flags: AFFINITY | CELL_UDP_STAYS, ways: ['[2001:db8::10]:53/udp'] },
    ]);
    const note = cell && withNotes([cell])[1];
    expect(note).toEqual({
      ...cell,
      port: 0,
      flags: CELL_BY_PORT | CELL_FRAGMENTS | AFFINITY | CELL_UDP_STAYS,
    });
    expect(note && isWay(note)).toBe(false);
  });

  test('a way that took them takes them no longer when another service comes', () => {
    const alone = withNotes(
      cellsOf([{ service: 1, flags: AFFINITY, ways: ['192.0.2.10/tcp'] }]),
    );
    expect(takers(alone)).toEqual(['192.0.2.10/tcp 1']);
    const other = cellsOf([{ service: 2, flags: 0, ways: ['192.0.2.10:80/tcp'] }]);
    expect(takers(withNotes([...alone, ...other]))).toEqual([]);
    expect(alone[0]?.flags).toBe(CELL_USED | AFFINITY | CELL_FRAGMENTS);
  });
});
