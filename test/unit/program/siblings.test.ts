// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What is written about siblings: whom a destination knows, and where it counts. */
import { describe, expect, test } from '@jest/globals';

import { encodeKey } from '../../../src/abi/bytes.js';
import {
  EMPTY_PAIR,
  MOST_SIBLINGS,
  encodePair,
  encodeSibling,
  encodeSiblingKey,
} from '../../../src/abi/siblings.js';
import { siblingChanges } from '../../../src/program/siblings.js';
import type { NamedHost } from '../../../src/program/siblings.js';
import type { MapInfo } from '../../../src/system/bpftool-text.js';
import type { Names } from '../../../src/wire/names.js';
import { parseNames } from '../../../src/wire/names.js';
import { ip, mac } from '../wire/names.js';
import type { Entry } from '../../../src/system/entries.js';
import { textOf } from '../system/fake-entries.js';

const MAPS: MapInfo[] = ['siblings', 'pairs'].map((name, index) => ({
  ...{ id: index + 1, name, kind: 'hash', keySize: 8, valueSize: 24, entries: 8 },
}));
const IPV4 = parseNames('10.7.0.0/16');
const IPV6 = parseNames('fd00:7::/112');
const MAC = mac('02:00:0a:00:01:01');

const key = (number: number, version: 4 | 6 = 4): Buffer =>
  encodeSiblingKey({ number, version });
const there = (address: string, number: number, pair: number): Entry => ({
  key: key(number),
  values: [encodeSibling({ address: ip(address), mac: MAC, pair })],
});
const other = (address: string): NamedHost => ({ address: ip(address), mac: MAC });

const NAMES = { ipv4: IPV4, ipv6: IPV6 };
const NOW = 5000;

async function lines(
  known: Entry[],
  hosts: NamedHost[],
  before: Names = NAMES,
): Promise<string[]> {
  const bpftool = { dump: () => Promise.resolve(known) };
  return textOf(
    await siblingChanges(bpftool, MAPS, { names: NAMES, hosts }, before, NOW),
  );
}

const update = (address: string, number: number, pair: number, version?: 6): string =>
  `update 1 ${key(number, version).toString('hex')} ` +
  encodeSibling({
    address: ip(address),
    mac: pair ? MAC : Buffer.alloc(6),
    pair,
  }).toString('hex');
const FRESH = { ...EMPTY_PAIR, since: BigInt(NOW) };
const zero = (pair: number): string =>
  `update 2 ${encodeKey(pair).toString('hex')} ${encodePair(FRESH).toString('hex')}`;
const remove = (number: number): string => `delete 1 ${key(number).toString('hex')}`;

describe('siblings', () => {
  test('each gets a pair that counts from 0; this host has none', async () => {
    const hosts = [{ address: ip('10.0.1.1') }, other('10.0.1.2'), other('fd00::1:3')];
    expect(await lines([], hosts)).toEqual([
      update('10.0.1.1', 1, 0),
      ...[zero(1), update('10.0.1.2', 2, 1)],
      ...[zero(2), update('fd00::1:3', 3, 2, 6)],
    ]);
  });

  test('one that stays keeps its pair, and one that goes is removed first', async () => {
    const known = [there('10.0.1.2', 2, 5), there('10.0.1.3', 3, 1)];
    expect(await lines(known, [other('10.0.1.2'), other('10.0.1.4')])).toEqual([
      remove(3),
      update('10.0.1.2', 2, 5),
      ...[zero(2), update('10.0.1.4', 4, 2)],
    ]);
  });

  test('with another prefix each pair begins anew, since nothing was counted by it', async () => {
    const before = { ...NAMES, ipv4: parseNames('10.8.0.0/16') };
    expect(await lines([there('10.0.1.2', 2, 5)], [other('10.0.1.2')], before)).toEqual([
      ...[zero(5), update('10.0.1.2', 2, 5)],
    ]);
  });

  test('the pair of one that goes is used again only if no other is left', async () => {
    const known = Array.from({ length: MOST_SIBLINGS - 1 }, (_, index) =>
      there('10.0.1.2', index, index + 1),
    ).map((entry, index) => {
      const address = Buffer.from(ip('10.0.0.0'));
      address.writeUInt16BE(index + 1, 14);
      const value = encodeSibling({ address, mac: MAC, pair: index + 1 });
      return { ...entry, values: [value] };
    });
    const written = await lines(known, [other('10.9.1.9')]);
    expect(written.slice(-2)).toEqual([zero(1), update('10.9.1.9', 9, 1)]);
  });

  test('a host of a family without a prefix is left out', async () => {
    const bpftool = { dump: () => Promise.resolve([]) };
    const hosts = [other('fd00::1:3')];
    const wanted = { names: { ipv4: IPV4 }, hosts };
    expect(await siblingChanges(bpftool, MAPS, wanted, {}, NOW)).toEqual([]);
  });
});
