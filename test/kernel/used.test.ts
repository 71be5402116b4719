// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Three destinations: connections stay with each when slots move twice, and what the
 * destinations say tells the balancer how long the slots have to remember.
 */
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { Network } from './network.js';
import { Client, SERVER } from './talk.js';

const folder = mkdtempSync(join(tmpdir(), 'l4lb-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Settled {
  slots_settled: number;
  slots_hot: number;
  pairs: unknown[];
}

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
  const settle = async (
    asked: readonly (typeof roles)[number][],
    quiet: string,
    ...more: string[]
  ): Promise<Settled> => {
    const status = (await Promise.all(asked.map(print))).join('\n');
    const args = [
      '-i',
      'eth0',
      '--settle',
      '--used',
      '-',
      '--quiet',
      quiet,
      '--json',
      ...more,
    ];
    const settled = await network.run('balancer', 'bin/l4lb-map.js', args, status);
    expect(settled).toMatchObject({ exitCode: 0, stderr: '' });
    return JSON.parse(settled.stdout) as Settled;
  };

  let asked = 0;

  test('the slots stay hot while their destinations find connections', async () => {
    expect((await settle(roles.slice(2), '30')).pairs).toMatchObject([
      { seen: false, why: '10.0.1.2 gave no status' },
    ]);
    const needed = await settle(roles, '30');
    expect(needed).toMatchObject({ slots_settled: 0, slots_hot: 64 });
    expect(needed.pairs).toEqual([
      {
        current: '10.0.1.3',
        previous: ['10.0.1.2', '10.0.1.1'],
        slots: 64,
        slots_settled: 0,
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
    const doctor = async () => network.run(role, 'bin/l4lb-doctor.js', ['-i', 'eth0']);
    expect((await load(wrong)).stdout).toContain(told);
    const found = await doctor();
    expect(found).toMatchObject({ exitCode: 1 });
    expect(found.stdout).toMatch(
      /finding \(siblings\): packets sent on to 10\.0\.1\.3 go to a wrong MAC\n/,
    );
    expect((await load(file)).stdout).not.toContain('but the kernel finds it');
    const healthy = await doctor();
    expect(healthy.stdout).toMatch(
      /siblings +it is 10\.0\.1\.2, and sends on to 2 siblings/,
    );
    expect(healthy.exitCode).toBe(0);
  });

  test('the slots go cold once nobody finds any', async () => {
    await sleep(asked + 4500 - Date.now());
    const cold = { slots_settled: 64, slots_hot: 0 };
    const planned = await settle(roles, '3', '--dry-run');
    expect(planned).toMatchObject({ ...cold, dry_run: true });
    // The dry run has written nothing.
    expect(await settle(roles, '3')).toMatchObject({ ...cold, dry_run: false });
  });
});
