// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The portable build in other sizes: make checks them, and the tools adapt. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { Finished } from './network.js';
import { Network, ROOT } from './network.js';

const folder = mkdtempSync(join(tmpdir(), 'l4lb-test-'));
const object = join(folder, 'l4lb_xdp.o');
let network: Network;

beforeAll(async () => {
  for (const name of ['Makefile', 'l4lb_xdp.c', 'datapath', 'package.json', 'src']) {
    cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  }
  network = await Network.up('--destinations', destinations(600));
});
afterAll(async () => {
  await network.down();
  rmSync(folder, { recursive: true });
});

/** Writes a file with this many destinations; returns its path. */
function destinations(count: number): string {
  const path = join(folder, `${count}.csv`);
  const rows = Array.from({ length: count }, (_, number) => {
    const [third, fourth] = [1 + Math.floor(number / 200), 10 + (number % 200)];
    const mac = [2, 0, 10, 0, third, fourth];
    const bytes = mac.map((byte) => byte.toString(16).padStart(2, '0'));
    return `10.0.${third}.${fourth}, ${bytes.join(':')}`;
  });
  writeFileSync(path, `${rows.join('\n')}\n`);
  return path;
}

async function make(...sizes: string[]): Promise<Finished> {
  const args = ['-C', folder, 'l4lb_xdp.o', ...sizes];
  const { exitCode, stdout, stderr } = await execa('make', args, { reject: false });
  return { exitCode: exitCode ?? -1, stdout, stderr };
}

async function expectMade(...sizes: string[]): Promise<void> {
  expect(await make(...sizes)).toMatchObject({ exitCode: 0 });
}

describe('make', () => {
  test.each([
    { sizes: ['SLOTS=1000'], why: 'SLOTS is a power of two' },
    { sizes: ['SLOTS=0'], why: 'SLOTS is a power of two' },
    { sizes: ['SLOTS=2'], why: 'SLOTS is a power of two, from 4' },
    { sizes: ['DESTINATIONS=32768'], why: 'DESTINATIONS is 1 to 32767' },
    { sizes: ['DESTINATIONS=0'], why: 'DESTINATIONS is 1 to 32767' },
    { sizes: ['CELLS=48'], why: 'CELLS is a power of two' },
    { sizes: ['SLOTS=2097152'], why: 'more than a SmartNIC holds' },
    { sizes: ['SLOTS=1048576', 'CELLS=2097152'], why: 'more than a SmartNIC holds' },
  ])('refuses $sizes: $why', async ({ sizes, why }) => {
    const { exitCode, stderr } = await make(...sizes);
    expect(stderr).toContain(why);
    expect(exitCode).not.toBe(0);
  });

  test('takes the largest, and a card would take them, too', async () => {
    await expectMade('SLOTS=1048576', 'DESTINATIONS=32767');
    const args = ['--check-offload', object];
    const { exitCode, stdout } = await network.run('balancer', 'bin/l4lb-load.js', args);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^l4lb_xdp\.o: nothing that an Agilio would refuse/);
    expect(stdout).toContain('8 maps with 1,900,609 entries');
  });
});

describe('4,096 slots, 1,024 destinations and 64 cells', () => {
  beforeAll(async () => {
    await expectMade('SLOTS=4096', 'DESTINATIONS=1024', 'CELLS=64');
    const { stderr, exitCode } = await network.l4lb(
      'load',
      ...['-m', 'xdpdrv', '--obj', object, '-f', destinations(600)],
    );
    expect([exitCode, stderr]).toEqual([0, '']);
  });

  test('hold 600 destinations, each with its share of all slots', async () => {
    const { stdout } = await network.l4lb('load', '--status', '--json');
    const { programs } = JSON.parse(stdout) as { programs: unknown[] };
    expect(programs).toMatchObject([
      { build: 'portable', services: [{ slots: 4096, destinations: 600 }] },
    ]);
    const sample = await network.sample();
    expect(sample.destinations).toHaveLength(600);
  });

  test('hold as many destinations as there are ids, and name that number if there are more', async () => {
    const full = await network.l4lb('map', '-f', destinations(1024), '--dry-run');
    expect([full.exitCode, full.stderr]).toEqual([0, '']);
    const over = await network.l4lb('map', '-f', destinations(1025));
    expect([over.exitCode, over.stderr]).toEqual([
      0,
      'Warning: 1025 destinations do not fit a table of 1,024 destinations and 4,096 slots; ' +
        'using the first 1024',
    ]);
    const sample = await network.sample();
    expect(sample.destinations).toHaveLength(1024);
  });

  test('more slots than there are: refused, and the number is named', async () => {
    const args = ['-f', destinations(2), '--vip', '10.0.9.9:80/tcp', '--slots', '8192'];
    const { exitCode, stderr } = await network.l4lb('map', ...args);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('no 8192 slots are free, of 4096 in all');
  });

  test('17 ways are more than the usual 16 cells take, and here they fit', async () => {
    await network.l4lb('load', '--off');
    const ways = Array.from({ length: 17 }, (_, port) => `10.0.9.9:${8000 + port}/tcp`);
    const { exitCode, stderr } = await network.l4lb(
      'load',
      ...['-m', 'xdpdrv', '--obj', object, '-f', destinations(2), '--vip', ...ways],
    );
    expect([exitCode, stderr]).toEqual([0, '']);
  });
});
