// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Which lines of `ip monitor` tell of a change. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { run } from '../../../../src/system/run.js';
import { Monitor } from '../../../../src/system/ip/monitor.js';

let monitor: Monitor;
beforeAll(async () => {
  monitor = await Monitor.start();
});
afterAll(() => {
  monitor.close();
});

// In this order, as ip -o monitor label (iproute2 6.1) prints them.
test.each([
  ['[LINK]3: eth1: <BROADCAST,UP> mtu 1400', true],
  ['[ADDR]3: eth1    inet 10.2.0.1/24 scope global eth1', true],
  ['[ROUTE]10.2.0.2 via 10.2.1.3 dev eth2 ', true],
  ['[ROUTE]Deleted 10.2.0.2 via 10.2.1.3 dev eth2 ', true],
  ['[NEIGH]10.2.0.2 dev eth1 lladdr 02:00:0a:02:00:01 REACHABLE ', true],
  ['[NEIGH]10.2.0.2 dev eth1 lladdr 02:00:0a:02:00:01 PROBE ', false],
  ['[NEIGH]10.2.0.2 dev eth2 lladdr 02:00:0a:02:00:01 REACHABLE ', true],
  ['[NEIGH]10.2.0.2 dev eth1  FAILED ', true],
  ['[NEIGH]10.2.0.2 dev eth1  INCOMPLETE ', false],
  ['[NEIGH]10.2.0.2 dev eth1 lladdr 02:00:0a:02:00:99 REACHABLE ', true],
  ['[NEIGH]Deleted 10.2.0.2 dev eth1 lladdr 02:00:0a:02:00:99 STALE ', false],
  ['[NETCONF]inet eth1 rp_filter strict', false],
  ['', false],
])('%s: %s', (line, isChange) => {
  expect(monitor.hear(line)).toBe(isChange);
});

test('nothing changes within its time', async () => {
  expect(await monitor.change(1)).toBe(false);
});

test('whoever waits is told when ip ends', async () => {
  const other = await Monitor.start();
  const told = expect(other.change(10_000)).rejects.toThrow(
    'the shell that runs ip monitor has ended',
  );
  // The newest shell of this process, since other tests have monitors too.
  const shell = await run('pgrep', ['-n', '-P', String(process.pid), '-x', 'sh']);
  // On a busy machine ip starts a moment later.
  const kill = ['-P', shell.stdout.trim(), '-x', 'ip'];
  while ((await run('pkill', kill)).exitCode !== 0) await sleep(10);
  await told;
});
