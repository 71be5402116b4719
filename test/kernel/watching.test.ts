// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What the statistics show while the tables are filled. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { readAllSlots, readState, readTables } from '../../src/program/read.js';
import type { Maps } from '../../src/program/find.js';
import { findAttached } from '../../src/program/find.js';
import { encodeKey } from '../../src/abi/bytes.js';
import { encodeCounter } from '../../src/abi/counter.js';
import { encodeDevice, whileMoving } from '../../src/abi/device.js';
import { Bpftool } from '../../src/system/bpftool.js';
import { sumAnswers, sumFrames } from '../../src/abi/sum.js';
import type { SumQuestion } from '../../src/abi/sum.js';
import { isHot } from '../../src/plan/hot-slots.js';
import { reachable } from '../../src/plan/cells.js';
import { servicesIn } from '../../src/plan/services.js';
import { withPins } from '../../src/program/pins.js';
import { loadSums } from '../../src/program/sums.js';
import { hex } from '../../src/system/bpftool-text.js';
import { Iproute } from '../../src/system/ip/links.js';
import { must } from '../../src/text/must.js';
import type { Run } from '../../src/system/run.js';
import { run } from '../../src/system/run.js';
import type { SampleJson } from './network.js';
import { Network, ROOT } from './network.js';

const folder = mkdtempSync(join(tmpdir(), 'l4lb-watching-'));
let network: Network;

function csv(...numbers: number[]): string {
  const path = join(folder, `${numbers.join('-')}.csv`);
  const rows = numbers.map((one) => `10.0.1.${one}, 02:00:0a:00:01:0${one}\n`);
  writeFileSync(path, rows.join(''));
  return path;
}

const inside: Run = (command, args, options) =>
  run('nsenter', [network.namespaceOf('balancer'), command, ...args], options);

beforeAll(async () => {
  network = await Network.up();
  await network.expectOk(
    'balancer',
    'bin/l4lb-load.js',
    ...['-i', 'eth0', '-f', csv(1, 2, 3, 4), '--slots', '1024'],
  );
  await setCounters();
});
afterAll(async () => {
  await network.down();
  rmSync(folder, { recursive: true });
});

interface Found {
  bpftool: Bpftool;
  maps: Maps;
}

async function find(): Promise<Found> {
  const bpftool = new Bpftool(inside);
  return {
    bpftool,
    maps: (await findAttached({ ip: new Iproute(inside), bpftool }, 'eth0')).maps,
  };
}

async function update(map: { id: number }, key: number, value: Buffer): Promise<void> {
  const { bpftool } = await find();
  await bpftool.queries([
    `map update id ${map.id} key hex ${hex(encodeKey(key))} value hex ${hex(value)}`,
  ]);
}

/**
 * Pretends that all four destinations have counted; bpftool writes the same for each CPU.
 */
async function setCounters(): Promise<void> {
  const { maps } = await find();
  const value = encodeCounter({ packets: 999_943n, bytes: 64n * 999_943n });
  for (const id of [1, 2, 3, 4]) await update(maps.counters, id, value);
}

/** Collects the totals that a watcher shows from its first one on, until it is stopped. */
async function watch(): Promise<() => Promise<number[]>> {
  const args = [network.namespaceOf('balancer'), 'bin/l4lb-stats.js', '-i', 'eth0'];
  const more = ['--json', '--interval', '0.05'];
  const child = spawn('nsenter', [...args, ...more], { cwd: ROOT });
  let printed = '';
  child.stdout.on('data', (some: Buffer) => (printed += some.toString()));
  const ended = once(child, 'close');
  await once(child.stdout, 'data');
  return async () => {
    child.kill('SIGINT');
    await ended;
    const lines = printed.trimEnd().split('\n');
    return lines.map((line) => (JSON.parse(line) as SampleJson).totals.packets);
  };
}

test('a refill that gives ids to other destinations shows no false traffic', async () => {
  const before = (await network.sample()).totals.packets;
  expect(before).toBeGreaterThan(3_000_000);
  expect((await network.l4lb('map', '-f', csv(1, 2, 3))).exitCode).toBe(0);
  const stop = await watch();
  // The freed id gets a new owner, and writing 65,536 slots takes a while.
  expect((await network.l4lb('map', '-f', csv(5, 6, 7, 8))).exitCode).toBe(0);
  await sleep(300);
  const totals = await stop();
  // Some twenty, and on a busy machine still some of before and after.
  expect(totals.length).toBeGreaterThan(3);
  expect(new Set(totals)).toEqual(new Set([before]));
});

test('a program adds up what all processors counted, and counts slots', async () => {
  const attached = await findAttached(
    { ip: new Iproute(inside), bpftool: new Bpftool(inside) },
    'eth0',
  );
  const { bpftool, maps } = await find();
  const state = await readState(bpftool, maps);
  const services = [...servicesIn(reachable(state)).values()];
  const slots = [...(await readAllSlots(bpftool, maps, services)).values()];
  const ids = [...state.counters.keys()];
  const questions: SumQuestion[] = [
    { of: 'generation', key: 0 },
    ...ids.map((key) => ({ of: 'counters' as const, key })),
    { of: 'forget', key: 0, number: maps.destinations.entries },
    ...services.map(({ firstSlot: key, log2Slots }) => ({
      ...{ of: 'slots' as const, key, number: 2 ** log2Slots },
    })),
    ...ids.map((key) => ({ of: 'share' as const, key })),
  ];
  const answers = await withPins(async (pins) => {
    const pin = (await loadSums(bpftool, pins, attached)) ?? '';
    const [frame = Buffer.alloc(0)] = sumFrames(questions);
    // Nothing is left of the first time.
    await bpftool.runOnce(pin, frame);
    return sumAnswers([(await bpftool.runOnce(pin, frame)).frame]);
  });
  const inSlots = (id: number): number =>
    slots.filter(({ current }) => current === id).length;
  const hot = slots.filter(isHot).length;
  expect(hot).toBeGreaterThan(0);
  expect(answers.map(({ first, second }) => [first, second])).toEqual([
    [BigInt(state.device.generation), 0n],
    ...ids.map((id) => {
      const { packets, bytes } = must(state.counters.get(id), `counter ${id}`);
      return [packets, bytes];
    }),
    [0n, 0n],
    [BigInt(hot), BigInt(slots.length)],
    ...ids.map((id) => [BigInt(inSlots(id)), 0n]),
  ]);
});

test('the statistics leave no program behind', async () => {
  const args = ['bin/l4lb-stats.js', '-i', 'eth0', '--json', '--interval', '60'];
  const child = spawn('nsenter', [network.namespaceOf('balancer'), ...args], {
    ...{ cwd: ROOT, stdio: 'ignore' },
  });
  const ended = once(child, 'exit');
  const pins = (): string[] =>
    readdirSync('/sys/fs/bpf').filter((name) =>
      name.startsWith(`l4lb-pin-${child.pid}-`),
    );
  for (let tries = 0; tries < 100 && pins().length === 0; tries++) await sleep(50);
  expect(pins()).toHaveLength(1);
  child.kill('SIGTERM');
  expect(await ended).toEqual([null, 'SIGTERM']);
  expect(pins()).toEqual([]);
});

test('a tool that was killed while counters moved does not stop the statistics', async () => {
  const { bpftool, maps } = await find();
  const { device } = await readTables(bpftool, maps);
  const generation = whileMoving(device.generation);
  await update(maps.device, 0, encodeDevice({ ...device, generation }));
  const { totals } = await network.sample();
  expect(totals.packets).toBeGreaterThan(3_000_000);
});

test('half-moved counters are not shown', async () => {
  const { bpftool, maps } = await find();
  const { device } = await readTables(bpftool, maps);
  const before = (await network.sample()).totals.packets;
  const generation = whileMoving(device.generation);
  await update(maps.device, 0, encodeDevice({ ...device, generation }));
  const { counters } = await readState(bpftool, maps);
  const retired = counters.get(0) ?? { packets: 0n, bytes: 0n };
  const more = { packets: retired.packets + 1n, bytes: retired.bytes };
  await update(maps.counters, 0, encodeCounter(more));
  const sample = network.sample();
  await sleep(400);
  await update(maps.counters, 0, encodeCounter(retired));
  await update(maps.device, 0, encodeDevice({ ...device, generation: generation + 1 }));
  expect((await sample).totals.packets).toBe(before);
});
