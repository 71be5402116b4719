// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Which addresses the decapsulation program gets. */
import { expect, test } from '@jest/globals';

import { hex } from '../../../src/system/bpftool-text.js';
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

const MAPS: MapInfo[] = ['addresses', 'verdicts', 'host'].map((name, index) => ({
  ...{ id: index + 1, name, kind: 'hash', keySize: 16, valueSize: 4, entries: 8 },
}));
const bytesOf = (value: Buffer): string[] =>
  [...value].map((byte) => `0x${byte.toString(16).padStart(2, '0')}`);

const entry = (address: string): object => ({
  key: bytesOf(ip(address)),
  value: ['0x01', '0x00', '0x00', '0x00'],
});
const update = (address: string): string =>
  `map update id 1 key hex ${hex(ip(address))} value hex ${hex(encodeKey(1))}`;
const COMPLETE = /^map update id 3 key hex 00 00 00 00 value hex /;

/** The lines of the batch that writes. */
async function written(
  had: readonly string[],
  has: readonly string[],
  host = encodeHost({ abi: DECAP_ABI, names: {} }),
): Promise<string[]> {
  const links = [{ addr_info: has.map((local) => ({ local })) }];
  const fake = fakeRun({
    'ip -j addr show': JSON.stringify(links),
    'bpftool -j batch file - < map dump id 1': JSON.stringify([
      { output: had.map(entry) },
    ]),
    'bpftool -j batch file - < map dump id 3': JSON.stringify([
      { output: [{ key: bytesOf(encodeKey(0)), value: bytesOf(host) }] },
    ]),
  });
  const lines: string[] = [];
  const tools = {
    ip: new Iproute(fake.run),
    bpftool: new (class extends Bpftool {
      override write(batch: Iterable<string>): Promise<void> {
        lines.push(...batch);
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
    `map delete id 1 key hex ${hex(ip('10.0.1.15'))}`,
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
    `map update id 3 key hex 00 00 00 00 value hex ${hex(encodeHost({ abi: DECAP_ABI, names }))}`,
  );
});

test('a program of an earlier build has no names, and gets none', async () => {
  const lines = await written([], ['10.0.1.15'], Buffer.alloc(8));
  const host = encodeHost({ abi: DECAP_ABI, names: {} });
  expect(lines.at(-1)).toContain(`value hex ${hex(host)}`);
});

test('a program without one of the maps is not read as map 0', async () => {
  const bpftool = new Bpftool(fakeRun({}).run);
  await expect(readDecap({ bpftool }, MAPS.slice(0, 2))).rejects.toThrow(Failure);
});
