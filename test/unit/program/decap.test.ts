// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Which addresses the decapsulation program gets. */
import { expect, test } from '@jest/globals';

import type { MapInfo } from '../../../src/system/bpftool-text.js';
import { encodeKey } from '../../../src/abi/bytes.js';
import { encodeHost } from '../../../src/abi/decap.js';
import { DECAP_ABI } from '../../../src/abi/maps.js';
import { fillDecap, readDecap } from '../../../src/program/decap.js';
import { Bpftool } from '../../../src/system/bpftool.js';
import { Iproute } from '../../../src/system/ip/links.js';
import { Failure } from '../../../src/text/failure.js';
import { fakeRun } from '../system/fake-run.js';
import { ip } from '../wire/names.js';
import type { Change, Entry } from '../../../src/system/entries.js';
import { printed, textOf } from '../system/fake-entries.js';

const MAPS: MapInfo[] = ['addresses', 'verdicts', 'host'].map((name, index) => ({
  ...{ id: index + 1, name, kind: 'hash', keySize: 16, valueSize: 4, entries: 8 },
}));
const entry = (address: string): Entry => ({
  key: ip(address),
  values: [encodeKey(1)],
});
const update = (address: string): string =>
  `update 1 ${ip(address).toString('hex')} ${encodeKey(1).toString('hex')}`;
const COMPLETE = /^update 3 00000000 /;

/** What is changed. */
async function written(
  had: readonly string[],
  has: readonly string[],
  host = encodeHost({ abi: DECAP_ABI, names: {} }),
): Promise<string[]> {
  const links = [{ addr_info: has.map((local) => ({ local })) }];
  const fake = fakeRun({
    'ip -j addr show': JSON.stringify(links),
    'entries < dump 1': printed(had.map(entry)),
    'entries < dump 3': printed([{ key: encodeKey(0), values: [host] }]),
  });
  const lines: string[] = [];
  const tools = {
    ip: new Iproute(fake.run),
    bpftool: new (class extends Bpftool {
      override write(changes: Iterable<Change>): Promise<void> {
        lines.push(...textOf(changes));
        return Promise.resolve();
      }
    })(fake.run),
  };
  await fillDecap(tools, MAPS, 9);
  return lines;
}

test('those that the host has are written, and then that they are complete', async () => {
  expect(await written([], ['127.0.0.1', '10.0.1.15', '2001:db8::15'])).toEqual([
    update('127.0.0.1'),
    update('10.0.1.15'),
    update('2001:db8::15'),
    expect.stringMatching(COMPLETE),
  ]);
});

test('those that left the host are removed', async () => {
  expect(await written(['10.0.1.15', '10.0.1.16'], ['10.0.1.16'])).toEqual([
    `delete 1 ${ip('10.0.1.15').toString('hex')}`,
    update('10.0.1.16'),
    expect.stringMatching(COMPLETE),
  ]);
});

test('an address in the form of IPv6 is not taken for the IPv4 one', async () => {
  expect(await written([], ['::ffff:9.9.9.9', '10.0.1.15'])).toEqual([
    update('10.0.1.15'),
    expect.stringMatching(COMPLETE),
  ]);
});

test('the names that the program has stay', async () => {
  const names = { ipv4: { address: ip('10.7.0.0'), length: 16 } };
  const lines = await written([], ['10.0.1.15'], encodeHost({ abi: 0, names }));
  expect(lines.at(-1)).toBe(
    `update 3 00000000 ${encodeHost({ abi: DECAP_ABI, names }).toString('hex')}`,
  );
});

test('a program of an earlier build has no names, and gets none', async () => {
  const lines = await written([], ['10.0.1.15'], Buffer.alloc(8));
  const host = encodeHost({ abi: DECAP_ABI, names: {} });
  expect(lines.at(-1)).toContain(host.toString('hex'));
});

test('a program without one of the maps is not read as map 0', async () => {
  const bpftool = new Bpftool(fakeRun({}).run);
  await expect(readDecap({ bpftool }, MAPS.slice(0, 2))).rejects.toThrow(Failure);
});
