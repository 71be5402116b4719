// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { indexOf, isHopeful, searchSeed } from '../../../src/plan/seed-search.js';
import type { HashWords } from '../../../src/plan/seed-search.js';
import { wordsOf } from '../../../src/wire/hash.js';
import { ip, randomNumbers } from '../wire/names.js';

const CELLS = 1024;
const random = randomNumbers(14);

const waysOf = (count: number, address: (index: number) => string): HashWords[] =>
  Array.from({ length: count }, (_, index) => ({
    address: wordsOf(ip(address(index))),
    last: 0x0406_5000,
  }));
const ipv6 = (count: number): HashWords[] =>
  waysOf(
    count,
    (index) => `2001:db8::${Math.floor(random() * 65536).toString(16)}:${index}`,
  );
const ipv4 = (count: number): HashWords[] =>
  waysOf(count, (index) => `192.0.${index >> 8}.${index & 255}`);

describe('a search for a seed', () => {
  test.each([
    { what: '160 IPv6 ways', ways: ipv6(160), hopeful: true },
    { what: '200 IPv6 ways', ways: ipv6(200), hopeful: false },
    { what: '260 IPv4 ways', ways: ipv4(260), hopeful: true },
    { what: 'more ways than cells', ways: ipv4(1025), hopeful: false },
  ])('for $what is worth its time: $hopeful', ({ ways, hopeful }) => {
    expect(isHopeful(ways, CELLS)).toBe(hopeful);
  });

  test.each([
    { what: '120 IPv6 ways', ways: ipv6(120) },
    { what: '260 IPv4 ways', ways: ipv4(260) },
    { what: 'both', ways: [...ipv6(60), ...ipv4(100)] },
  ])('finds one for $what', ({ ways }) => {
    const seed = searchSeed(ways, new Map(), 7, CELLS) ?? 0;
    expect(seed & 0x1_0001).toBe(0x1_0001);
    const cells = new Set(ways.map((way) => indexOf(way, seed, CELLS)));
    expect(cells.size).toBe(ways.length);
  });

  test('leaves the cells of others alone, and may use those of the same way', () => {
    const ways = [...ipv6(4), ...ipv4(4)];
    // Of 16 cells all are occupied: 8 by others, and each way may have one.
    const seed = searchSeed(ways, new Map(), 7, 16) ?? 0;
    const own = new Map(ways.map((way, number) => [indexOf(way, seed, 16), number]));
    const occupied = new Map(
      Array.from({ length: 16 }, (_, cell) => [cell, own.get(cell) ?? -1]),
    );
    const found = searchSeed(ways, occupied, 7, 16) ?? 0;
    expect(ways.map((way) => indexOf(way, found, 16))).toEqual([...own.keys()]);
    // A way that has no place among them has none at all.
    occupied.set(own.keys().next().value ?? 0, -1);
    expect(
      searchSeed(
        ways.slice(0, 1),
        new Map([...Array(16).keys()].map((cell) => [cell, -1])),
        7,
        16,
      ),
    ).toBeUndefined();
  });
});
