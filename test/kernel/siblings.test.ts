// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Two destinations that know each other: a connection stays where it is when its slot
 * moves, because the new destination sends its packets on.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createInterface } from 'node:readline';
import type { Interface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { SiblingStatus } from '../../src/load/siblings.js';
import { Network } from './network.js';

const folder = mkdtempSync(join(tmpdir(), 'l4lb-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const NAMES = ['--names', '10.7.0.0/16', 'fd00:7::/112'];
const DESTINATIONS = ['destination1', 'destination2'] as const;

/** Answers each line with its name. */
const SERVER = `const [name] = process.argv.slice(1);
require('net').createServer((one) => {
  one.on('error', () => {});
  one.on('data', () => one.write(name + '\\n'));
}).listen({ port: 80, host: '::' });`;

/** Passes lines on, and prints the answers. */
const CLIENT = `const [host] = process.argv.slice(1);
const one = require('net').connect(80, host);
one.on('error', (error) => console.log(error.code));
one.on('close', () => console.log('closed'));
process.stdin.pipe(one, { end: false });
one.pipe(process.stdout, { end: false });`;

class Client {
  readonly #child: ChildProcess;
  readonly #lines: Interface;

  constructor(network: Network, service: string) {
    const where = network.namespaceOf('client');
    const args = [where, 'node', '-e', CLIENT, service];
    this.#child = spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (!this.#child.stdout) throw new Error('the client has no output');
    this.#lines = createInterface({ input: this.#child.stdout });
  }

  /** Who answers. */
  async ask(): Promise<string> {
    const answer = once(this.#lines, 'line', { signal: AbortSignal.timeout(20_000) });
    this.#child.stdin?.write('who are you?\n');
    const [line] = (await answer) as [string];
    return line;
  }

  end(): void {
    this.#child.kill();
  }
}

interface Settled {
  slots_settled: number;
  slots_hot: number;
  pairs: unknown[];
}

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

describe('three destinations', () => {
  let network: Network;
  const clients: Client[] = [];
  const SERVICE = '198.51.100.10';
  const roles = [1, 2, 3].map((number) => `destination${number}` as const);

  const file = join(folder, 'three.csv');

  beforeAll(async () => {
    network = await Network.up('--count', '3', '--vip', SERVICE);
    writeFileSync(file, '10.0.1.1\n10.0.1.2\n10.0.1.3\n');
    await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0');
    const names = ['--names', '10.7.0.0/16', '--siblings', file];
    for (const role of roles) {
      network.start(role, 'node', '-e', SERVER, role);
      const verb = ['decap', '-i', 'eth0', ...names];
      await network.expectOk(role, 'bin/l4lb.js', ...verb);
    }
  });
  afterAll(async () => {
    clients.forEach((client) => client.end());
    await network.down();
  });

  test('connections stay with each when all slots move twice while they are hot', async () => {
    for (const [index, role] of roles.entries()) {
      const rows = roles.map((_, at) => `10.0.1.${at + 1},,${at === index ? 1 : 0}\n`);
      const args = [
        '-i',
        'eth0',
        '-f',
        '-',
        '--vip',
        `${SERVICE}:80/tcp`,
        '--slots',
        '64',
      ];
      const more = ['--remember', 'destinations', '--names', '10.7.0.0/16'];
      const filled = await network.run(
        'balancer',
        'bin/l4lb-map.js',
        [...args, ...more],
        rows.slice(0, index + 1).join(''),
      );
      expect(filled).toMatchObject({ exitCode: 0, stderr: '' });
      const client = new Client(network, SERVICE);
      clients.push(client);
      expect(await client.ask()).toBe(role);
    }
    for (let times = 0; times < 2; times++) {
      for (const [index, client] of clients.entries()) {
        expect(await client.ask()).toBe(roles[index]);
      }
    }
  });

  const print = async (role: (typeof roles)[number]): Promise<string> => {
    const args = ['-i', 'eth0', '--decap', '--status', '--json'];
    return (await network.expectOk(role, 'bin/l4lb-load.js', ...args)).stdout;
  };
  const settle = async (asked: readonly (typeof roles)[number][]): Promise<Settled> => {
    const status = (await Promise.all(asked.map(print))).join('\n');
    const args = ['-i', 'eth0', '--settle', '--used', '-', '--quiet', '3', '--json'];
    const settled = await network.run('balancer', 'bin/l4lb-map.js', args, status);
    expect(settled).toMatchObject({ exitCode: 0, stderr: '' });
    return JSON.parse(settled.stdout) as Settled;
  };

  let asked = 0;

  test('the slots stay hot while their destinations find connections', async () => {
    expect((await settle(roles.slice(1))).pairs).toMatchObject([
      { seen: false, why: '10.0.1.1 gave no status' },
    ]);
    const needed = await settle(roles);
    expect(needed).toMatchObject({ slots_settled: 0, slots_hot: 64 });
    expect(needed.pairs).toEqual([
      {
        current: '10.0.1.3',
        previous: ['10.0.1.2', '10.0.1.1'],
        slots: 64,
        seen: true,
        needed: true,
        quiet_s: expect.any(Number),
        why: null,
      },
    ]);
    asked = Date.now();
  });

  test('nothing is written if the input is wrong, or of other balancers', async () => {
    const args = ['-i', 'eth0', '--settle', '--used', '-'];
    const status = await print('destination1');
    const other = status.replace('10.7.0.0/16', '10.8.0.0/16');
    for (const [text, why] of [
      [
        `${status}\nConnection refused`,
        /^l4lb-map: stdin is not the status of destinations/,
      ],
      [other, /^l4lb-map: stdin is of a destination with the names 10\.8\.0\.0\/16/],
    ] as const) {
      const refused = await network.run('balancer', 'bin/l4lb-map.js', args, text);
      expect(refused).toMatchObject({ exitCode: 1, stdout: '' });
      expect(refused.stderr).toMatch(why);
    }
  });

  test('the kernel keeps the MACs of siblings, and --status tells one that differs', async () => {
    const role = 'destination2';
    const shown = await network.expectOk(role, 'ip', 'neigh', 'show', '10.0.1.3');
    expect(shown.stdout).toMatch(/ managed /);
    const wrong = join(folder, 'wrong.csv');
    writeFileSync(wrong, '10.0.1.1\n10.0.1.2\n10.0.1.3,02:00:0a:00:01:99\n');
    const load = async (siblings: string) => {
      const more = ['--replace', '--names', '10.7.0.0/16', '--siblings', siblings];
      const args = ['-i', 'eth0', '--decap'];
      await network.expectOk(role, 'bin/l4lb-load.js', ...args, ...more);
      return network.expectOk(role, 'bin/l4lb-load.js', ...args, '--status');
    };
    const told =
      '10.0.1.3: sent to 02:00:0a:00:01:99, but the kernel finds it at 02:00:0a:00:01:03';
    expect((await load(wrong)).stdout).toContain(told);
    expect((await load(file)).stdout).not.toContain('but the kernel finds it');
  });

  test('the slots go cold once nobody finds any', async () => {
    await sleep(asked + 4500 - Date.now());
    expect(await settle(roles)).toMatchObject({ slots_settled: 64, slots_hot: 0 });
  });
});
