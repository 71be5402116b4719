// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The lock of a device and the pins of a loader: who owns them, and who cannot touch
 * them.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { thisProcess } from '../../src/system/processes.js';
import type { Finished } from './network.js';
import { Network, pinsOf } from './network.js';

const SAMPLE = 'destination_samples/32_destinations.csv';
const FILL = ['-i', 'eth0', '-f', SAMPLE];
let network: Network;
let lock: string;

beforeAll(async () => {
  network = await Network.up('--destinations', SAMPLE);
  const few = ['--slots', '4096'];
  await network.expectOk('balancer', 'bin/l4lb-load.js', ...FILL, ...few);
  lock = await network.lockFile();
});
afterAll(() => network.down());

async function untilHeld(): Promise<void> {
  for (;;) {
    const { exitCode } = await execa('flock', ['-n', lock, 'true'], { reject: false });
    if (exitCode !== 0) return;
    await sleep(20);
  }
}

describe('the lock', () => {
  test('cannot be taken by a user without privileges', async () => {
    const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
    const take = ['flock', '--nonblock', lock, 'true'];
    const taken = await network.run('balancer', 'setpriv', [...nobody, ...take]);
    expect(taken.exitCode).not.toBe(0);
    expect(taken.stderr).toContain('Permission denied');
    expect(statSync(lock).mode & 0o777).toBe(0o600);
  });

  test.each([
    ['in the same namespace', 'balancer', 'lo'],
    ['with the same number in another namespace', 'client', 'eth0'],
  ] as const)('of one device delays nobody on another %s', async (_, role, device) => {
    const holder = network.start('balancer', 'flock', lock, 'sleep', '30');
    const ended = once(holder, 'exit');
    await untilHeld();
    const off = await network.run(role, 'bin/l4lb-load.js', ['-i', device, '--off']);
    expect(off).toMatchObject({ exitCode: 0, stdout: `${device} has no XDP program` });
    await execa('pkill', ['-9', '-P', String(holder.pid)]);
    await ended;
  });

  test('is reported as held by its real holder, not by a tool that has died', async () => {
    const tool = network.start('balancer', 'flock', lock, 'sleep', '30');
    await untilHeld();
    const { stdout: batch } = await execa('pgrep', ['-P', String(tool.pid)]);
    tool.kill('SIGKILL');
    const { exitCode, stderr } = await network.l4lb('map', '-f', SAMPLE);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`likely cause: sleep (process ${batch}) holds ${lock}\n`);
    process.kill(Number(batch), 'SIGKILL');
  });
});

/** Runs a tool with another /run, which a script has made. */
function withRun(script: string): Promise<Finished> {
  const run = ['-m', 'sh', '-c', `${script} && exec bin/l4lb-map.js ${FILL.join(' ')}`];
  return network.run('balancer', 'unshare', run);
}

test.each([
  ['mount -t tmpfs -o ro none /run', 'read-only file system', 'remount,rw /run'],
  [
    'mount -t tmpfs none /run && ln -s /tmp /run/l4lb',
    '/run/l4lb is not a folder that belongs to root',
  ],
  [
    'mount -t tmpfs none /run && mkdir /run/l4lb && chown 65534 /run/l4lb',
    '/run/l4lb is not a folder that belongs to root',
  ],
])('after %j a tool says what is wrong with /run', async (script, ...messages) => {
  const { exitCode, stderr } = await withRun(script);
  expect(exitCode).toBe(1);
  for (const message of messages) expect(stderr).toContain(message);
  expect(stderr).toContain('next: ');
  expect(stderr).not.toContain('fault of');
});

test('a folder that others could enter is closed to them', async () => {
  const script = 'mount -t tmpfs none /run && mkdir -m 755 /run/l4lb';
  const look = 'stat -c %a /run/l4lb';
  const run = `${script} && bin/l4lb-map.js ${FILL.join(' ')} >/dev/null && ${look}`;
  const { stdout } = await network.run('balancer', 'unshare', ['-m', 'sh', '-c', run]);
  expect(stdout).toBe('700');
});

describe('pins', () => {
  const { pid, started, namespace } = thisProcess();
  const pin = (...parts: number[]): string => `/sys/fs/bpf/l4lb-pin-${parts.join('-')}`;
  const DEAD = 4_194_305; // more than a PID can be
  const ofDead = pin(DEAD, started, namespace, 0);
  const reused = pin(pid, started - 100, namespace, 0);
  const alive = pin(pid, started, namespace, 0);
  const elsewhere = pin(DEAD, started, namespace + 1, 0);
  const all = [ofDead, reused, alive, elsewhere];
  const isThere = (): boolean[] => all.map((path) => existsSync(path));

  afterAll(() => all.forEach((path) => rmSync(path, { force: true })));

  test.each([
    ['--off', 'client'],
    ['--replace', 'balancer'],
  ] as const)(
    '%s sweeps those of dead processes, and no others',
    async (option, role) => {
      const sizes = ['key', '4', 'value', '4', 'entries', '1', 'name', 'l4lb_test'];
      for (const path of all) {
        if (existsSync(path)) continue;
        await execa('bpftool', ['map', 'create', path, 'type', 'array', ...sizes]);
      }
      await network.expectOk(role, 'bin/l4lb-load.js', '-i', 'eth0', option);
      expect(isThere()).toEqual([false, false, true, true]);
    },
  );

  test.each(['SIGINT', 'SIGTERM'] as const)('%s leaves none', async (signal) => {
    const child = network.start(
      'balancer',
      'bin/l4lb-load.js',
      '-i',
      'eth0',
      '--replace',
    );
    const ended = once(child, 'exit');
    await untilPinned(child, 1);
    child.kill(signal);
    expect(await ended).toEqual([null, signal]);
    expect(pinsOf(child)).toEqual([]);
  });
});

async function untilPinned(child: ChildProcess, count: number): Promise<void> {
  while (child.exitCode === null && pinsOf(child).length < count) await sleep(1);
  expect(child.exitCode).toBeNull();
}

test('slots stay hot as long in a time namespace as elsewhere', async () => {
  const files = [256, 512].map(
    (count) => `destination_samples/${count}_destinations.csv`,
  );
  const [file = '', other = ''] = files;
  await network.expectOk('balancer', 'bin/l4lb-map.js', '-i', 'eth0', '-f', file);
  const args = ['--time', '--monotonic', '172800', '--boottime', '172800', '--fork'];
  const tool = ['bin/l4lb-map.js', '-i', 'eth0', '-f', other, '--json'];
  const filled = await network.run('balancer', 'unshare', [...args, ...tool]);
  expect(filled.exitCode).toBe(0);
  const { stdout } = await network.l4lb('map', '--settle', '--json');
  const { slots_hot: hot, next_settles_in_s: wait } = JSON.parse(stdout) as Record<
    string,
    number
  >;
  expect(hot).toBeGreaterThan(0);
  expect(wait).toBeLessThanOrEqual(300);
});
