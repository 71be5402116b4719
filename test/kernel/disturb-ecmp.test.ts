// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Balancers behind a router with BIRD, which die, are cut off, are drained, and come. */
import { describe, expect, test } from '@jest/globals';
import { execa } from 'execa';

import { run, runIfThere } from '../../src/system/run.js';
import { Unseen } from '../../src/text/unseen.js';
import type { ResultJson } from './disturb.js';
import { disturb } from './disturb.js';
import { ROOT } from './network.js';

interface Routing {
  takers: { role: string; flows: number }[];
  asked: number;
  moved: number;
  router_moved_s: number | null;
  stall_s: number;
}

interface EcmpJson extends ResultJson {
  ecmp: { balancers: number; family: number };
  changes: (ResultJson['changes'][number] & { routing: Routing })[];
  plain_ecmp?: EcmpJson;
}

const bird = await runIfThere(run, 'bird', ['--version']);
if (bird instanceof Unseen) {
  if (process.env.CI) throw new Error(`these tests need BIRD: ${bird.why}`);
  console.warn(`skipped: ${bird.why}. Install it: ./setup.sh test`);
}
const withBird = bird instanceof Unseen ? test.skip : test;
const isAll = process.env.L4LB_TEST === 'all';
if (!isAll) {
  console.warn('skipped: make test-all runs the long cases of ECMP, and make demo-fleet');
}
const atLength = isAll ? withBird : test.skip;

const lost = { lost_avoidable: 0, lost_unavoidable: 0 };

withBird(
  'a balancer is drained, and another killed, and no connection is lost',
  async () => {
    const { exitCode, stdout, stderr, left } = await disturb([
      ...['--ecmp', '--balancers', '3', '--connections', '60', '--destinations', '3'],
      ...['--slots', '1024', '--sources', '5000::/112', '--duration', '3s', '--json'],
      ...['--change', 'drain balancer', 'kill balancer', '--fail-above', '0'],
    ]);
    expect({ exitCode, left, stderr }).toMatchObject({ exitCode: 0, left: [] });
    const result = JSON.parse(stdout) as EcmpJson;
    expect(result).toMatchObject({ ...lost, ecmp: { balancers: 3, family: 6 } });
    const [drained, killed] = result.changes.map(({ routing }) => routing);
    expect(drained?.takers.map(({ role }) => role)).toEqual(['balancer2', 'balancer3']);
    expect(killed?.takers.map(({ role }) => role)).toEqual(['balancer3']);
    expect(drained?.moved).toBeGreaterThan(5);
    expect(killed?.router_moved_s).toBeLessThan(2);
    expect(result.received).toBeGreaterThan(500);
    expect(result.balancer.dropped).toBe(0);
  },
);

atLength.each<{ what: string; args: string[] }>([
  {
    what: 'a cable is cut where no end sees it',
    args: ['--change', 'cut balancer', 'add balancer', 'kill balancer'],
  },
  {
    what: 'balancers die and come in the middle of a change, and the destinations decide',
    args: [
      ...['--remember', 'destinations', '--sources', '222.222.222.0/24', '--change'],
      ...['drain 1', 'kill balancer', 'restore 1', 'add balancer', 'cut balancer'],
    ],
  },
  {
    what: 'one is drained, stops, comes back, and gets a new table',
    args: [
      ...['--remember', 'destinations', '--sources', '5000::/112', '--change'],
      ...['drain balancer', 'drain 1', 'stop balancer', 'restore 1', 'start balancer'],
    ],
  },
])('1,000 connections: $what', async ({ args }) => {
  const { exitCode, stdout, left } = await disturb([
    ...['--ecmp', '--destinations', '4', '--duration', '20s', '--json', ...args],
  ]);
  expect({ exitCode, left }).toEqual({ exitCode: 0, left: [] });
  expect(JSON.parse(stdout)).toMatchObject(lost);
});

atLength('plain ECMP loses about half at each change', async () => {
  const { exitCode, stdout, left } = await disturb([
    ...['--plain-ecmp', '--destinations', '4', '--duration', '12s', '--json'],
    ...['--change', 'remove 1', 'add 1'],
  ]);
  expect({ exitCode, left }).toEqual({ exitCode: 0, left: [] });
  const { lost_avoidable: many } = JSON.parse(stdout) as EcmpJson;
  expect(many).toBeGreaterThan(500);
});

describe('make demo-fleet', () => {
  const DEMO = 'testbed/demo-fleet.sh';

  atLength('loses nothing but what was on the dead destination', async () => {
    const { stdout } = await execa(DEMO, { cwd: ROOT, input: '' });
    expect(
      stdout.match(/^ {2}client: .*; lost: 0; longest stall: \d+ ms$/gm),
    ).toHaveLength(6);
    expect(stdout).toMatch(/^ {11}[1-9]\d* were on destination3 and went with it/m);
  });

  atLength('ends by q on a terminal', async () => {
    const terminal = ['-qec', DEMO, '/dev/null'];
    const { stdout } = await execa('script', terminal, { cwd: ROOT, input: 'q' });
    expect(stdout).toContain('# Ended by q.');
  });

  atLength('leaves nothing behind when it is ended', async () => {
    const demo = execa(DEMO, { cwd: ROOT, input: '', reject: false });
    // From then on it builds its network.
    await new Promise((resolve) => demo.stdout.once('data', resolve));
    demo.kill('SIGTERM');
    expect(await demo).toMatchObject({ exitCode: 143 });
    const { stdout } = await execa('testbed/network.sh', ['list'], { cwd: ROOT });
    expect(stdout).not.toContain(`fleet-${demo.pid}`);
  });
});
