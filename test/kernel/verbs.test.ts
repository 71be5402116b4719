// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Runs each verb of l4lb once, on a live balancer and its destination. */
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

import type { Role } from './network.js';
import { Network, ROOT } from './network.js';

const VIP = '198.51.100.10';
const WAY = `${VIP}:80/tcp`;

let network: Network;
beforeAll(async () => {
  network = await Network.up('--count', '2', '--vip', VIP);
});
afterAll(() => network.down());

/**
 * Runs `l4lb VERB` and returns its output; any other exit code is a fault of the test.
 */
async function l4lb(
  line: string,
  { role = 'balancer', input = '', exits = 0 }: Partial<Settings> = {},
): Promise<string> {
  const done = await network.run(role, 'bin/l4lb.js', line.split(' '), input);
  if (done.exitCode !== exits) {
    throw new Error(`l4lb ${line} exited with ${done.exitCode}\n${done.stderr}`);
  }
  return done.stdout;
}

interface Settings {
  role: Role;
  input: string;
  exits: number;
}

// In the order of a first day with l4lb: each step builds on those before.
test('decap, load, map, export, settle, replace and off change what is there; status says so', async () => {
  const decap = await l4lb('decap -i eth0', { role: 'destination1' });
  expect(decap).toContain('attached as program');
  expect(await l4lb('status -i eth0', { role: 'destination1' })).toContain('decap');

  const rows = { input: '10.0.1.1\n10.0.1.2\n' };
  const loaded = await l4lb(`load -i eth0 -f - --vip ${WAY} --slots 64 --json`, rows);
  const { program } = JSON.parse(loaded) as { program: number };
  expect(await l4lb('status -i eth0')).toContain(`${WAY}: 2 destinations in 64 slots`);

  expect(await l4lb(`map -i eth0 -f - --vip ${WAY}`, { input: '10.0.1.1\n' })).toContain(
    '1 destination',
  );
  const toml = await l4lb('export -i eth0');
  expect(toml).toContain('10.0.1.1');
  expect(await l4lb('map -i eth0 -c - --dry-run', { input: toml })).toContain(
    'nothing to do',
  );

  const settled = JSON.parse(await l4lb('settle -i eth0 --now --json')) as {
    slots_hot: number;
  };
  expect(settled.slots_hot).toBe(0);

  const replaced = JSON.parse(await l4lb('replace -i eth0 --json')) as {
    program: number;
    replaced: boolean;
  };
  expect(replaced.replaced).toBe(true);
  expect(replaced.program).not.toBe(program);

  expect(await l4lb(`explain -i eth0 --src 10.0.255.1:4242 --dst ${WAY}`)).toContain(
    '10.0.1.1',
  );
  const sample = JSON.parse(await l4lb('stats -i eth0 --once --interval 0.1 --json')) as {
    destinations: unknown[];
  };
  expect(sample.destinations).toHaveLength(1);
  const doctor = await l4lb('doctor -i eth0 --interval 0.1', { exits: 1 });
  expect(doctor).toContain('  fix: ');
  const flood = await l4lb('flood -i eth0 --dst 10.0.0.4:80/tcp --count 100 --json', {
    role: 'client',
  });
  expect(JSON.parse(flood)).toMatchObject({ sent: 100 });

  expect(await l4lb('off -i eth0')).toContain(`(program ${replaced.program}) removed`);
  expect(await l4lb('status -i eth0')).toBe('eth0 has no XDP program');
});

test('check needs no device', async () => {
  expect(JSON.parse(await l4lb('check l4lb_xdp.o --json'))).toMatchObject({
    taken: true,
  });
});

// It makes a network of its own, which it cannot do inside another one. So few
// connections are open before the client has counted them once.
test('disturb measures', async () => {
  const line = 'disturb --connections 5 --destinations 2 --duration 2s --change replace';
  const done = await execa('bin/l4lb.js', [...line.split(' '), '--json'], { cwd: ROOT });
  expect(JSON.parse(done.stdout)).toMatchObject({ connections: 5 });
});
