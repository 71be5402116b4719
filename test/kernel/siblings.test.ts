// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Two destinations that know each other: a connection stays where it is when its slot
 * moves, because the new destination sends its packets on.
 */
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { SiblingStatus } from '../../src/load/siblings.js';
import { Network } from './network.js';
import { Client, SERVER } from './talk.js';

const folder = mkdtempSync(join(tmpdir(), 'l4lb-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const NAMES = ['--names', '10.7.0.0/16', 'fd00:7::/112'];
const DESTINATIONS = ['destination1', 'destination2'] as const;

interface Status {
  programs: [
    {
      verdicts: Record<string, { packets: number }>;
      names?: string[];
      self?: string[];
      siblings?: SiblingStatus[];
    },
  ];
}

describe.each([
  { family: 'IPv4', service: '198.51.100.10', addresses: ['10.0.1.1', '10.0.1.2'] },
  { family: 'IPv6', service: 'fd00::64:1', addresses: ['fd00::1:1', 'fd00::1:2'] },
])('over $family', ({ service, addresses }) => {
  let network: Network;
  const clients: Client[] = [];
  const [first = '', second = ''] = addresses;

  const load = (role: (typeof DESTINATIONS)[number], ...args: string[]) =>
    network.run(role, 'bin/l4lb-load.js', ['-i', 'eth0', '--decap', ...args]);
  const status = async (role: (typeof DESTINATIONS)[number]) => {
    const { stdout } = await load(role, '--status', '--json');
    const { programs } = JSON.parse(stdout) as Status;
    return programs[0];
  };
  const fill = async (rows: string): Promise<string> => {
    const way = service.includes(':') ? `[${service}]:80/tcp` : `${service}:80/tcp`;
    const args = ['-i', 'eth0', '-f', '-', '--vip', way, '--slots', '64'];
    const more = ['--remember', 'destinations', ...NAMES];
    const filled = await network.run(
      'balancer',
      'bin/l4lb-map.js',
      [...args, ...more],
      rows,
    );
    expect(filled.stderr).toBe('');
    expect(filled.exitCode).toBe(0);
    return filled.stdout;
  };
  const connect = (): Client => {
    const client = new Client(network, service);
    clients.push(client);
    return client;
  };

  beforeAll(async () => {
    network = await Network.up('--count', '2', '--ipv6', '--vip', service);
    for (const role of DESTINATIONS) network.start(role, 'node', '-e', SERVER, role);
    await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0');
  });
  afterAll(async () => {
    clients.forEach((client) => client.end());
    await network.down();
  });

  test('each gets prefixes and siblings, finds the MACs, and knows which it is itself', async () => {
    const file = join(folder, 'siblings.csv');
    writeFileSync(file, `address\n${first}\n${second}\n`);
    for (const role of DESTINATIONS) {
      const loaded = await load(role, ...NAMES, '--siblings', file);
      expect(loaded.stderr).toBe('');
      expect(loaded.exitCode).toBe(0);
    }
    expect(await status('destination1')).toMatchObject({
      names: ['10.7.0.0/16', 'fd00:7::/112'],
      self: [first],
      siblings: [
        {
          address: second,
          number: 2,
          mac: '02:00:0a:00:01:02',
          found: { packets: 0, last: null },
        },
      ],
    });
  });

  test('a connection stays when its slot moves, and new ones go to the new destination', async () => {
    await fill(`${first}\n`);
    const old = connect();
    expect(await old.ask()).toBe('destination1');
    await fill(`${first},,0\n${second}\n`);
    for (let times = 0; times < 3; times++) expect(await old.ask()).toBe('destination1');
    const fresh = connect();
    expect(await fresh.ask()).toBe('destination2');
    expect(await old.ask()).toBe('destination1');
    expect(await fresh.ask()).toBe('destination2');
  });

  test('both count it: how much was sent on, and that it found a socket', async () => {
    const [there, here] = [await status('destination2'), await status('destination1')];
    const sent = there.siblings?.[0]?.sent;
    const found = here.siblings?.[0]?.found;
    expect(sent?.packets).toBeGreaterThanOrEqual(4);
    expect(found?.packets).toBe(sent?.packets);
    expect(there.verdicts['sent on']?.packets).toBe(sent?.packets);
    expect(there.verdicts['taken hot']?.packets).toBeGreaterThanOrEqual(3);
    expect(here.verdicts['taken hot']?.packets).toBe(sent?.packets);
    const age = Date.now() - Date.parse(found?.last ?? '');
    expect(age).toBeGreaterThan(-2000);
    expect(age).toBeLessThan(60_000);
    const { stdout } = await load('destination1', '--status');
    expect(stdout).toContain(
      `  is ${first}; sends on to 1 sibling named by 10.7.0.0/16, fd00:7::/112\n`,
    );
    expect(stdout).toMatch(
      new RegExp(`  ${second}: \\d+ came from it and found a socket here \\(last `),
    );
  });

  test('--replace keeps names, siblings and what was counted', async () => {
    const before = await status('destination2');
    const { exitCode, stderr } = await load('destination2', '--replace');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const { names, self, siblings } = await status('destination2');
    expect({ names, self }).toEqual({ names: before.names, self: before.self });
    expect(siblings?.[0]?.sent.packets).toBe(before.siblings?.[0]?.sent.packets);
  });

  test('other siblings take the place of the old ones; one that stays keeps its pair', async () => {
    const [four, six] = ['10.0.1.77', 'fd00::1:77'];
    const other = service.includes(':') ? six : four;
    const file = join(folder, 'others.csv');
    writeFileSync(
      file,
      `${other},02:00:0a:00:01:77\n${first}\n${second}\n${service.includes(':') ? 'fd00::2:0' : '10.0.2.0'}\n`,
    );
    const { exitCode, stderr } = await load(
      'destination2',
      ...['--replace', ...NAMES, '--siblings', file],
    );
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(/^Warning: \S+ cannot be named: its last bits[^\n]*are 0$/);
    const { siblings } = await status('destination2');
    expect(siblings?.map(({ address }) => address)).toEqual([first, other]);
    expect(siblings?.[0]?.sent.packets).toBeGreaterThanOrEqual(4);
    expect(siblings?.[1]?.sent.packets).toBe(0);
    writeFileSync(file, `${other},02:00:0a:00:01:77\n${second}\n`);
    await load('destination2', '--replace', ...NAMES, '--siblings', file);
    const now = await status('destination2');
    expect(now.siblings?.map(({ address }) => address)).toEqual([other]);
  });
});
