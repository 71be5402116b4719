// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Which connections share a record, by chance or by intent. */
import { describe, expect, test } from '@jest/globals';

import { findRecord } from '../../../src/model/slot.js';
import { ip } from '../../frames.js';
import { Random } from '../../fuzz/random.js';

const LOG2_SETS = 17;
const service = ip('203.0.113.10');
const serviceV6 = ip('2001:db8::10');

/** Returns the set and the signature of a connection, as one text. */
function placeOf(source: Buffer, port: number, secret = 0x0123_4567_89ab_cdefn): string {
  const address = source.length === 4 ? service : serviceV6;
  const ports = { source: port, destination: 443 };
  const numbers = { flags: 2, sequence: 0, data: 0, isError: false, acknowledges: 0 };
  const connection = { source, address, protocol: 6, ports, ...numbers };
  const { set, signature } = findRecord({ log2Sets: LOG2_SETS, secret }, connection);
  return `${set} ${signature}`;
}

type Ends = [source: Buffer, port: number];

/** Counts the connections whose place another one has. */
function shared(connections: readonly Ends[]): number {
  const places = connections.map(([source, port]) => placeOf(source, port));
  return places.length - new Set(places).size;
}

const portsOf = (source: Buffer): Ends[] =>
  Array.from({ length: 5000 }, (_, port) => [source, 1024 + port]);

describe('a set and a signature', () => {
  test('are shared by none of 200,000 connections', () => {
    const random = new Random(5);
    const connections = Array.from({ length: 200_000 }, (): Ends => {
      const source = Buffer.alloc(4);
      source.writeUInt32LE(random.word());
      return [source, random.below(65_536)];
    });
    expect(shared(connections)).toBe(0);
  });

  test.each([
    ['in the upper bit', '70.51.100.1', '198.51.100.1'],
    ['in the lowest bit', '198.51.100.2', '198.51.100.3'],
    ['in both halves', '2001:db8:1::7', '2001:db8:8001::8007'],
  ])('are shared by no two sources that differ %s', (_, one, other) => {
    expect(shared([one, other].flatMap((source) => portsOf(ip(source))))).toBe(0);
  });

  test('tell nothing about those with another key', () => {
    const one = placeOf(ip('198.51.100.1'), 1024);
    expect(placeOf(ip('198.51.100.1'), 1024, 0x0123_4567_89ab_cdeen)).not.toBe(one);
  });
});
