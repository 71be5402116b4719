// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Services with so many slots that lists of them do not fit the stack. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { Network } from './network.js';

const folder = mkdtempSync(join(tmpdir(), 'l4lb-large-'));
const fileOf = (name: string): string => join(folder, name);
let network: Network;

const row = (number: number, weight: number): string =>
  `10.0.1.${number}, 02:00:0a:00:01:0${number}, ${weight}\n`;

beforeAll(async () => {
  writeFileSync(fileOf('blue.csv'), row(1, 1) + row(2, 1));
  writeFileSync(fileOf('green.csv'), row(1, 0) + row(2, 0) + row(3, 1) + row(4, 1));
  network = await Network.up('--destinations', fileOf('green.csv'));
});
afterAll(async () => {
  await network.down();
  rmSync(folder, { recursive: true });
});

/** What a tool prints in JSON about a fill or about settling. */
async function map(...args: string[]): Promise<Record<string, unknown>> {
  const all = ['-i', 'eth0', '--json', ...args];
  const { stdout } = await network.expectOk('balancer', 'bin/l4lb-map.js', ...all);
  return JSON.parse(stdout) as Record<string, unknown>;
}

async function load(slots: number): Promise<void> {
  await network.l4lb('load', '--off');
  const fill = ['-f', fileOf('blue.csv'), '--slots', String(slots)];
  await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0', ...fill);
}

/** Each holds four slots. `make test-all` takes as many as there are. */
const QUADS = process.env.L4LB_TEST === 'all' ? 1 << 18 : 1 << 17;

test(`a service of ${4 * QUADS} slots is filled, exported, and settled`, async () => {
  const slots = 4 * QUADS;
  // Not even a list of the quads fits the stack, so the test is large enough.
  expect(() => Math.max(...Array<number>(QUADS).fill(0))).toThrow(RangeError);
  await load(slots);
  const { stdout } = await network.l4lb('map', '--export');
  writeFileSync(fileOf('exported.toml'), stdout);
  const again = await map('-c', fileOf('exported.toml'));
  expect(again).toMatchObject({ totals: { slots, writes: 0 } });
  expect(await map('--settle')).toMatchObject({ slots_hot: 0 });
}, 60_000);

test('65,536 slots move to green, stay hot in a program with other flows, and move back to blue', async () => {
  const slots = 65_536;
  await load(slots);
  const green = await map('-f', fileOf('green.csv'));
  expect(green).toMatchObject({ slots_moved: slots, slots_hot: slots });
  const replace = ['--replace', '--flows', '16', '--json'];
  const { stdout } = await network.l4lb('load', ...replace);
  expect(JSON.parse(stdout)).toMatchObject({ replaced: true, kept_maps: true });
  const blue = await map('-f', fileOf('blue.csv'));
  expect(blue).toMatchObject({ slots_moved: slots, slots_hot: slots });
  expect(await map('--settle', '--now')).toMatchObject({ slots_settled: slots });
}, 120_000);
