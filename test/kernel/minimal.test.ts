// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A minimal table, changed with the tools, and what a service keeps in its cells. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { Clock } from './clock.js';
import { Network } from './network.js';

const WEB = ['--vip', '192.0.2.10:80/tcp'];
const DNS = ['--vip', '192.0.2.53:53/udp'];

/** Rows 10.0.1.1, 10.0.1.2, … */
function csv(count: number, ...weights: number[]): string {
  return Array.from({ length: count }, (_, index) => {
    const last = index + 1;
    const weight = weights[index] ?? 1;
    return `10.0.1.${last}, 02:00:0a:00:01:${last.toString(16).padStart(2, '0')}, ${weight}\n`;
  }).join('');
}

interface PlanJson {
  drained: string[];
  slots: number;
  slots_moved: number;
  slots_ideal: number;
  shares: { address: string; slots_before: number; slots: number }[];
  slots_settled?: number;
  slots_forgot?: number;
  slots_hot?: number;
  writes: number;
}

let network: Network;
let clock: Clock;
beforeAll(async () => {
  network = await Network.up();
  await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0');
  clock = new Clock(network);
});
afterAll(() => network.down());

async function map(input: string, ...args: string[]): Promise<string> {
  const all = ['-i', 'eth0', ...args];
  const { exitCode, stdout, stderr } = await network.run(
    'balancer',
    'bin/l4lb-map.js',
    all,
    input,
  );
  expect([exitCode, stderr]).toEqual([0, '']);
  return stdout;
}
async function fill(input: string, ...args: string[]): Promise<PlanJson> {
  return JSON.parse(await map(input, '-f', '-', '--json', ...args)) as PlanJson;
}

describe('a minimal table', () => {
  test('moves the ideal number of slots, and is kept by later fills', async () => {
    const slots = ['--slots', '4096'];
    await fill(csv(10), ...WEB, ...slots, '--table', 'minimal', '--idle', '100');
    const text = await map('', '--export');
    expect(text).toContain('table = "minimal"\nslots = 4096\nidle = 100\n');

    const more = await fill(csv(11), ...WEB, '--dry-run');
    expect(more).toMatchObject({ slots: 4096, slots_moved: 372, slots_ideal: 372 });
    expect(more.slots_hot).toBeUndefined();
    const done = await fill(csv(11), ...WEB);
    expect(done).toMatchObject({ slots_moved: 372, slots_ideal: 372, slots_hot: 372 });
    const loads = done.shares.map((share) => share.slots);
    expect(Math.max(...loads) - Math.min(...loads)).toBe(1);
    expect((await fill(csv(11), ...WEB)).writes).toBe(0);

    const drained = await fill(csv(11, 0), ...WEB, '--dry-run');
    expect(drained.drained).toEqual(['10.0.1.1']);
    expect(drained.slots_moved).toBe(drained.shares[0]?.slots_before);
    expect(drained.slots_moved).toBe(drained.slots_ideal);
  });

  test('survives a replacement by another build', async () => {
    const before = await fill(csv(11), ...WEB, '--dry-run');
    const object = ['--replace', '--obj'];
    const args = ['-i', 'eth0', ...object, 'l4lb_xdp_host.o', '--flows', '4'];
    await network.expectOk('balancer', 'bin/l4lb-load.js', ...args);
    const after = await fill(csv(11), ...WEB, '--dry-run');
    expect([before.writes, after.writes]).toEqual([0, 0]);
    expect(await map('', '--export')).toContain('table = "minimal"');
  });

  test('can be chosen in a config file, or on the command line if the file is silent', async () => {
    const text = await map('', '--export');
    const config = ['-c', '-', '--dry-run', '--json'];
    const plans = async (input: string, ...more: string[]): Promise<string[][]> => {
      const answer = JSON.parse(await map(input, ...config, ...more)) as {
        services: { settings_changed: string[] }[];
      };
      return answer.services.map((service) => service.settings_changed);
    };
    expect(await plans(text)).toEqual([[]]);
    const silent = text.replace('table = "minimal"\n', '');
    expect(await plans(silent)).toEqual([['table consistent']]);
    expect(await plans(silent, '--table', 'minimal')).toEqual([[]]);
  });
});

describe('a fill', () => {
  test('keeps the spread source until another is asked for', async () => {
    const source = async (): Promise<string | undefined> =>
      /source = "(.*)"/.exec(await map('', '--export'))?.[1];
    await fill(csv(10), ...WEB, '--source', '10.7.0.0/16');
    expect(await source()).toBe('10.7.0.0/16');
    await fill(csv(11), ...WEB);
    expect(await source()).toBe('10.7.0.0/16');
    const back = await map(csv(11), '-f', '-', ...WEB, '--source', 'own', '--dry-run');
    expect(back).toContain('0 of 4,096 slots moved (ideal: 0), now source 10.0.0.4');
    await fill(csv(11), ...WEB, '--source', 'own');
    expect(await source()).toBe('10.0.0.4');
  });

  test('settles what is ready in other services, after the idle time that each keeps', async () => {
    // Settles what earlier tests left and a replacement carried over.
    await map('', '--settle', '--now');
    const first = await fill(csv(4), ...DNS, '--slots', '512', '--idle', '1000');
    expect(first.slots_hot).toBe(0);
    const hot = await fill(csv(10), ...WEB);
    expect(hot.slots_moved).toBeGreaterThan(0);
    // Slots of a destination that was removed forget; slots whose weight changed are hot.
    const moved = await fill(csv(10, 2), ...WEB, '--idle', '10');
    expect(moved.slots_hot).toBe(moved.slots_moved);
    await clock.passes(10);

    const other = await fill(csv(5), ...DNS);
    expect(other.slots_settled).toBe(moved.slots_hot);
    expect(other.slots_hot).toBe(other.slots_moved);

    // The service keeps its idle time, so nothing is ready; the next run names another.
    const kept = JSON.parse(await map('', '--settle', '--json')) as PlanJson;
    expect(kept).toMatchObject({ slots_settled: 0, slots_hot: other.slots_moved });
    await clock.passes(1);
    const asked = await map('', '--settle', '--idle', '1', '--json');
    expect(JSON.parse(asked)).toMatchObject({ slots_settled: other.slots_moved });
    expect(await map('', '--export')).toContain('idle = 1000\n');
  });

  test('knows the deadline of drained destinations without the config file', async () => {
    const text = await map('', '--export');
    const service = (weight: number): string =>
      text
        .replace('idle = 10\n', 'idle = 1000\ndrain_deadline = 10\n')
        .replace(
          /(address = "10.0.1.1", mac = "[0-9a-f:]+")(, weight = \d+)?/,
          `$1, weight = ${weight}`,
        );
    // Long enough that a slow machine still finds the slots hot.
    await map(service(2), '-c', '-');
    await map(service(0), '-c', '-');
    const waiting = JSON.parse(await map('', '--settle', '--json')) as PlanJson;
    expect(waiting.slots_hot).toBeGreaterThan(0);
    await clock.passes(11);
    // The records are kept for the idle time, since a slot may have moved twice.
    const forgot = JSON.parse(await map('', '--settle', '--json')) as PlanJson;
    expect(forgot).toMatchObject({
      slots_settled: 0,
      slots_forgot: waiting.slots_hot,
      slots_hot: waiting.slots_hot,
    });
    const settled = JSON.parse(
      await map('', '--settle', '--idle', '1', '--json'),
    ) as PlanJson;
    expect(settled).toMatchObject({ slots_settled: waiting.slots_hot, slots_forgot: 0 });
    expect(await map('', '--export')).toContain('drain_deadline = 10\n');
  });

  test('that moves slots again does not turn them cold, although they were ready', async () => {
    await fill(csv(10, 0), ...WEB);
    await map('', '--settle', '--now');
    const first = await fill(csv(10, 3), ...WEB, '--idle', '2');
    expect(first.slots_hot).toBe(first.slots_moved);
    await clock.passes(3);
    // Connections that began meanwhile are on the destinations that these slots leave
    // now.
    const second = await fill(csv(10, 0), ...WEB);
    expect(second).toMatchObject({ slots_settled: 0, slots_hot: first.slots_hot });
    expect(second.slots_moved).toBe(first.slots_moved);
    await clock.passes(3);
    const settled = JSON.parse(await map('', '--settle', '--json')) as PlanJson;
    expect(settled).toMatchObject({ slots_settled: first.slots_hot, slots_hot: 0 });
  });
});
