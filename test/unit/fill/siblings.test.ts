// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Which destinations of the balancers' files can be named. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';

import { prepareSiblings } from '../../../src/fill/siblings.js';
import { Iproute } from '../../../src/system/ip/links.js';
import type { Link } from '../../../src/system/ip/links.js';
import { formatAddress, formatMac } from '../../../src/wire/address.js';
import { joinNames, parseNames } from '../../../src/wire/names.js';
import { fakeRun } from '../system/fake-run.js';

const folder = mkdtempSync(join(tmpdir(), 'l4lb-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const LINK = { name: 'eth0' } as Link;
const SELF = '10.0.1.1';

async function prepare(
  texts: Record<string, string>,
  prefixes = ['10.7.0.0/16'],
): Promise<{ hosts: string[]; warnings: string[] }> {
  const files = Object.entries(texts).map(([name, text]) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  });
  const { run } = fakeRun({
    'ip -j addr show': JSON.stringify([{ addr_info: [{ local: SELF }] }]),
  });
  const names = joinNames(prefixes.map(parseNames));
  const tools = { run, ip: new Iproute(run) };
  const { hosts, warnings } = await prepareSiblings(tools, LINK, names, files);
  return {
    hosts: hosts.map(
      ({ address, mac }) => formatAddress(address) + (mac ? ` ${formatMac(mac)}` : ''),
    ),
    warnings,
  };
}

const row = (number: string, mac = '02:00:0a:00:01:09'): string => `${number},${mac}\n`;

test('this host needs no MAC; another gets that of its row', async () => {
  expect(await prepare({ 'a.csv': `${SELF}\n${row('10.0.1.2')}` })).toEqual({
    hosts: ['10.0.1.1', '10.0.1.2 02:00:0a:00:01:09'],
    warnings: [],
  });
});

test('several files count as one, config files among them; a MAC is taken where it is', async () => {
  const toml = `[[service]]
name = "web"
address = "198.51.100.10"
destinations = ["${SELF}", "10.0.1.2"]
[[service]]
name = "mail"
address = "198.51.100.11"
destinations = [{ address = "10.0.1.3", mac = "02:00:0a:00:01:03" }]
`;
  const { hosts } = await prepare({ 'all.toml': toml, 'b.csv': row('10.0.1.2') });
  expect(hosts).toEqual([
    '10.0.1.1',
    '10.0.1.2 02:00:0a:00:01:09',
    '10.0.1.3 02:00:0a:00:01:03',
  ]);
});

test.each<[string, string[], string[], string[]]>([
  [
    'the number 0',
    [SELF, '10.0.2.0', '10.0.1.3'],
    ['10.0.1.1', '10.0.1.3 02:00:0a:00:01:09'],
    ['10.0.2.0 cannot be named: its last bits, which are its number, are 0'],
  ],
  [
    'two of one number',
    [SELF, '10.0.1.2', '10.0.2.2', '10.0.1.3'],
    ['10.0.1.1', '10.0.1.3 02:00:0a:00:01:09'],
    [
      '10.0.1.2, 10.0.2.2 cannot be named: all have the number 2; a shorter prefix tells more apart',
    ],
  ],
  [
    'a family without a prefix',
    [SELF, 'fd00::1:2', '10.0.1.3'],
    ['10.0.1.1', '10.0.1.3 02:00:0a:00:01:09'],
    ['the IPv6 destinations cannot be named: there is no prefix of theirs'],
  ],
  [
    'a file without this host',
    ['10.0.1.2'],
    ['10.0.1.2 02:00:0a:00:01:09'],
    ['no file names an address of this host; a sibling cannot tell who sent a packet on'],
  ],
  [
    'a number that this host shares',
    [SELF, '10.0.2.1', '10.0.1.3'],
    ['10.0.1.3 02:00:0a:00:01:09'],
    [
      '10.0.1.1, 10.0.2.1 cannot be named: all have the number 1; a shorter prefix tells more apart',
      'this host cannot be named itself; a sibling cannot tell who sent a packet on',
    ],
  ],
])('%s is reported', async (_, addresses, hosts, warnings) => {
  const text = addresses.map((address) => row(address)).join('');
  expect(await prepare({ 'a.csv': text })).toEqual({ hosts, warnings });
});

test('a destination is not left without a sibling that can be named', async () => {
  const files = { 'a.csv': `${SELF}\n${row('10.0.2.0')}` };
  await expect(prepare(files)).rejects.toMatchObject({
    message: 'no sibling can be named',
    advice: {
      cause: '10.0.2.0 cannot be named: its last bits, which are its number, are 0',
    },
  });
  expect(await prepare({ 'a.csv': `${SELF}\n` })).toEqual({
    hosts: ['10.0.1.1'],
    warnings: [],
  });
});

test('a bad row is listed, as when filling', async () => {
  await expect(prepare({ 'a.csv': 'nonsense\n10.0.1.2,much\n' })).rejects.toThrow(
    /2 bad rows, nothing was written/,
  );
});

test('a prefix in which a host has its address is refused', async () => {
  const files = { 'a.csv': `${SELF}\n${row('10.0.1.2')}` };
  await expect(prepare(files, ['10.0.0.0/8'])).rejects.toThrow(
    '10.0.0.0/8 cannot name destinations: 10.0.1.1 lies in it',
  );
});

test('of very many that cannot be named, a few are told, and how many more', async () => {
  const rows = Array.from(
    { length: 40 },
    (_, n) => row(`10.${n}.0.1`) + row(`10.${n}.1.0`),
  );
  const text = rows.join('') + row('10.40.0.2');
  const { warnings } = await prepare({ 'a.csv': text }, ['192.168.0.0/16']);
  expect(warnings).toHaveLength(7);
  expect(warnings).toContain('and 36 warnings like these');
});
