// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Tools that run at the same time, and a loader that is killed. kills.test.ts kills
 * l4lb-map.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { formatAddress } from '../../src/wire/address.js';
import { findAttached } from '../../src/program/find.js';
import { Bpftool } from '../../src/system/bpftool.js';
import { Iproute } from '../../src/system/ip/links.js';
import type { Run } from '../../src/system/run.js';
import { run } from '../../src/system/run.js';
import { servicesIn } from '../../src/plan/services.js';
import { readSlots, readTables } from '../../src/program/read.js';
import { Network, ROOT, pinsOf } from './network.js';

const FILES = [256, 512].map((count) => `destination_samples/${count}_destinations.csv`);
/** Enough that a batch takes a while, and few enough to be read again and again. */
const SLOTS = 8192;
let network: Network;

beforeAll(async () => {
  network = await Network.up();
  const args = ['-i', 'eth0', '-f', FILES[0] as string, '--slots', String(SLOTS)];
  await network.expectOk('balancer', 'bin/l4lb-load.js', ...args);
});
afterAll(() => network.down());

/** Runs our own modules from outside the namespace. */
const inNamespace: Run = (command, args, options) =>
  run(
    'nsenter',
    [`--net=/run/netns/l4lb-${network.name}-balancer`, command, ...args],
    options,
  );

function addressesIn(file: string): string[] {
  return readFileSync(ROOT + file, 'utf8').match(/^\d+\.\d+\.\d+\.\d+/gm) ?? [];
}

/** Waits until no batch runs any more, and then reads where the slots point to. */
async function slotAddresses(): Promise<Set<string>> {
  await execa('flock', ['--wait', '20', await network.lockFile(), 'true']);
  const tools = { ip: new Iproute(inNamespace), bpftool: new Bpftool(inNamespace) };
  const { maps } = await findAttached(tools, 'eth0');
  const { cells, destinations } = await readTables(tools.bpftool, maps);
  const [service] = [...servicesIn(cells).values()];
  if (!service) throw new Error('the service is gone');
  const slots = await readSlots(tools.bpftool, maps, service);
  expect(slots.size).toBe(SLOTS);
  return new Set(
    [...slots.values()].map(({ current }) => {
      const entry = destinations.get(current);
      if (!entry?.service)
        throw new Error(`a slot points to id ${current}, which is free`);
      return formatAddress(entry.address);
    }),
  );
}

describe('two tools at once', () => {
  test('wait for each other', async () => {
    const results = await Promise.all(
      FILES.map((file) => network.l4lb('map', '-f', file)),
    );
    expect(results.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    const there = await slotAddresses();
    const wholeFiles = FILES.map((file) => addressesIn(file).length);
    expect(wholeFiles).toContain(there.size);
  });

  test('a lock dies with its holder', async () => {
    const holder = network.start(
      'balancer',
      'flock',
      await network.lockFile(),
      'sleep',
      '30',
    );
    await sleep(200);
    const waiting = network.l4lb('map', '-f', FILES[0] as string);
    await sleep(500);
    await execa('pkill', ['-9', '-P', String(holder.pid)], { reject: false });
    holder.kill('SIGKILL');
    expect((await waiting).exitCode).toBe(0);
  });
});

test('a killed loader leaves no pin that the next one does not sweep', async () => {
  const child = network.start('balancer', 'bin/l4lb-load.js', '-i', 'eth0', '--replace');
  await sleep(260);
  child.kill('SIGKILL');
  expect((await network.l4lb('load', '--replace')).exitCode).toBe(0);
  // Other tests' loaders may have pins at this moment.
  expect(pinsOf(child)).toEqual([]);
});
