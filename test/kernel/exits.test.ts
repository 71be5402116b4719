// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A balancer that is the router: packets leave by other devices than they come in on. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execa } from 'execa';

import { Network, ROOT } from './network.js';
import { SERVER } from './talk.js';

const VIP = '10.0.0.1';
const VIP_6 = '2001:db8::1';
const PORT = 80;

let network: Network;
let folder: string;

beforeAll(async () => {
  network = await Network.up('--gateway', '--count', '2', '--ipv6');
  folder = mkdtempSync(join(tmpdir(), 'l4lb-exits-'));
  for (const number of [1, 2] as const) {
    network.start(`destination${number}`, 'node', '-e', SERVER, String(number));
  }
  await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0');
});
afterAll(async () => {
  await network.down();
  rmSync(folder, { recursive: true });
});

/**
 * Fills from a config file with these lines, and returns what the tool says. XDP sends
 * answers where `top` says so.
 */
async function fill(lines: string, ...more: string[]): Promise<string> {
  return fillWith('', lines, ...more);
}

async function fillWith(top: string, lines: string, ...more: string[]): Promise<string> {
  const file = join(folder, 'l4lb.toml');
  const ways = `address = ["${VIP}", "${VIP_6}"]\nports = ${PORT}\nprotocol = "tcp"`;
  writeFileSync(
    file,
    `${top}\n[[service]]\nname = "web"\nslots = 256\n${ways}\n${lines}\n`,
  );
  const args = ['-i', 'eth0', '-c', file, ...more];
  const { exitCode, stdout, stderr } = await network.run(
    'balancer',
    'bin/l4lb-map.js',
    args,
  );
  return `${exitCode}\n${stdout}\n${stderr}`;
}

/** Connects some times, and returns who answers. */
async function whoAnswers(address: string, times = 20): Promise<string[]> {
  const talk = `exec 3<>/dev/tcp/${address}/${PORT}; echo hello >&3; read -r line <&3; echo $line`;
  const one = `timeout 2 bash -c '${talk}' 2>/dev/null || echo nobody`;
  const all = await network.shell('client', `for i in {1..${times}}; do ${one}; done`);
  return [...new Set(all.split('\n'))].sort();
}

const BOTH = 'destinations = ["10.2.0.2", "10.2.1.2"]';

describe('destinations behind other devices', () => {
  test('are reached by the link, over both families', async () => {
    const said = await fill(`forward = "link"\n${BOTH}`);
    expect(said).toContain('packets for 1 destination leave by eth1\n');
    expect(said).toContain('packets for 1 destination leave by eth2\n');
    expect(await whoAnswers(VIP)).toEqual(['1', '2']);
    expect(await whoAnswers(VIP_6)).toEqual(['1', '2']);
  });

  test('are exported with their devices, which changes nothing when read again', async () => {
    const status = await network.l4lb('load', '--status');
    expect(status.stdout).toContain('    packets for 1 destination leave by eth1\n');
    const { stdout } = await network.l4lb('map', '--export');
    expect(stdout).toContain('{ address = "10.2.0.2" },');
    const file = join(folder, 'exported.toml');
    writeFileSync(file, stdout);
    const again = await network.l4lb('map', '-c', file, '--dry-run', '--json');
    expect(JSON.parse(again.stdout)).toMatchObject({ totals: { writes: 0 } });
  });

  // The kernel ties a map of devices to programs for one buffer, or for several.
  test.each(['l4lb_xdp_frags.o', 'l4lb_xdp_host.o'])(
    'are reached when the program is replaced by %s',
    async (object) => {
      const { exitCode, stdout } = await network.l4lb(
        'load',
        '--replace',
        '--obj',
        object,
      );
      expect([exitCode, stdout]).toEqual([
        0,
        expect.stringContaining('maps and counters are kept'),
      ]);
      expect(await whoAnswers(VIP)).toEqual(['1', '2']);
    },
  );

  test('are reached through a tunnel', async () => {
    for (const role of ['destination1', 'destination2'] as const) {
      await network.expectOk(role, 'bin/l4lb-load.js', '-i', 'eth0', '--decap');
    }
    expect(await fill(BOTH)).toContain('now forward tunnel');
    expect(await whoAnswers(VIP)).toEqual(['1', '2']);
    expect(await whoAnswers(VIP_6)).toEqual(['1', '2']);
  });

  test('are explained: program and model agree', async () => {
    const ends = ['--src', '10.0.0.2:5555', '--dst', `${VIP}:${PORT}/tcp`];
    const { stdout, stderr } = await network.l4lb('explain', ...ends, '--vlan', '7');
    expect([stderr, stdout]).toEqual(['', expect.stringMatching(/, by eth[12]\n/)]);
    expect(stdout).toContain('program and model agree');
    expect(stdout).toMatch(/from +02:00:00:00:02:0[12]/);
  });
});

describe('answers by the link', () => {
  const LINK = `forward = "link"\n${BOTH}`;
  const ANSWER = ['--src', `${VIP}:${PORT}`, '--dst', '10.0.0.2:5555/tcp'];
  const MAC = '02:00:0a:02:00:01';

  afterAll(async () => {
    for (const device of ['eth1', 'eth2']) {
      await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', device, '--off');
    }
  });

  test('are the matter of the kernel until they meet the program', async () => {
    expect(await fill(LINK)).not.toContain('--share');
    const { destinations, totals } = await network.sample();
    expect(destinations).toHaveLength(2);
    expect([...destinations, totals].map(({ answers }) => answers)).toEqual([
      ...[undefined, undefined, undefined],
    ]);
    const said = await fillWith('answers = "xdp"', LINK);
    expect(said).toContain('now answers xdp');
    expect(said).toContain(
      'answers of link destinations come in by eth1 without meeting the program, so the kernel sends them and nobody counts them: l4lb-load -i eth1 --share eth0',
    );
  });

  test('are counted by destination, and the kernel routes them', async () => {
    for (const device of ['eth1', 'eth2']) {
      const args = ['-i', device, '--share', 'eth0'] as const;
      await network.expectOk('balancer', 'bin/l4lb-load.js', ...args);
    }
    expect(await fill(LINK)).toContain('now answers kernel');
    expect(await whoAnswers(VIP)).toEqual(['1', '2']);
    expect(await whoAnswers(VIP_6)).toEqual(['1', '2']);
    const { destinations, totals, verdicts } = await network.sample();
    for (const { answers } of destinations) expect(answers?.packets).toBeGreaterThan(20);
    expect(totals.answers?.packets).toBe(verdicts['answer passed']?.packets);
  });

  test('are sent by XDP where it is asked to, and the kernel sees none', async () => {
    expect(await fillWith('answers = "xdp"', LINK)).toMatch(/^0\n/);
    // With these the kernel drops them: they come from an address of its own.
    const setting = (value: number): string =>
      ['all', 'eth1', 'eth2']
        .map((name) => `net.ipv4.conf.${name}.accept_local=${value}`)
        .join(' ');
    await network.shell('balancer', `sysctl -qw ${setting(0)}`);
    const before = await network.sample();
    expect(await whoAnswers(VIP)).toEqual(['1', '2']);
    expect(await whoAnswers(VIP_6)).toEqual(['1', '2']);
    await network.shell('balancer', `sysctl -qw ${setting(1)}`);
    const after = await network.sample();
    const grown = (verdict: string): number =>
      (after.verdicts[verdict]?.packets ?? 0) - (before.verdicts[verdict]?.packets ?? 0);
    expect(grown('answer sent')).toBeGreaterThan(80);
    expect(grown('answer sent') + grown('answer passed')).toBe(
      (after.totals.answers?.packets ?? 0) - (before.totals.answers?.packets ?? 0),
    );
  });

  test('are explained, with whose they are', async () => {
    const { stdout } = await network.l4lb('explain', ...ANSWER, '--src-mac', MAC);
    expect(stdout).toMatch(/^ {2}verdict +answer sent: /m);
    expect(stdout).toMatch(/^ {2}answer of +10\.2\.0\.2 \(id \d+, .*by the link$/m);
    expect(stdout).toContain('program and model agree');
    // Only the kernel finds the routes and settings of a VLAN's device.
    const tagged = ['--src-mac', MAC, '--vlan', '7'] as const;
    const { stdout: passed } = await network.l4lb('explain', ...ANSWER, ...tagged);
    expect(passed).toMatch(/^ {2}verdict +answer passed: /m);
    expect(passed).toContain('program and model agree');
    const other = await network.l4lb('explain', ...ANSWER);
    expect(other.stdout).toMatch(
      /^ {2}because +.* from the MAC address of none of its destinations \(--src-mac\)\n {2}verdict +not ours: /m,
    );
    expect(other.stdout).toContain('program and model agree');
  });
});

describe('l4lb watch', () => {
  let watching: ChildProcess;
  let lines: string[];

  beforeAll(async () => {
    await fill(`forward = "link"\n${BOTH}`);
    const where = network.namespaceOf('balancer');
    const args = [where, 'node', 'bin/l4lb.js', 'watch', '-i', 'eth0', '--json'];
    lines = [];
    watching = spawn('nsenter', args, {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    watching.stdout?.setEncoding('utf8').on('data', (text: string) => lines.push(text));
    await until(async () => {
      const neighbours = await network.shell('balancer', 'ip neigh show');
      return neighbours.match(/managed/g)?.length === 2;
    });
  });
  afterAll(() => {
    watching.kill();
  });

  /** It takes three seconds at most, but a machine may have other work. */
  async function until(isTrue: () => Promise<boolean>): Promise<void> {
    const end = Date.now() + 20_000;
    while (!(await isTrue())) {
      if (Date.now() > end) throw new Error(`not within 20 s: ${lines.join('')}`);
      await sleep(20);
    }
  }

  const toldOf = (change: string) => (): Promise<boolean> =>
    Promise.resolve(lines.join('').includes(change));

  test('a destination that is replaced, and says nothing of it, is back', async () => {
    const other = '02:00:0a:02:00:99';
    await network.shell('destination1', `ip link set dev eth0 address ${other}`);
    await until(toldOf(`10.2.0.2: MAC ${other}, was 02:00:0a:02:00:01`));
    expect(await whoAnswers(VIP)).toEqual(['1', '2']);
  });

  test('a route that leads elsewhere moves the exit', async () => {
    // destination2 gets the address of destination1, and the route follows.
    await network.shell(
      'destination2',
      'ip addr add 10.2.0.2/32 dev lo; ip addr add 10.2.1.3/24 dev eth0',
    );
    await network.shell('balancer', 'ip route add 10.2.0.2/32 via 10.2.1.3');
    await until(toldOf('10.2.0.2: leaves by eth2'));
    expect(await whoAnswers(VIP)).toEqual(['2']);
    await network.shell('balancer', 'ip route del 10.2.0.2/32 via 10.2.1.3');
    await until(toldOf('10.2.0.2: leaves by eth1'));
    expect(await whoAnswers(VIP)).toEqual(['1', '2']);
  });

  /** The lock is waited for 20 seconds, which only `make test-all` has. */
  const isAll = process.env.L4LB_TEST === 'all';
  if (!isAll) console.warn('skipped: make test-all waits 20 s for a lock');
  (isAll ? test : test.skip)(
    'a tool that holds the lock for longer does not end it',
    async () => {
      const holder = network.start(
        'balancer',
        'flock',
        await network.lockFile(),
        'sleep',
        '22',
      );
      await sleep(500);
      await network.shell('balancer', 'ip link set dev eth1 mtu 1460');
      await sleep(20_000);
      await until(toldOf('another tool has been writing for 20 seconds'));
      await until(toldOf('eth1: MTU 1460, was 1500'));
      await network.shell('balancer', 'ip link set dev eth1 mtu 1500');
      await until(toldOf('eth1: MTU 1500, was 1460'));
      expect(watching.exitCode).toBeNull();
      holder.kill();
    },
  );

  test('another MTU or MAC of a device is in the table', async () => {
    await network.shell('balancer', 'ip link set dev eth1 mtu 1400');
    await until(toldOf('eth1: MTU 1400, was 1500'));
    await network.shell('balancer', 'ip link set dev eth0 mtu 1450');
    await until(toldOf('eth0: MTU 1450, was 1500'));
    const dry = await fill(`forward = "link"\n${BOTH}`, '--dry-run');
    expect(dry).toContain('nothing to do');
    await network.shell(
      'balancer',
      'ip link set dev eth1 mtu 1500; ip link set dev eth0 mtu 1500',
    );
    await until(toldOf('eth0: MTU 1500, was 1450'));
  });

  test('goes on while a device is gone, and takes nobody else for what was behind it', async () => {
    const pair = 'ip link add dev eth6 type veth peer name peer6; ip link set peer6 up';
    const up = 'ip addr add 10.8.0.1/24 dev eth6; ip link set eth6 up';
    const there = 'ip neigh replace 10.8.0.2 lladdr 02:00:0a:08:00:02 dev eth6';
    await network.shell('balancer', `${pair}; ${up}; ${there}`);
    expect(
      await fill('forward = "link"\ndestinations = ["10.2.0.2", "10.8.0.2"]'),
    ).toMatch(/^0\n/);
    // Somebody on the clients' side answers for it, as a router with proxy ARP would.
    await network.shell('client', 'ip addr add 10.8.0.2/24 dev eth0');
    await network.shell('balancer', 'ip link del eth6');
    await until(toldOf('the device that packets for 10.8.0.2 leave by is gone'));
    expect(lines.join('')).toContain('there is no route to 10.8.0.2');
    await network.shell('balancer', 'ip link set dev eth1 mtu 1400');
    await until(() =>
      Promise.resolve(lines.join('').split('eth1: MTU 1400').length === 3),
    );
    expect(lines.join('')).not.toContain('10.8.0.2: leaves by');
    const refilled = await fill('forward = "link"\ndestinations = ["10.8.0.2"]');
    expect(refilled).toContain('no host answers for 10.8.0.2');
    await network.shell('client', 'ip addr del 10.8.0.2/24 dev eth0');
    await network.shell('balancer', 'ip link set dev eth1 mtu 1500');
    expect(await fill(`forward = "link"\n${BOTH}`)).toMatch(/^0\n/);
  });

  test('ends with the program, and says so', async () => {
    const ended = once(watching, 'exit') as Promise<[number]>;
    await network.l4lb('load', '--off');
    const [code] = await ended;
    expect(code).toBe(1);
    await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0');
  });
});

describe('a device that is gone', () => {
  test('drops packets under a verdict of its own, until the file is read again', async () => {
    const pair = 'ip link add dev eth9 type veth peer name peer9';
    const up =
      'ip addr add 10.4.0.1/24 dev eth9; ip link set eth9 up; ip link set peer9 up';
    await network.shell('balancer', `${pair}; ${up}`);
    const gone = '{ address = "10.4.0.2", mac = "02:00:0a:04:00:02", device = "eth9" }';
    expect(await fill(`forward = "link"\ndestinations = [${gone}]`)).toMatch(/^0\n/);
    await network.shell('balancer', 'ip link del eth9');
    const status = await network.l4lb('load', '--status');
    expect(status.stdout).toContain(
      '    packets for 1 destination are dropped: the device that they leave by is gone; fill again',
    );
    const before = (await network.sample()).verdicts;
    expect(await whoAnswers(VIP, 1)).toEqual(['nobody']);
    const after = (await network.sample()).verdicts;
    expect(after['exit gone']?.packets).toBeGreaterThan(
      before['exit gone']?.packets ?? 0,
    );
    expect(await fill(`forward = "link"\ndestinations = [${gone}]`)).toContain(
      'there is no such device',
    );
    expect(await fill(`forward = "link"\n${BOTH}`)).toMatch(/^0\n/);
    expect(await whoAnswers(VIP)).toEqual(['1', '2']);
  });
});

describe('is refused', () => {
  test.each([
    {
      what: 'a bridge',
      make: 'ip link add br9 type bridge; ip addr add 10.5.0.1/24 dev br9; ip link set br9 up',
      row: '"10.5.0.2"',
      says: 'br9 is a bridge device, which drops frames from XDP without a word',
    },
    {
      what: 'a device that is down',
      make: 'ip link add dev eth8 type veth peer name peer8',
      row: '{ address = "10.6.0.2", mac = "02:00:0a:06:00:02", device = "eth8" }',
      says: 'next: ip link set dev eth8 up',
    },
    {
      what: 'a device that does not exist',
      make: 'true',
      row: '{ address = "10.6.0.2", mac = "02:00:0a:06:00:02", device = "eth7" }',
      says: 'no packet can leave for 10.6.0.2 by eth7',
    },
    {
      what: 'a name that no device can have',
      make: 'true',
      row: '{ address = "10.6.0.2", device = "-all" }',
      says: 'device: "-all" is not the name of a device, such as "eth1"',
    },
  ])('$what', async ({ make, row, says }) => {
    await network.shell('balancer', make);
    const said = await fill(`forward = "link"\ndestinations = [${row}]`);
    expect(said).toMatch(/^1\n/);
    expect(said).toContain(says);
    expect(await whoAnswers(VIP)).toEqual(['1', '2']);
  });

  test('another device, where the program cannot send by it', async () => {
    await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0', '--off');
    const object = ['--obj', 'l4lb_xdp.o'];
    await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0', ...object);
    const row = '{ address = "10.2.0.2", mac = "02:00:0a:02:00:01", device = "eth1" }';
    const said = await fill(`destinations = [${row}]`);
    expect(said).toMatch(/^1\n/);
    expect(said).toContain('this program cannot send there');
    // Behind another device, the program would not find it; but that is not the trouble.
    for (const forward of ['nat', 'full-nat']) {
      const refused = await fill(`forward = "${forward}"\n${BOTH}`);
      expect(refused).toContain(
        `this program cannot rewrite packets, as ${forward} does`,
      );
    }
    const sent = await fillWith('answers = "xdp"', `forward = "link"\n${BOTH}`);
    expect(sent).toContain('this program cannot send answers by XDP');
  });

  test.each([
    ['--blocks', 'has no full-nat'],
    ['--flows', 'remembers no connections'],
  ])('%s, where the object to load has no use for it', async (option, what) => {
    for (const object of ['l4lb_xdp.o', 'l4lb_decap.o']) {
      const args = ['--replace', '--obj', object, option, '8'];
      const { exitCode, stderr } = await network.l4lb('load', ...args);
      expect([exitCode, stderr]).toEqual([
        2,
        `l4lb-load: ${object} ${what}\n` +
          '  likely cause: it is not of the host build\n' +
          `  next: load l4lb_xdp_host.o, or leave ${option} out`,
      ]);
    }
  });

  test('but none where an object of the host build is named', async () => {
    await network.l4lb('load', '--off');
    const rows = join(folder, 'behind.csv');
    writeFileSync(rows, '10.2.0.2\n');
    const object = ['--obj', 'l4lb_xdp_host.o', '-f', rows];
    const { exitCode, stdout } = await network.l4lb('load', ...object);
    expect([exitCode, stdout]).toEqual([0, expect.stringContaining('1 destination in')]);
  });
});

test('make demo-link: pages over both families, of which only MAC addresses change', async () => {
  const { stdout } = await execa('testbed/demo-gateway.sh', ['link', '0'], { cwd: ROOT });
  expect(stdout.match(/^ +\d+ destination[12]$/gm)).toHaveLength(4);
  expect(stdout).toContain('the other 42 bytes are as they came');
  expect(stdout).toContain('balanced');
});
