// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { ANY_ADDRESS } from '../../../src/wire/address.js';
import {
  SLOT_SEED,
  evenOut,
  fold,
  hash,
  hashOfWay,
  mix,
  slotOf,
} from '../../../src/wire/hash.js';
import { ip, randomNumbers } from './names.js';

/** datapath/hash.h, word for word, in numbers without a limit. */
function reference(seed: number, first: number, second: number): number {
  const u32 = (value: bigint): bigint => BigInt.asUintN(32, value);
  let h = u32(BigInt(seed));
  h = u32((h ^ u32(BigInt(first))) * 0x9e3779b1n);
  h ^= h >> 15n;
  h = u32((h ^ u32(BigInt(second))) * 0x85ebca77n);
  h ^= h >> 13n;
  h = u32(h * 0xc2b2ae3dn);
  h ^= h >> 16n;
  return Number(h);
}

/** The same of hash_of_way(). */
function referenceOfWay(
  seed: number,
  address: number,
  way: number,
  bits: number,
): number {
  const u32 = (value: bigint): bigint => BigInt.asUintN(32, value);
  const one = u32(BigInt(seed));
  const other = u32((u32(BigInt(seed)) << 16n) | (u32(BigInt(seed)) >> 16n));
  const sum = u32(BigInt(address)) * one + u32(BigInt(way)) * other;
  return Number(u32(sum) >> BigInt(32 - bits));
}

/** Words as the program reads them: little-endian from the bytes on the wire. */
function address(a: number, b: number, c: number, d: number): number {
  return Buffer.from([a, b, c, d]).readUInt32LE();
}
function ports(source: number, destination: number): number {
  const wire = Buffer.alloc(4);
  wire.writeUInt16BE(source, 0);
  wire.writeUInt16BE(destination, 2);
  return wire.readUInt32LE();
}

/** With 511 degrees of freedom, 640 is passed by chance once in 10,000 times. */
const CHI_SQUARE_BOUND = 640;

function chiSquare(buckets: number[]): number {
  const expected = buckets.reduce((sum, count) => sum + count, 0) / buckets.length;
  return buckets.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

function bitsSet(value: number): number {
  return value.toString(2).replaceAll('0', '').length;
}

describe('hash', () => {
  // They are a promise: another value would move nearly every connection.
  test.each([
    { seed: 0, first: 0, second: 0, expected: 0x00000000 },
    { seed: 1, first: 0, second: 0, expected: 0x0ab656ac },
    { seed: 0, first: 1, second: 0, expected: 0x0ab656ac },
    { seed: 0, first: 0, second: 1, expected: 0x606d18a8 },
    {
      seed: 0xffffffff,
      first: 0xffffffff,
      second: 0xffffffff,
      expected: 0xfb4231ca,
    },
    { seed: 0x12345678, first: 0x9abcdef0, second: 0x0fedcba9, expected: 0xd34ee50b },
  ])(
    'of $first and $second under seed $seed is $expected, as ever',
    ({ seed, first, second, expected }) => {
      expect(hash(seed, first, second)).toBe(expected);
    },
  );

  // From datapath/hash.h, compiled for this machine.
  test.each([
    { seed: 0, text: '2001:db8::1', expected: 0x7eb56656 },
    { seed: 0, text: '2001:db8::2', expected: 0x0aa3ca40 },
    { seed: 0, text: '2001:db8:1::1', expected: 0xb1339965 },
    { seed: 0, text: '::1', expected: 0xd2f20af2 },
    { seed: SLOT_SEED, text: '2001:db8::1', expected: 0x5ecc7ee0 },
    { seed: SLOT_SEED, text: '2001:db8:1::1', expected: 0x0767ff29 },
    { seed: SLOT_SEED, text: 'fd00::ffff:ffff', expected: 0xfb092d4c },
    { seed: 0xffffffff, text: '2001:db8::1', expected: 0x36d176b3 },
    { seed: 0xffffffff, text: 'fd00::ffff:ffff', expected: 0x58fe87c3 },
  ])('$text is folded to $expected under seed $seed', ({ seed, text, expected }) => {
    expect(fold(seed, ip(text))).toBe(expected);
  });

  test('an IPv4 address, and any, are the same word under each seed', () => {
    for (const seed of [0, 1, SLOT_SEED]) {
      expect(fold(seed, ip('10.0.1.15'))).toBe(address(10, 0, 1, 15));
      expect(fold(seed, ANY_ADDRESS)).toBe(0);
    }
  });

  test.each([
    {
      source: '10.0.0.1',
      first: address(10, 0, 0, 1),
      from: 1234,
      to: 80,
      mixed: 0xa55fce2c,
    },
    {
      source: '10.0.0.2',
      first: address(10, 0, 0, 2),
      from: 1234,
      to: 80,
      mixed: 0x82de9591,
    },
    {
      source: '198.51.100.7',
      first: address(198, 51, 100, 7),
      from: 40000,
      to: 443,
      mixed: 0xc5208756,
    },
    {
      source: '203.0.113.9',
      first: address(203, 0, 113, 9),
      from: 1,
      to: 0,
      mixed: 0x748aae0e,
    },
  ])(
    'puts $source port $from to port $to into the same slot as ever',
    ({ first, from, to, mixed }) => {
      expect(mix(SLOT_SEED, first, ports(from, to))).toBe(mixed);
    },
  );

  test.each([
    { log2Slots: 0, slot: 0 },
    { log2Slots: 1, slot: 1 },
    { log2Slots: 9, slot: 0x14a },
    { log2Slots: 16, slot: 0xa55f },
    { log2Slots: 20, slot: 0xa55fc },
  ])('the upper $log2Slots bits choose the slot', ({ log2Slots, slot }) => {
    expect(slotOf(0xa55fce2c, log2Slots)).toBe(slot);
  });

  test('agrees with the same steps in numbers that never overflow', () => {
    const random = randomNumbers(1);
    const word = (): number => Math.floor(random() * 2 ** 32);
    const edges = [0, 1, 0x7fffffff, 0x80000000, 0xffffffff];
    const inputs = [
      ...edges.flatMap((a) => edges.flatMap((b) => edges.map((c) => [a, b, c] as const))),
      ...Array.from({ length: 20_000 }, () => [word(), word(), word()] as const),
    ];
    const wrong = inputs.filter((words) => hash(...words) !== reference(...words));
    expect(wrong).toEqual([]);
  });

  test('takes a word as signed or unsigned alike', () => {
    expect(hash(-1, -2, -3)).toBe(hash(0xffffffff, 0xfffffffe, 0xfffffffd));
  });

  test.each([
    {
      flows: 'one client and the next, from one port',
      words: (i: number) => [
        address(10, (i >> 16) & 255, (i >> 8) & 255, i & 255),
        ports(1024, 80),
      ],
    },
    {
      flows: 'one client from one port and the next',
      words: (i: number) => [address(10, 0, 0, i >> 15), ports(1024 + (i & 0x7fff), 80)],
    },
    {
      flows: 'clients of one network, each from ports of its own',
      words: (i: number) => [
        address(10, i >> 16, (i >> 8) & 255, i & 255),
        ports(i & 0xffff, 443),
      ],
    },
    {
      flows: 'one client to one port and the next',
      words: (i: number) => [address(10, 0, 0, i >> 16), ports(5000, i & 0xffff)],
    },
  ] as { flows: string; words: (i: number) => [number, number] }[])(
    'spreads 100,000 flows evenly over 512 slots, and over 512 sources: $flows',
    ({ words }) => {
      const [slots, sources] = [0, 0].map(() => Array.from({ length: 512 }, () => 0));
      const add = (counts: number[] | undefined, at: number): void => {
        if (counts) counts[at] = (counts[at] ?? 0) + 1;
      };
      for (let i = 0; i < 100_000; i++) {
        const mixed = mix(SLOT_SEED, ...words(i));
        add(slots, slotOf(mixed, 9));
        add(sources, evenOut(mixed) & 511);
      }
      expect(chiSquare(slots ?? [])).toBeLessThan(CHI_SQUARE_BOUND);
      expect(chiSquare(sources ?? [])).toBeLessThan(CHI_SQUARE_BOUND);
    },
  );

  test.each([
    { word: 'the seed', flip: [1, 0, 0] },
    { word: 'the first word', flip: [0, 1, 0] },
    { word: 'the second word', flip: [0, 0, 1] },
  ])('changes about half of its bits with each bit of $word', ({ flip }) => {
    const random = randomNumbers(2);
    const ROUNDS = 500;
    for (let bit = 0; bit < 32; bit++) {
      let changed = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const words = [0, 0, 0].map(() => Math.floor(random() * 2 ** 32));
        const flipped = words.map((word, at) => word ^ ((flip[at] ?? 0) << bit));
        const one = hash(...(words as [number, number, number]));
        const other = hash(...(flipped as [number, number, number]));
        changed += bitsSet((one ^ other) >>> 0);
      }
      const share = changed / ROUNDS / 32;
      expect({ bit, share: Math.abs(share - 0.5) < 0.1 ? 'about half' : share }).toEqual({
        bit,
        share: 'about half',
      });
    }
  });
});

describe('the hash of a way', () => {
  const WAY = Buffer.from([0, 80, 6, 0]).readUInt32LE();

  // From datapath/hash.h, compiled for this machine.
  test.each([
    { seed: 0x00010001, bits: 10, expected: 336 },
    { seed: 0xffffffff, bits: 10, expected: 1007 },
    { seed: 0xffffffff, bits: 4, expected: 15 },
    { seed: 0x9e3779b1, bits: 10, expected: 163 },
    { seed: 0x9e3779b1, bits: 4, expected: 2 },
  ])('is $expected of $bits bits under seed $seed', ({ seed, bits, expected }) => {
    expect(hashOfWay(seed, address(10, 0, 0, 4), WAY, bits)).toBe(expected);
  });

  test('agrees with the same steps in numbers that never overflow', () => {
    const random = randomNumbers(2);
    const word = (): number => Math.floor(random() * 2 ** 32);
    const inputs = Array.from(
      { length: 20_000 },
      () => [word(), word(), word(), 1 + (word() % 20)] as const,
    );
    const wrong = inputs.filter(
      (words) => hashOfWay(...words) !== referenceOfWay(...words),
    );
    expect(wrong).toEqual([]);
  });
});
