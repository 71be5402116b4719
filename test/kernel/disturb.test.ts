// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb-disturb with few connections: it measures, and leaves nothing behind. */
import { describe, expect, test } from '@jest/globals';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';

import { ROOT } from './network.js';

interface Outcome {
  exitCode: number;
  stdout: string;
  stderr: string;
  /** Namespaces, files and processes that are still there. */
  left: string[];
}

/** Runs it, and stops it when it has printed `stopAt`. */
async function disturb(
  args: string[],
  stopAt?: RegExp,
  signal: NodeJS.Signals = 'SIGINT',
): Promise<Outcome> {
  const scratch = mkdtempSync(join(tmpdir(), 'disturb-test-'));
  const env = { TMPDIR: scratch };
  // Taking the network down may take longer than execa would wait before SIGKILL.
  const patience = { timeout: 60_000, forceKillAfterDelay: false } as const;
  const options = { cwd: ROOT, reject: false, env, ...patience } as const;
  const running = execa(join(ROOT, 'bin/l4lb-disturb.js'), args, options);
  let said = '';
  running.stderr.on('data', (text: Buffer) => {
    const before = stopAt?.test(said);
    said += text.toString();
    if (stopAt?.test(said) && !before) running.kill(signal);
  });
  const { exitCode, stdout, stderr } = await running;
  const name = `disturb-${running.pid ?? 0}`;
  const spaces = readdirSync('/run/netns').filter((one) => one.includes(`-${name}-`));
  const files = readdirSync(scratch);
  rmSync(scratch, { recursive: true });
  if (existsSync(`/run/l4lb-testbed/${name}`)) files.push(name);
  const left = [...spaces, ...files, ...processesWith(`TMPDIR=${scratch}`)];
  return { exitCode: exitCode ?? -1, stdout, stderr, left };
}

/** Everything that it starts inherits its environment. */
function processesWith(variable: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => readProcess(pid, 'environ').split('\0').includes(variable))
    .map((pid) => readProcess(pid, 'cmdline').replaceAll('\0', ' '));
}

function readProcess(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // it has ended meanwhile
  }
}

interface ResultJson {
  connections: number;
  changes: {
    change: string;
    at: number;
    lost_avoidable: number;
    lost_unavoidable: number;
    ideal: number;
  }[];
  lost_avoidable: number;
  lost_unavoidable: number;
  opened: number;
  active: number;
  sent: number;
  received: number;
  dropped: number;
  flood: { packets: number } | null;
  balancer: { packets: number; dropped: number };
  per_destination: { address: string; opened: number; lost_unavoidable: number }[];
}

const FEW = ['--connections', '100', '--destinations', '4'];
/** Each change reads and writes all slots, and usually there are 65,536. */
const SMALL = [...FEW, '--slots', '1024'];

describe('l4lb-disturb', () => {
  test('loses none when the program is replaced, and those of a removed destination', async () => {
    const svg = join(tmpdir(), `disturb-${process.pid}.svg`);
    const { exitCode, stdout, stderr, left } = await disturb([
      ...[...SMALL, '--duration', '6s', '--change', 'replace', 'remove 1'],
      ...['--fail-above', '100', '--json', '--svg', svg],
    ]);
    expect({ exitCode, left }).toEqual({ exitCode: 0, left: [] });
    const result = JSON.parse(stdout) as ResultJson;
    const [replace, remove] = result.changes;
    expect(replace).toMatchObject({
      change: 'replace',
      lost_avoidable: 0,
      lost_unavoidable: 0,
      ideal: 0,
    });
    expect(remove?.change).toBe('remove 1');
    expect(remove?.ideal).toBeGreaterThan(10);
    expect(remove?.lost_unavoidable).toBe(remove?.ideal);
    expect(result.per_destination).toHaveLength(4);
    expect(result.per_destination[0]).toMatchObject({
      address: '10.0.1.1',
      removed: true,
      active: 0,
      lost_unavoidable: remove?.ideal,
    });
    // Each message was either echoed or belongs to a connection that was lost.
    expect(result.connections).toBe(100);
    expect(result.opened).toBe(
      result.active + result.lost_avoidable + result.lost_unavoidable,
    );
    expect(result.sent).toBe(result.received + result.dropped);
    expect(result.received).toBeGreaterThan(1000);
    expect(result.balancer.packets).toBeGreaterThan(result.sent);
    expect(result.balancer.dropped).toBe(0);
    const line =
      /^Conn act\/fail\/connecting: \d+\/\d+\/\d+, Packets send\/rec\/dropped: \d+\/\d+\/\d+$/gm;
    expect(stderr.match(line)?.length).toBeGreaterThanOrEqual(5);
    expect(readFileSync(svg, 'utf8')).toContain('>remove 1<');
    rmSync(svg);
  });

  test("sees what the original's table does, and --fail-above exits with 1", async () => {
    const { exitCode, stdout, stderr, left } = await disturb([
      ...[...FEW, '--duration', '3s', '--change', 'add 1', '--table', 'modulo'],
      ...['--fail-above', '20'],
    ]);
    expect({ exitCode, left }).toEqual({ exitCode: 1, left: [] });
    expect(stdout).toMatch(/^Lost: \d+ avoidable, 0 unavoidable \(ideal: 0\)/m);
    expect(stderr).toMatch(
      /^l4lb-disturb: \d+ avoidable losses, and --fail-above is 20$/m,
    );
  });

  test('a minimal table moves the least, and loses none whose destination stays', async () => {
    const { exitCode, stdout, left } = await disturb([
      ...[...SMALL, '--duration', '6s', '--change', 'remove 1', 'add 1', 'drain 1'],
      ...['--table', 'minimal', '--fail-above', '0', '--json'],
    ]);
    expect({ exitCode, left }).toEqual({ exitCode: 0, left: [] });
    const result = JSON.parse(stdout) as ResultJson & { table: string };
    expect(result).toMatchObject({ table: 'minimal', lost_avoidable: 0 });
    expect(result.changes.map(({ change }) => change)).toEqual([
      'remove 1',
      'add 1',
      'drain 1',
    ]);
    expect(result.lost_unavoidable).toBe(result.changes[0]?.ideal);
    expect(result.received).toBeGreaterThan(1000);
  });

  test('another balancer with the same file takes over without a loss', async () => {
    const { exitCode, stdout, left } = await disturb([
      ...[...FEW, '--duration', '3s', '--change', 'takeover', '--fail-above', '0'],
    ]);
    expect({ exitCode, left }).toEqual({ exitCode: 0, left: [] });
    expect(stdout).toMatch(/^Lost: 0 avoidable, 0 unavoidable \(/m);
  });

  test('where destinations decide, balancers take over, and share, in the middle of a change', async () => {
    const { exitCode, stdout, left } = await disturb([
      ...[...SMALL, '--duration', '6s', '--remember', 'destinations', '--json'],
      ...['--change', 'drain 1', 'takeover', 'both', 'restore 1', '--fail-above', '0'],
      ...['--flood', '1000', '--syncookies', '1', '--half-open', '10'],
    ]);
    expect({ exitCode, left }).toEqual({ exitCode: 0, left: [] });
    const result = JSON.parse(stdout) as ResultJson;
    expect(result).toMatchObject({
      lost_avoidable: 0,
      lost_unavoidable: 0,
      syncookies: 1,
      half_open: { held: 40, completed: 40, completed_elsewhere: 0, began_unseen: 0 },
    });
    // A slow machine sends fewer; each went through a balancer.
    expect(result.flood?.packets).toBeGreaterThan(1000);
    expect(result.balancer.packets).toBeGreaterThan(
      result.sent + (result.flood?.packets ?? 0),
    );
    expect(result.balancer.dropped).toBe(0);
  });

  test.each<{ signal: NodeJS.Signals; at: RegExp; code: number }>([
    { signal: 'SIGINT', at: /Conn act/, code: 130 },
    { signal: 'SIGTERM', at: /building a network/, code: 143 },
  ])('$signal at $at takes all down', async ({ signal, at, code }) => {
    const { exitCode, stdout, stderr, left } = await disturb(FEW, at, signal);
    expect({ exitCode, stdout, left }).toEqual({ exitCode: code, stdout: '', left: [] });
    expect(stderr).toContain(`l4lb-disturb: stopped by ${signal}`);
  });

  test('a failure takes all down, and says what failed', async () => {
    const { exitCode, stderr, left } = await disturb([...FEW, '--obj', '/no/such.o']);
    expect({ exitCode, left }).toEqual({ exitCode: 1, left: [] });
    expect(stderr).toContain('l4lb-disturb: l4lb-load failed');
    expect(stderr).toContain('/no/such.o');
  });

  test.each([
    { args: ['--change', 'explode 1'], says: '"explode 1" is not remove N, add N' },
    {
      args: ['--table', 'modulo', '--remember', 'destinations'],
      says: 'slots of the table modulo remember nothing',
    },
    { args: ['--flood', '0'], says: '"0" is not a whole number from 1 to 1000000' },
    { args: ['--half-open', '1001'], says: '"1001" is not a whole number from 1 to' },
    { args: ['--syncookies', '3'], says: 'Allowed choices are 0, 1, 2' },
    {
      args: ['--change', 'rolling', '--duration', '20s'],
      says: '20 changes in too short a time',
    },
    {
      args: ['--table', 'modulo', '--slots', '1024'],
      says: 'the table modulo has 512 slots',
    },
    { args: ['--slots', '1000'], says: '"1000" is not a power of two' },
    { args: ['--connections', '0'], says: '"0" is not a whole number from 1 to 10000' },
    { args: ['--duration', 'long'], says: '"long" is not a time from 1s to 60m' },
    { args: ['--duration', '2s'], says: '5 changes in too short a time' },
    { args: ['--destinations', '1'], says: '"remove 1" would leave no destination' },
    { args: ['--fail-above', '-1'], says: '"-1" is not a whole number' },
  ])('$args is wrong usage', async ({ args, says }) => {
    const { exitCode, stderr, left } = await disturb(args);
    expect({ exitCode, left }).toEqual({ exitCode: 2, left: [] });
    expect(stderr).toContain(says);
  });
});
