// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Changes that l4lb-disturb makes, and that lose no connection. */
import { expect, test } from '@jest/globals';

import type { ResultJson } from './disturb.js';
import { SMALL, disturb } from './disturb.js';

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
    ...[...SMALL, '--duration', '3s', '--change', 'takeover', '--fail-above', '0'],
  ]);
  expect({ exitCode, left }).toEqual({ exitCode: 0, left: [] });
  expect(stdout).toMatch(/^Lost: 0 avoidable, 0 unavoidable \(/m);
});

test('by the link, without a program at the destinations, none is lost either', async () => {
  const { exitCode, stdout, left } = await disturb([
    ...[...SMALL, '--duration', '4s', '--forward', 'link', '--json'],
    ...['--change', 'takeover', 'drain 1', 'replace', '--fail-above', '0'],
  ]);
  expect({ exitCode, left }).toEqual({ exitCode: 0, left: [] });
  const result = JSON.parse(stdout) as ResultJson;
  expect(result).toMatchObject({
    forward: 'link',
    lost_avoidable: 0,
    lost_unavoidable: 0,
  });
  expect(result.received).toBeGreaterThan(1000);
  expect(result.balancer.packets).toBeGreaterThan(result.sent);
  expect(result.balancer.dropped).toBe(0);
});

test('where destinations decide, balancers take over, and share, in the middle of a change', async () => {
  const { exitCode, stdout, left } = await disturb([
    ...[...SMALL, '--duration', '6s', '--remember', 'destinations', '--json'],
    ...['--change', 'drain 1', 'takeover', 'both', 'restore 1', '--fail-above', '0'],
    ...['--flood', '300', '--syncookies', '1', '--half-open', '10'],
  ]);
  expect({ exitCode, left }).toEqual({ exitCode: 0, left: [] });
  const result = JSON.parse(stdout) as ResultJson;
  expect(result).toMatchObject({
    lost_avoidable: 0,
    lost_unavoidable: 0,
    syncookies: 1,
    half_open: { held: 40, completed_elsewhere: 0, lost_avoidable: 0 },
  });
  // On a slow machine the flood fills backlogs, and kernels give up what is half open.
  const { completed, expired } = result.half_open;
  expect(completed + expired).toBe(40);
  expect(result.flood?.packets).toBeGreaterThan(500);
  expect(result.balancer.packets).toBeGreaterThan(
    result.sent + (result.flood?.packets ?? 0),
  );
  expect(result.balancer.dropped).toBe(0);
});
