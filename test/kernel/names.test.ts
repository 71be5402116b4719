// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Where destinations decide: packets of slots that moved go to the current destination,
 * and name the previous ones. Both builds do that, and the tools say it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { Slot } from '../../src/abi/slot.js';
import type { Maps } from '../../src/program/find.js';
import { findAttached } from '../../src/program/find.js';
import { readSlots } from '../../src/program/read.js';
import { Bpftool } from '../../src/system/bpftool.js';
import { Iproute } from '../../src/system/ip/links.js';
import type { Run } from '../../src/system/run.js';
import { run } from '../../src/system/run.js';
import type { Finished } from '../agent/agent.js';
import type { SentFrame } from './capture.js';
import { Capture } from './capture.js';
import { Network } from './network.js';

const VIP = '10.0.100.1';
const OWN = '10.0.0.4';
const PACKETS = 64;

let network: Network;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'l4lb-names-'));
  network = await Network.up('--count', '4', '--vip', VIP);
});
afterAll(async () => {
  await network.down();
  rmSync(folder, { recursive: true });
});

/** Fills with the weights of 10.0.1.1 and so on; a row without a weight is left out. */
async function fill(
  weights: readonly (number | undefined)[],
  ...options: string[]
): Promise<Finished> {
  const rows = weights.flatMap((weight, index) =>
    weight === undefined ? [] : [`10.0.1.${index + 1},,${weight}\n`],
  );
  const args = ['-i', 'eth0', '-f', '-', ...options];
  return network.run('balancer', 'bin/l4lb-map.js', args, rows.join(''));
}

/** Sends packets from different ports, and returns what the balancer made of them. */
async function send(...kind: string[]): Promise<SentFrame[]> {
  const capture = await Capture.start(
    network,
    'switch',
    'balancer',
    join(folder, 'capture'),
  );
  const pace = ['-s', '5000', '-i', 'u2000', '-c', String(PACKETS), '-q'];
  await network.run('client', 'hping3', [...kind, ...pace, '-p', '80', VIP]);
  return capture.stop();
}

function sourcesOf(frames: readonly SentFrame[]): string[] {
  return [...new Set(frames.map(({ from }) => from))].sort();
}

describe.each(['host', 'portable'])('%s build', (build) => {
  beforeAll(async () => {
    await network.run('balancer', 'ip', ['link', 'set', 'dev', 'eth0', 'xdpdrv', 'off']);
    const object = build === 'host' ? 'l4lb_xdp_host.o' : 'l4lb_xdp.o';
    const attach = ['link', 'set', 'dev', 'eth0', 'xdpdrv', 'obj', object, 'sec', 'xdp'];
    await network.expectOk('balancer', 'ip', ...attach);
  });

  test('without a prefix nothing is written, and the tool says what is missing', async () => {
    const way = ['--vip', `${VIP}:80`, '--slots', '64', '--remember', 'destinations'];
    const { exitCode, stderr } = await fill([1, 1, 1], ...way);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('there is no prefix to name IPv4 destinations by');
    expect(stderr).toContain('next: add --names 10.7.0.0/16');
    const holding = await fill([1, 1, 1], ...way, '--names', '10.0.0.0/16');
    expect(holding.exitCode).toBe(1);
    expect(holding.stderr).toMatch(
      /10\.0\.0\.0\/16 cannot name .*: 10\.0\.1\.1 lies in it/,
    );
    const useless = await fill([1, 1, 1], ...way.slice(0, 4), '--names', '10.7.0.0/16');
    expect(useless.exitCode).toBe(1);
    expect(useless.stderr).toContain('next: add --remember destinations');
    const filled = await fill([1, 1, 1], ...way, '--names', '10.7.0.0/16');
    expect(filled.exitCode).toBe(0);
  });

  test('a packet of a cold slot has the usual source', async () => {
    const frames = await send('-A');
    expect(frames).toHaveLength(PACKETS);
    expect(sourcesOf(frames)).toEqual([OWN]);
  });

  test('a drained destination is named, and gets no packet itself', async () => {
    expect((await fill([0, 1, 1])).stdout).toContain('1 drained');
    const frames = await send('-A');
    expect(frames).toHaveLength(PACKETS);
    expect(frames.filter(({ to }) => to === '10.0.1.1')).toEqual([]);
    expect(frames.filter(({ sumIsRight }) => !sumIsRight)).toEqual([]);
    // For the sake of balance a few slots of others move, too.
    expect(sourcesOf(frames)).toEqual(expect.arrayContaining([OWN, '10.7.0.1']));
    const all = new Set([OWN, '10.7.0.1', '10.7.0.2', '10.7.0.3']);
    expect(sourcesOf(frames).filter((source) => !all.has(source))).toEqual([]);
    expect(sourcesOf(await send('-S'))).toContain('10.7.0.1');
  });

  test('UDP goes to the current destination, and names nobody', async () => {
    const frames = await send('-2');
    expect(frames).toHaveLength(PACKETS);
    expect(sourcesOf(frames)).toEqual([OWN]);
    expect(frames.filter(({ to }) => to === '10.0.1.1')).toEqual([]);
  });

  test('a slot that moves twice names both', async () => {
    await fill([0, 0, 1]);
    const frames = await send('-A');
    expect(frames.filter(({ to }) => to !== '10.0.1.3')).toEqual([]);
    expect(frames.filter(({ sumIsRight }) => !sumIsRight)).toEqual([]);
    // A few slots that the first change gave to 10.0.1.2 come back to 10.0.1.3.
    const named = ['10.7.0.1', '10.7.0.2', '10.7.1.2', '10.7.3.2'];
    expect(sourcesOf(frames)).toEqual([OWN, ...named]);
  });

  test('l4lb-explain says so, and the program agrees', async () => {
    const packet = ['--dst', `${VIP}:80`, '--tcp-flags', 'ACK', '--json'];
    const told: { hot: boolean; agrees: boolean; because: string | null }[] = [];
    for (let port = 5000; port < 5006; port++) {
      const from = ['--src', `10.0.255.1:${port}`];
      const args = ['-i', 'eth0', ...from, ...packet];
      const { stdout } = await network.run('balancer', 'bin/l4lb-explain.js', args);
      told.push(JSON.parse(stdout) as (typeof told)[0]);
    }
    expect(told.filter(({ agrees }) => !agrees)).toEqual([]);
    const [hot] = told.filter((one) => one.hot);
    expect(hot?.because).toBe('the current destination sends on what is not its own');
  });

  test('the third destination is told to be forgotten', async () => {
    const { stderr } = await fill([0, 0, 0, 1]);
    expect(stderr).toMatch(
      /^Warning: \d+ slots no longer name 10\.0\.1\.1, whose older connections there break/m,
    );
  });

  test('who remembers cannot change while slots are hot', async () => {
    const { exitCode, stderr } = await fill([0, 0, 0, 1], '--remember', 'balancer');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('who remembers cannot change while slots are hot');
    const other = await fill([0, 0, 0, 1], '--names', '10.16.0.0/12');
    expect(other.exitCode).toBe(1);
    expect(other.stderr).toContain(
      'the prefix of names cannot change while slots are hot',
    );
    const status = ['-i', 'eth0', '--status'];
    const { stdout } = await network.expectOk('balancer', 'bin/l4lb-load.js', ...status);
    expect(stdout).toMatch(
      /4 destinations in 64 slots, [1-9]\d* hot; destinations remember\n {2}names destinations by 10\.7\.0\.0\/16$/,
    );
  });

  test('an hour later slots go cold, or at once if that is wanted', async () => {
    const settle = ['-i', 'eth0', '--settle'];
    const waits = await network.expectOk('balancer', 'bin/l4lb-map.js', ...settle);
    expect(waits.stdout).toMatch(/hot, .* may go cold in 3[56]\d\d s/);
    await network.expectOk('balancer', 'bin/l4lb-map.js', ...settle, '--now');
    expect(sourcesOf(await send('-A'))).toEqual([OWN]);
  });

  test('an export is the same when it is applied', async () => {
    const args = ['-i', 'eth0'];
    const { stdout } = await network.expectOk(
      'balancer',
      'bin/l4lb-map.js',
      ...args,
      '--export',
    );
    expect(stdout).toContain('names = "10.7.0.0/16"\n');
    expect(stdout).toContain('remember = "destinations"\n');
    const again = await network.run(
      'balancer',
      'bin/l4lb-map.js',
      [...args, '-c', '-'],
      stdout,
    );
    expect(again.stdout).toContain('nothing to do: the tables already match');
    const other = await fill([0, 0, 0, 1], '--seed', 'a passphrase');
    expect(other.exitCode).toBe(1);
    expect(other.stderr).toMatch(
      /the seed of slots cannot change while there are(.|\n)*: l4lb-load -i eth0 --off$/,
    );
  });
});

describe('a balancer that stands in for another', () => {
  const WAY = ['--vip', `${VIP}:80`, '--slots', '1024'];
  const NAMING = ['--remember', 'destinations', '--names', '10.7.0.0/16'];
  const WEIGHTS = [
    [1, 1, 1],
    [0, 1, 1],
    [1, 0, 1, 1],
  ];

  /** Takes the program off and loads it anew, without a service. */
  async function begin(): Promise<void> {
    await network.run('balancer', 'bin/l4lb-load.js', ['-i', 'eth0', '--off']);
    await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0');
  }

  /** Each slot, and what it remembers except when that was. */
  async function slots(): Promise<unknown[]> {
    const maps = await mapsOf(network);
    const service = { firstSlot: 0, log2Slots: 10 };
    const all = await readSlots(new Bpftool(run), maps, service);
    return [...all.values()].map(({ current, previous, second, names }) => ({
      ...{ current, previous, second, names },
    }));
  }

  test('remembers the same, if it is told the earlier files', async () => {
    const files = WEIGHTS.map((weights, number) => {
      const file = join(folder, `${number}.csv`);
      const rows = weights.map((weight, index) => `10.0.1.${index + 1},,${weight}\n`);
      writeFileSync(file, rows.join(''));
      return file;
    });
    const [oldest = '', middle = '', newest = ''] = files;
    const map = async (...args: string[]): Promise<void> => {
      await network.expectOk('balancer', 'bin/l4lb-map.js', '-i', 'eth0', ...args);
    };
    await begin();
    await map('-f', oldest, ...WAY, ...NAMING);
    await map('-f', middle, '--no-settle');
    await map('-f', newest);
    const filled = await slots();
    expect(filled.filter((slot) => (slot as Slot).second !== undefined)).not.toEqual([]);

    await network.run('balancer', 'bin/l4lb-load.js', ['-i', 'eth0', '--off']);
    const again = ['-i', 'eth0', '-f', newest, '--previous', oldest, middle];
    const loaded = await network.expectOk(
      ...(['balancer', 'bin/l4lb-load.js', ...again, ...WAY, ...NAMING] as const),
    );
    const hot = filled.filter((slot) => (slot as Slot).previous !== 0).length;
    // A second may be over meanwhile.
    const isHot = `\n  ${hot} slots hot, remembering their previous destinations; `;
    expect(loaded.stdout).toMatch(
      new RegExp(`${isHot}the next may go cold in (3600|359\\d) s: `),
    );
    expect(await slots()).toEqual(filled);

    const late = ['-i', 'eth0', '-f', newest, '--previous', oldest];
    await map('-f', oldest);
    await network.expectOk('balancer', 'bin/l4lb-map.js', ...again);
    // It forgets what it was a moment ago, as if it had been filled anew.
    const withoutTimes = (all: readonly unknown[]): object[] =>
      all.map((slot) => ({ ...(slot as Slot), since: 0 }));
    expect(withoutTimes(await slots())).toEqual(withoutTimes(filled));
    await network.expectOk('balancer', 'bin/l4lb-map.js', ...late);
    expect(withoutTimes(await slots())).not.toEqual(withoutTimes(filled));
  });
});

async function mapsOf({ name }: Network): Promise<Maps> {
  const namespace = `--net=/run/netns/l4lb-${name}-balancer`;
  const inside: Run = (command, args, options) =>
    run('nsenter', [namespace, command, ...args], options);
  const tools = { ip: new Iproute(inside), bpftool: new Bpftool(run) };
  return (await findAttached(tools, 'eth0')).maps;
}
