// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb-load: modes, refusals, replacement under traffic, and taking off. */
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';

import type { SampleJson } from './network.js';
import { Network, ROOT, pinsOf, sumOfVerdicts } from './network.js';

const SAMPLE = 'destination_samples/32_destinations.csv';
const PASS = 'testbed/pass.o';

let network: Network;
beforeAll(async () => {
  network = await Network.up('--destinations', SAMPLE);
});
afterAll(() => network.down());

interface ProgramJson {
  id: number;
  mode: string;
  build: string;
  services?: { ways: string[]; slots: number; destinations: number }[];
}

async function status(): Promise<ProgramJson[]> {
  const { stdout } = await network.l4lb('load', '--status', '--json');
  return (JSON.parse(stdout) as { programs: ProgramJson[] }).programs;
}

/**
 * Too large for one buffer, so veth refuses driver mode, as it also does for its peer's
 * MTU.
 */
async function setJumboFrames(): Promise<void> {
  await network.expectOk(
    'switch',
    'ip',
    'link',
    'set',
    'dev',
    'balancer',
    'xdpdrv',
    'off',
  );
  await network.expectOk('switch', 'ip', 'link', 'set', 'dev', 'balancer', 'mtu', '9000');
  await network.expectOk('balancer', 'ip', 'link', 'set', 'dev', 'eth0', 'mtu', '9000');
}

describe('loading', () => {
  afterEach(() => network.reset());

  test('takes driver mode and the host build if it can', async () => {
    const { stdout, stderr, exitCode } = await network.l4lb('load');
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^eth0 \[Driver\] l4lb_xdp_host\.o attached as program \d+$/);
    expect(await status()).toMatchObject([
      { mode: 'Driver', build: 'host', services: [] },
    ]);
  });

  test('falls back to generic mode, and says why', async () => {
    await setJumboFrames();
    // An object that was named is the one that is loaded, and this one is not for jumbo
    // frames.
    const { stdout, exitCode } = await network.l4lb('load', '--obj', 'l4lb_xdp_host.o');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^driver mode is not available: .*\neth0 \[Generic\]/);
    expect(await status()).toMatchObject([{ mode: 'Generic', build: 'host' }]);
  });

  test('in a named mode does not fall back to another', async () => {
    await setJumboFrames();
    const { stderr, exitCode } = await network.l4lb(
      'load',
      ...['-m', 'xdpdrv', '--obj', 'l4lb_xdp_host.o'],
    );
    expect(exitCode).toBe(1);
    expect(stderr).toContain('next: l4lb-load -i eth0 -m xdpgeneric');
    expect(await status()).toEqual([]);
  });

  test('fills before it attaches, and warns if the device takes VLAN tags off', async () => {
    await network.expectOk('balancer', 'ethtool', '-K', 'eth0', 'rxvlan', 'on');
    const args = ['-f', SAMPLE, '--vip', '10.0.0.4:80/tcp', '--slots', '4096'];
    const { stdout, stderr, exitCode } = await network.l4lb('load', ...args);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('Loading file with 32 destinations');
    expect(stdout).toContain('largest packet that fits: 1480 bytes; TCP MSS 1440');
    expect(stderr).toMatch(
      /^Warning: eth0 takes VLAN tags off .*ethtool -K eth0 rxvlan off/,
    );
    expect(stderr.split('\n')).toHaveLength(1);
    expect(await status()).toMatchObject([
      { services: [{ ways: ['10.0.0.4:80/tcp'], slots: 4096, destinations: 32 }] },
    ]);
  });

  test('with a bad file attaches nothing', async () => {
    const { exitCode, stderr } = await network.l4lb('load', '-f', 'package.json');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('package.json:');
    expect(await status()).toEqual([]);
  });

  test('takes an object of the user', async () => {
    const { exitCode } = await network.l4lb('load', '--obj', 'l4lb_xdp.o');
    expect(exitCode).toBe(0);
    expect(await status()).toMatchObject([{ build: 'portable' }]);
  });

  test.each([
    [PASS, 'is not l4lb'],
    ['no_such.o', 'no object no_such.o'],
    ['package.json', 'does not take package.json'],
  ])('refuses %s', async (object, message) => {
    const { exitCode, stderr } = await network.l4lb('load', '--obj', object);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(message);
    expect(await status()).toEqual([]);
  });

  test('refuses offload on a device that has none', async () => {
    const { exitCode, stderr } = await network.l4lb('load', '-m', 'xdpoffload');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('l4lb_xdp.o');
    expect(stderr).toContain('likely cause: eth0 has no eBPF offload');
    expect(stderr).toContain('l4lb-load -i eth0 -m xdpdrv, which runs it on the host');
  });

  test('leaves no pin behind', async () => {
    const args = ['-i', 'eth0', '-f', SAMPLE, '--slots', '512'];
    const child = network.start('balancer', 'bin/l4lb-load.js', ...args);
    expect(await once(child, 'exit')).toEqual([0, null]);
    // Other tests' loaders may have pins at this moment.
    expect(pinsOf(child)).toEqual([]);
  });
});

/** Loads it with one service. */
async function load(): Promise<void> {
  const fill = ['-f', SAMPLE, '--slots', '512'];
  await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0', ...fill);
}

describe('with a program already there', () => {
  // Each of them leaves the program and its tables, so all share one; the last takes it off.
  beforeAll(load);
  afterAll(() => network.reset());

  test.each([
    [['-m', 'xdpdrv'], '--replace, which loses no packet'],
    [['-m', 'xdpgeneric'], 'driver mode or in generic mode, not both'],
    [['-m', 'xdpgeneric', '--unless-loaded'], 'not both'],
    [['--decap', '--unless-loaded'], 'it was loaded before'],
    [['-m', 'xdpgeneric', '--replace'], 'in mode xdpdrv, not xdpgeneric'],
    [['--replace', '--obj', 'l4lb_decap.o'], 'cannot replace it'],
    [['--replace', '--obj', 'no_such.o'], 'no object no_such.o'],
    [['--replace', '-f', 'package.json'], 'package.json:'],
  ])('load %j fails and leaves it as it was', async (args, message) => {
    const before = await status();
    const { exitCode, stderr } = await network.l4lb('load', ...args);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(message);
    expect(stderr).toContain('next: ');
    expect(await status()).toEqual(before);
  });

  test('--unless-loaded changes nothing, and that is success', async () => {
    const before = await status();
    const { exitCode, stdout } = await network.l4lb('load', '--unless-loaded');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(
      /^eth0 \[Driver\] has program \d+ already; nothing was changed$/,
    );
    expect(await status()).toEqual(before);
  });

  test('--off takes it off, and again says that there is none', async () => {
    expect((await network.l4lb('load', '--off')).stdout).toMatch(
      /^eth0 \[Driver\] .* removed$/,
    );
    expect(await network.l4lb('load', '--off')).toEqual({
      exitCode: 0,
      stdout: 'eth0 has no XDP program',
      stderr: '',
    });
  });
});

describe('--off', () => {
  afterEach(() => network.reset());

  test('knows generic mode too', async () => {
    await network.l4lb('load', '-m', 'xdpgeneric');
    expect((await network.l4lb('load', '--off')).exitCode).toBe(0);
    expect(await status()).toEqual([]);
  });

  test('does not touch the program of others', async () => {
    const link = ['link', 'set', 'dev', 'eth0', 'xdpdrv'];
    await network.expectOk('balancer', 'ip', ...link, 'obj', PASS, 'sec', 'xdp');
    const { exitCode, stderr } = await network.l4lb('load', '--off');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('is not l4lb, but pass');
  });
});

describe('--replace', () => {
  afterEach(() => network.reset());

  test('that the driver refuses leaves the tables as they were', async () => {
    await setJumboFrames();
    const folder = mkdtempSync(join(tmpdir(), 'l4lb-load-'));
    // With another name, so that no other object is known to replace it.
    const object = join(folder, 'single-buffer.o');
    copyFileSync(join(ROOT, 'l4lb_xdp_host.o'), object);
    try {
      expect((await network.l4lb('load', '-f', SAMPLE, '--slots', '1024')).exitCode).toBe(
        0,
      );
      const other = ['-f', 'destination_samples/256_destinations.csv'];
      for (const more of [[], ['--flows', '4']]) {
        const args = ['--replace', '--obj', object, ...other, ...more];
        const refused = await network.l4lb('load', ...args);
        expect(refused.exitCode).toBe(1);
        expect(refused.stderr).toMatch(/MTU|does not take the program/);
        const { stdout } = await network.l4lb('map', '-f', SAMPLE, '--dry-run', '--json');
        expect(JSON.parse(stdout)).toMatchObject({ writes: 0, destinations: 32 });
      }
      const replaced = await network.l4lb('load', '--replace', ...other);
      expect(replaced.exitCode).toBe(0);
      const { stdout } = await network.l4lb('map', ...other, '--dry-run', '--json');
      expect(JSON.parse(stdout)).toMatchObject({ writes: 0, destinations: 256 });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('--replace under traffic', () => {
  afterEach(() => network.reset());

  /** Sends a fixed number of packets, a few each millisecond. */
  function flood(count: number): Promise<unknown> {
    const args = ['30', 'hping3', '10.0.0.4', '--rand-source', '-2', '-q'];
    return network.run('client', 'timeout', [...args, '-i', 'u100', '-c', String(count)]);
  }

  /** Packets that the destinations' device received. */
  async function arrived(): Promise<number> {
    const args = ['-j', '-s', 'link', 'show', 'dev', 'destinations'];
    const { stdout } = await network.expectOk('switch', 'ip', ...args);
    return (JSON.parse(stdout) as { stats64: { tx: { packets: number } } }[])[0]?.stats64
      .tx.packets as number;
  }

  async function replaceDuringFlood(...steps: string[][]): Promise<{
    before: SampleJson;
    after: SampleJson;
    came: number;
    delivered: number;
  }> {
    await flood(2000);
    const before = await network.sample();
    const [cameBefore, arrivedBefore] = [
      await network.packetsToBalancer(),
      await arrived(),
    ];
    const traffic = flood(30_000);
    for (const step of steps) {
      const finished = await network.l4lb('load', '--replace', ...step);
      expect(finished).toMatchObject({ exitCode: 0 });
    }
    await traffic;
    return {
      before,
      after: await network.sample(),
      came: (await network.packetsToBalancer()) - cameBefore,
      delivered: (await arrived()) - arrivedBefore,
    };
  }

  test('keeps the maps of the same build, and loses no packet', async () => {
    await load();
    const { before, after, came, delivered } = await replaceDuringFlood([], []);
    expect(came).toBeGreaterThanOrEqual(30_000);
    expect(sumOfVerdicts(after) - sumOfVerdicts(before)).toBe(came);
    expect(after.totals.packets - before.totals.packets).toBeGreaterThanOrEqual(30_000);
    expect(delivered).toBeGreaterThanOrEqual(30_000);
  });

  test('between the builds carries every sum over, and moves no flow', async () => {
    const link = ['link', 'set', 'dev', 'eth0', 'xdpdrv'];
    await network.expectOk('balancer', 'ip', ...link, 'obj', 'l4lb_xdp.o', 'sec', 'xdp');
    await network.expectOk('balancer', 'bin/l4lb-map.js', '-i', 'eth0', '-f', SAMPLE);
    const { before, after, came, delivered } = await replaceDuringFlood(
      ['--obj', 'l4lb_xdp_host.o'],
      ['--obj', 'l4lb_xdp.o'],
      [],
    );
    expect(came).toBeGreaterThanOrEqual(30_000);
    expect(sumOfVerdicts(after) - sumOfVerdicts(before)).toBe(came);
    expect(delivered).toBeGreaterThanOrEqual(30_000);
    expect(await status()).toMatchObject([
      { build: 'host', services: [{ slots: 512, destinations: 32 }] },
    ]);
    for (const one of before.destinations) {
      const later = after.destinations.find(({ address }) => address === one.address);
      expect(later?.packets).toBeGreaterThanOrEqual(one.packets);
    }
  });

  test('keeps the size of flows if no other is asked for', async () => {
    await network.l4lb('load', '-f', SAMPLE, '--slots', '512', '--flows', '2');
    const { stdout } = await network.l4lb('load', '--replace');
    expect(stdout).toMatch(/replaced as program \d+\n {2}maps and counters are kept$/);
  });

  test('with new maps says that hot slots forget', async () => {
    const args = ['-f', SAMPLE, '--slots', '1024'];
    await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0', ...args);
    const same = await network.l4lb('load', '--replace', '--flows', '1');
    expect(same.stderr).toBe('');
    const more = `${readFileSync(`${ROOT}${SAMPLE}`, 'utf8')}10.0.7.7, 02:00:0a:00:07:07\n`;
    const fill = ['-i', 'eth0', '-f', '-'];
    await network.run('balancer', 'bin/l4lb-map.js', fill, more);
    const portable = ['--replace', '--obj', 'l4lb_xdp.o'];
    const { stderr, exitCode } = await network.l4lb('load', ...portable);
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(/^Warning: [\d,]+ slots? forgot the previous destination/m);
  });

  test('to a smaller build says what did not fit', async () => {
    await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0', '-f', SAMPLE);
    const { stderr, exitCode } = await network.l4lb(
      'load',
      '--replace',
      '--obj',
      'l4lb_xdp.o',
    );
    expect(exitCode).toBe(0);
    expect(stderr).toContain('any/tcp, any/udp: 512 slots now, not 65536');
  });
});
