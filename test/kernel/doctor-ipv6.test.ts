// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb-doctor where service and destinations have IPv6 addresses. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { Network } from './network.js';

const VIP = 'fd00:64::1';
const GOOD = 'fd00::1:1, 02:00:0a:00:01:01\nfd00::1:2, 02:00:0a:00:01:02\n';
/** hping3 speaks IPv4 only. */
const FLOOD = `while sleep 0.01; do echo >/dev/udp/${VIP}/80; done`;

/** Each look takes longer than the interval, and much longer on a busy machine. */
const MOST_MS = 120_000;

let network: Network;

beforeAll(async () => {
  network = await Network.up('--ipv6', '--count', '2', '--vip', VIP);
  for (const role of ['destination1', 'destination2'] as const) {
    await network.expectOk(role, 'bin/l4lb-load.js', '-i', 'eth0', '--decap');
  }
  await fill('load', GOOD);
  network.start('client', 'bash', '-c', FLOOD);
});
afterAll(() => network.down());

async function fill(command: 'load' | 'map', rows: string): Promise<void> {
  const more = command === 'load' ? ['--slots', '256'] : [];
  const args = ['-i', 'eth0', '-f', '-', '--vip', `[${VIP}]:80/udp`, ...more];
  const filled = await network.run('balancer', `bin/l4lb-${command}.js`, args, rows);
  expect(filled).toMatchObject({ exitCode: 0, stderr: '' });
}

interface Report {
  findings: { fix: string }[];
  well: { check: string }[];
}

async function doctor(): Promise<Report & { exitCode: number }> {
  const args = ['-i', 'eth0', '--json', '--interval', '0.4'];
  const { exitCode, stdout, stderr } = await network.run(
    'balancer',
    'bin/l4lb-doctor.js',
    args,
  );
  if (stdout === '') throw new Error(stderr);
  return { exitCode, ...(JSON.parse(stdout) as Report) };
}

test(
  'a network that works is healthy, and everything was looked at',
  async () => {
    const { exitCode, findings, well } = await doctor();
    expect({ exitCode, findings }).toEqual({ exitCode: 0, findings: [] });
    const looked = ['source', 'answers', 'mac', 'tunnel', 'service address', 'matches'];
    expect(well.map(({ check }) => check)).toEqual(expect.arrayContaining(looked));
  },
  MOST_MS,
);

test(
  "a destination's wrong MAC is found, and well again when it is fixed",
  async () => {
    await fill('map', GOOD.replace('01:02\n', '01:99\n'));
    const { exitCode, findings } = await doctor();
    expect(exitCode).toBe(1);
    expect(findings).toMatchObject([
      {
        check: 'mac',
        severity: 'finding',
        evidence:
          'it has 02:00:0a:00:01:99; ip neigh show dev eth0 has fd00::1:2 at 02:00:0a:00:01:02',
      },
    ]);
    expect(findings[0]?.fix).toContain('with the row fd00::1:2, 02:00:0a:00:01:02');
    await fill('map', GOOD);
    expect(await doctor()).toMatchObject({ exitCode: 0, findings: [] });
  },
  MOST_MS,
);
