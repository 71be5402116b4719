// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Full-size packets over real TCP and UDP: the sender learns what fits; also jumbo
 * frames.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { Network } from './network.js';

const VIP = '198.51.100.10';
const TRANSFER = 'testbed/transfer.mjs';
const MEGABYTES = 100;

/**
 * Makes a network with one destination behind a balancer, and loads our programs on both.
 */
async function balanced(network: Network): Promise<void> {
  await network.expectOk('destination1', 'bin/l4lb-load.js', '-i', 'eth0', '--decap');
  const destination = 'address\n10.0.1.1\n';
  const fill = ['-i', 'eth0', '-f', '-', '--vip', VIP, '--slots', '64'];
  const loaded = await network.run('balancer', 'bin/l4lb-load.js', fill, destination);
  expect(loaded.stderr).toBe('');
  expect(loaded.exitCode).toBe(0);
}

describe('a client that sends full-size segments and forbids fragments', () => {
  let network: Network;
  beforeAll(async () => {
    network = await Network.up('--count', '1', '--vip', VIP);
    await balanced(network);
    // The testbed tells its client what fits; this client has to find out.
    const route = ['route', 'replace', `${VIP}/32`, 'via', '10.0.0.4', 'dev', 'eth0'];
    await network.expectOk('client', 'ip', ...route);
  });
  afterAll(() => network.down());

  test(`gets ${MEGABYTES} MB through, byte for byte, because it is told`, async () => {
    network.start('destination1', 'node', TRANSFER, 'answer', '80');
    const bytes = String(MEGABYTES << 20);
    const asked = await network.run('client', 'node', [
      TRANSFER,
      'ask',
      VIP,
      '80',
      bytes,
    ]);
    expect(asked.stderr).toBe('');
    expect(asked.stdout).toBe(`${bytes} bytes came back as they were sent`);

    const { verdicts } = await network.sample();
    expect(verdicts['too big told']?.packets).toBeGreaterThan(0);
    // The kernel remembers it, so nearly all packets fitted.
    const told = verdicts['too big told']?.packets ?? 0;
    const dropped = verdicts['too big']?.packets ?? 0;
    expect(told + dropped).toBeLessThan((verdicts['balanced']?.packets ?? 0) / 100);
    const { stdout } = await network.expectOk('client', 'ip', 'route', 'get', VIP);
    expect(stdout).toMatch(/\bmtu 1480\b/);
  });
});

describe('at an MTU of 9000', () => {
  let network: Network;
  beforeAll(async () => {
    network = await Network.up('--count', '1', '--vip', VIP, '--mtu', '9000');
    await balanced(network);
  });
  afterAll(() => network.down());

  test('the program for frames in several buffers is taken', async () => {
    for (const role of ['balancer', 'destination1'] as const) {
      const { stdout } = await network.expectOk(
        role,
        'ip',
        '-j',
        '-d',
        'link',
        'show',
        'eth0',
      );
      const [link] = JSON.parse(stdout) as { mtu: number; xdp: { mode: number } }[];
      expect(link).toMatchObject({ mtu: 9000, xdp: { mode: 1 } });
    }
    const replaced = await network.l4lb('load', '--replace', '--json');
    expect(JSON.parse(replaced.stdout)).toMatchObject({
      object: 'l4lb_xdp_frags.o',
      kept_maps: true,
    });
  });

  test('jumbo segments get through, and are counted with all of their bytes', async () => {
    const before = await network.sample();
    network.start('destination1', 'node', TRANSFER, 'answer', '80');
    const bytes = 10 << 20;
    const asked = await network.run('client', 'node', [
      TRANSFER,
      'ask',
      VIP,
      '80',
      String(bytes),
    ]);
    expect(asked.stderr).toBe('');
    expect(asked.exitCode).toBe(0);
    const after = await network.sample();
    const packets = after.totals.packets - before.totals.packets;
    const sent = after.totals.bytes - before.totals.bytes;
    expect(sent).toBeGreaterThan(bytes);
    // Acknowledgements count too, but most bytes came in frames of many buffers.
    expect(sent / packets).toBeGreaterThan(1600);
  });
});
