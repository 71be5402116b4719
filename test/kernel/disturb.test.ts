// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb-disturb measures, and leaves nothing behind. */
import { describe, expect, test } from '@jest/globals';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { ResultJson } from './disturb.js';
import { FEW, SMALL, disturb } from './disturb.js';

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
    {
      args: ['--forward', 'link', '--remember', 'destinations'],
      says: 'the destinations cannot remember without a tunnel',
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
