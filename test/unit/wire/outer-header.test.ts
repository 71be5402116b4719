// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { headerSum, largestPacket, outerLength } from '../../../src/wire/outer-header.js';
import { BALANCER_6, WEB_1, WEB_6, ip, randomNumbers } from './names.js';

/** The outer header as encapsulate() writes it, with its checksum left zero. */
function outerHeader(
  source: Buffer,
  to: Buffer,
  innerLength: number,
  tos: number,
): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt8(0x45, 0);
  header.writeUInt8(tos, 1);
  header.writeUInt16BE(innerLength + 20, 2);
  header.writeUInt16BE(0x4000, 6);
  header.writeUInt8(64, 8);
  header.writeUInt8(4, 9);
  source.copy(header, 12, 12);
  to.copy(header, 16, 12);
  return header;
}

/** RFC 1071 over a whole header, folded for as long as there is a carry. */
function referenceChecksum(header: Buffer): number {
  let sum = 0;
  for (let at = 0; at < header.length; at += 2) sum += header.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** outer_checksum() of datapath/encapsulate.h, in host order. */
function programChecksum(headerSum_: number, length: number, tos: number): number {
  const sum = 0x4500_0000 + tos * 0x1_0000 + length + headerSum_;
  return ~(sum + (sum << 16) + (sum >>> 16)) >>> 16;
}

/** The same with one fold, as the original program did it. */
function foldedOnce(headerSum_: number, length: number, tos: number): number {
  const sum = 0x4500 + tos + length + headerSum_;
  return ~((sum & 0xffff) + (sum >>> 16)) & 0xffff;
}

function checksums(
  source: Buffer,
  to: Buffer,
  inner: number,
  tos: number,
): { program: number; reference: number } {
  return {
    program: programChecksum(headerSum(source, to), inner + 20, tos),
    reference: referenceChecksum(outerHeader(source, to, inner, tos)),
  };
}

describe('header-sum', () => {
  test.each([
    { source: '10.0.0.1', to: '10.1.154.254', inner: 1255, tos: 0 },
    { source: '10.0.0.1', to: '10.0.1.15', inner: 46, tos: 0 },
    { source: '10.0.0.1', to: '10.0.1.15', inner: 1480, tos: 0xb8 },
    { source: '1.0.0.0', to: '1.0.0.0', inner: 28, tos: 0 },
    { source: '255.255.255.255', to: '255.255.255.255', inner: 65515, tos: 255 },
    { source: '0.0.0.0', to: '0.0.0.0', inner: 0, tos: 0 },
  ])(
    'from $source to $to with $inner bytes and TOS $tos the checksum is right',
    ({ source, to, inner, tos }) => {
      const { program, reference } = checksums(ip(source), ip(to), inner, tos);
      expect(program).toBe(reference);
    },
  );

  test('a receiver finds the header of the case that one fold got wrong intact', () => {
    const header = outerHeader(ip('10.0.0.1'), ip('10.1.154.254'), 1255, 0);
    const sum = headerSum(ip('10.0.0.1'), ip('10.1.154.254'));
    header.writeUInt16BE(programChecksum(sum, 1275, 0), 10);
    expect(referenceChecksum(header)).toBe(0);
  });

  test('the checksum is right for 50,000 headers at random', () => {
    const random = randomNumbers(3);
    const below = (limit: number): number => Math.floor(random() * limit);
    const address = (): Buffer => ip([0, 0, 0, 0].map(() => below(256)).join('.'));
    const wrong = [];
    for (let i = 0; i < 50_000; i++) {
      const [source, to, inner, tos] = [address(), address(), below(65516), below(256)];
      const { program, reference } = checksums(source, to, inner, tos);
      if (program !== reference) wrong.push({ source, to, inner, tos });
    }
    expect(wrong).toEqual([]);
  });

  test('no carry is lost of the largest sums there can be', () => {
    const wrong = [];
    // Every sum near the largest, with the lengths and TOS that carry most.
    for (let low = 0xff00; low <= 0xffff; low++) {
      for (const length of [0xff00, 0xfffe, 0xffff, 20, 0x8000]) {
        for (const tos of [0, 1, 254, 255]) {
          let exact = 0x4500 + tos + length + low;
          while (exact > 0xffff) exact = (exact & 0xffff) + (exact >>> 16);
          if (programChecksum(low, length, tos) !== (~exact & 0xffff)) {
            wrong.push({ low, length, tos });
          }
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  test('one fold is not enough: that is why the program adds the carry, too', () => {
    const most = [0xffff, 0xbb00, 0] as const;
    expect(foldedOnce(...most)).not.toBe(programChecksum(...most));
  });

  test('the sum is folded: it always fits 16 bits', () => {
    expect(headerSum(ip('255.255.255.255'), ip('255.255.255.255'))).toBeLessThan(0x10000);
  });

  test.each([
    { mtu: 1500, inner: 1480 },
    { mtu: 9000, inner: 8980 },
    { mtu: 68, inner: 48 },
    { mtu: 20, inner: 0 },
    { mtu: 0, inner: 0 },
    { mtu: 65535, inner: 65515 },
    { mtu: 65536, inner: 65515 },
    { mtu: 262144, inner: 65515 },
  ])('an MTU of $mtu has room for an inner packet of $inner bytes', ({ mtu, inner }) => {
    expect(largestPacket(mtu, WEB_1, 'tunnel')).toBe(inner);
  });

  test.each([
    { mtu: 1500, inner: 1460 },
    { mtu: 1280, inner: 1240 },
    { mtu: 39, inner: 0 },
    { mtu: 262144, inner: 65495 },
  ])('to IPv6 an MTU of $mtu has room for $inner bytes', ({ mtu, inner }) => {
    expect(largestPacket(mtu, WEB_6, 'tunnel')).toBe(inner);
  });

  test('the outer header is of the family of the destination', () => {
    expect([WEB_1, WEB_6].map(outerLength)).toEqual([20, 40]);
  });

  test('an IPv6 header has no sum', () => {
    expect(headerSum(BALANCER_6, WEB_6)).toBe(0);
  });
});
