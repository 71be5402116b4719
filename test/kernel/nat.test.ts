// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A gateway that puts destinations' addresses and ports in place of the service's. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execa } from 'execa';

import type { SampleJson } from './network.js';
import { Network, ROOT } from './network.js';

const VIP = '10.0.0.1';
const VIP_6 = '2001:db8::1';

/** Says who it is, and whom it sees, on TCP and UDP. */
const SERVER = `const [name, port] = process.argv.slice(1);
const hello = ({ remoteAddress, address }) => name + ' ' + (remoteAddress ?? address).replace('::ffff:', '') + '\\n';
const udp = require('node:dgram').createSocket('udp6');
udp.on('message', (_, from) => udp.send(hello(from), from.port, from.address));
udp.bind(Number(port));
require('node:net').createServer((one) => one.on('error', () => {}).end(hello(one))).listen(Number(port), '::');`;

/** Asks over UDP from a new port each time. */
const UDP_CLIENT = `const [host, port, times] = process.argv.slice(1);
const all = Array.from({ length: Number(times) }, () => new Promise((resolve) => {
  const one = require('node:dgram').createSocket(host.includes(':') ? 'udp6' : 'udp4');
  const end = (text) => { one.close(); resolve(text); };
  const timer = setTimeout(() => end('nobody'), 2000);
  one.on('message', (text) => { clearTimeout(timer); end(String(text).trim()); });
  one.connect(Number(port), host, () => one.send('hello'));
}));
Promise.all(all).then((said) => console.log([...new Set(said)].sort().join('\\n')));`;

let network: Network;
let folder: string;

beforeAll(async () => {
  network = await Network.up('--gateway', '--bare', '--count', '2', '--ipv6');
  folder = mkdtempSync(join(tmpdir(), 'l4lb-nat-'));
  for (const number of [1, 2] as const) {
    const role = `destination${number}` as const;
    for (const port of [8080, 8081, 53, 9000]) {
      network.start(role, 'node', '-e', SERVER, `${number}:${port}`, String(port));
    }
  }
  await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0');
});
afterAll(async () => {
  await network.down();
  rmSync(folder, { recursive: true });
});

function service(
  name: string,
  vip: string,
  port: number,
  more: string[],
  forward = 'nat',
  source: string[] = [],
): string {
  return [
    '[[service]]',
    `name = "${name}"`,
    `address = "${vip}"`,
    `ports = ${port}`,
    'slots = 256',
    `forward = "${forward}"`,
    ...(source.length > 0 ? [`source = ${JSON.stringify(source)}`] : []),
    `destinations = ${JSON.stringify(more)}`,
  ].join('\n');
}

async function fill(...blocks: string[]): Promise<string> {
  const file = join(folder, 'l4lb.toml');
  writeFileSync(file, `${blocks.join('\n')}\n`);
  const args = ['-i', 'eth0', '-c', file];
  const { exitCode, stdout, stderr } = await network.run(
    'balancer',
    'bin/l4lb-map.js',
    args,
  );
  return `${exitCode}\n${stdout}\n${stderr}`;
}

async function overTcp(host: string, port: number, times = 40): Promise<string[]> {
  const talk = `exec 3<>/dev/tcp/${host}/${port}; read -r line <&3; echo $line`;
  const one = `timeout 2 bash -c '${talk}' 2>/dev/null || echo nobody`;
  const all = await network.shell('client', `for i in {1..${times}}; do ${one}; done`);
  return [...new Set(all.split('\n'))].sort();
}

async function overUdp(host: string, port: number): Promise<string[]> {
  const args = ['-e', UDP_CLIENT, host, String(port), '40'] as const;
  return (await network.expectOk('client', 'node', ...args)).stdout.split('\n');
}

const V4 = service('web', VIP, 80, ['10.2.0.2:8080', '10.2.0.2:8081', '10.2.1.2:8080']);
const V6 = service('web6', VIP_6, 80, ['[2001:db8::2:2]:8080', '[2001:db8::3:2]:8081']);
const DNS = service('dns', VIP, 53, ['10.2.0.2', '10.2.1.2']);
const WHO_4 = ['1:8080 10.0.0.2', '1:8081 10.0.0.2', '2:8080 10.0.0.2'];
const WHO_6 = ['1:8080 2001:db8::2', '2:8081 2001:db8::2'];

describe('before the devices of the destinations run the program', () => {
  test('the fill says so, and whose answers are lost', async () => {
    const said = await fill(V4, V6, DNS);
    expect(said).toMatch(/^0\n/);
    expect(said).toContain('3 destinations in 256 slots, forward nat');
    for (const device of ['eth1', 'eth2']) {
      expect(said).toContain(
        `Warning: answers of nat destinations come in by ${device} without meeting the program, which alone turns them back: l4lb-load -i ${device} --share eth0`,
      );
    }
  });
});

describe('with the program on all devices', () => {
  beforeAll(async () => {
    for (const device of ['eth1', 'eth2']) {
      const args = ['-i', device, '--share', 'eth0'];
      const { stdout } = await network.expectOk('balancer', 'bin/l4lb-load.js', ...args);
      expect(stdout).toMatch(
        new RegExp(`^${device} \\[Driver\\] shares program \\d+ of eth0$`),
      );
    }
  });

  test('TCP reaches all of them, which see the client', async () => {
    expect(await overTcp(VIP, 80)).toEqual(WHO_4);
    expect(await overTcp(VIP_6, 80)).toEqual(WHO_6);
  });

  test('UDP, too, and a port that stays', async () => {
    expect(await overUdp(VIP, 80)).toEqual(WHO_4);
    expect(await overUdp(VIP_6, 80)).toEqual(WHO_6);
    expect(await overUdp(VIP, 53)).toEqual(['1:53 10.0.0.2', '2:53 10.0.0.2']);
  });

  test('only what comes from its address and port is an answer', async () => {
    expect(await overTcp('10.2.0.2', 53, 1)).toEqual(['nobody']);
    expect(await overTcp('10.2.0.2', 9000, 1)).toEqual(['1:9000 10.0.0.2']);
  });

  test('a closed port and a too long way are told as of the service', async () => {
    // Nobody listens on port 9, and the destination says so from its own address.
    await fill(V4, V6, service('none', VIP, 9, ['10.2.0.2:9']));
    const dump = await network.shell(
      'client',
      `timeout 3 tcpdump -nlvi eth0 -c 1 icmp 2>/dev/null & sleep 0.3
       echo x > /dev/udp/${VIP}/9; wait`,
    );
    expect(dump).toMatch(
      new RegExp(`${VIP} > 10\\.0\\.0\\.2: ICMP ${VIP} udp port 9 unreachable`),
    );
    expect(dump).not.toContain('wrong');
  });

  test('XDP sends answers itself where it is asked to', async () => {
    expect(await fill('answers = "xdp"', V4, V6)).toContain('now answers xdp');
    // The kernel no longer routes for anybody.
    await network.shell(
      'balancer',
      'sysctl -qw net.ipv4.conf.eth1.forwarding=1 net.ipv4.conf.eth2.forwarding=1',
    );
    expect(await overTcp(VIP, 80)).toEqual(WHO_4);
    expect(await overTcp(VIP_6, 80)).toEqual(WHO_6);
    const { stdout } = await network.l4lb('stats', '--once', '--json');
    const sample = JSON.parse(stdout) as SampleJson;
    expect(sample.verdicts['answer sent']?.packets).toBeGreaterThan(50);
  });

  test('answers are counted by destination, and those of freed ids stay in the total', async () => {
    const tunnel = service('tunnel', '192.0.2.1', 80, ['10.2.0.2'], 'tunnel');
    expect(await fill('answers = "xdp"', V4, V6, DNS, tunnel)).toMatch(/^0\n/);
    const { destinations, totals, verdicts } = await network.sample();
    const nat = destinations.filter(({ address }) => address.includes(':'));
    expect(nat).toHaveLength(5);
    for (const { answers } of nat) expect(answers?.packets).toBeGreaterThan(10);
    const [dns] = destinations.filter(({ answers }) => answers?.packets === 0);
    expect(dns?.address).toMatch(/^10\.2\.[01]\.2$/);
    const last = destinations.find(({ answers }) => answers === undefined);
    expect(last?.address).toBe('10.2.0.2');
    const [passed, sent] = [verdicts['answer passed'], verdicts['answer sent']];
    expect(totals.answers?.packets).toBe((passed?.packets ?? 0) + (sent?.packets ?? 0));
    const { stdout } = await network.l4lb(
      'stats',
      '--once',
      '--plain',
      '--interval',
      '0.1',
    );
    expect(stdout).toMatch(
      /^ +\d+ {2}10\.2\.0\.2:8080 +.*pkts\/s +.* bits\/s +[\d,]+ answers\/s +[\d,]+ bits\/s$/m,
    );
  });

  test('the model agrees on answers, whoever sends them', async () => {
    for (const [from, to] of [
      ['10.2.0.2:8080', '10.0.0.2:40000/tcp'],
      ['[2001:db8::2:2]:8080', '[2001:db8::2]:40000/tcp'],
    ] as const) {
      const { stdout } = await network.l4lb('explain', '--src', from, '--dst', to);
      expect(stdout).toContain('answer sent');
      expect(stdout).toContain('program and model agree');
    }
  });

  test('the export says all that a fill needs', async () => {
    const { stdout } = await network.l4lb('map', '--export');
    expect(stdout).toContain('answers = "xdp"');
    expect(stdout).toContain('{ address = "[2001:db8::2:2]:8080" },');
    // In processes of their own: the second one has to wait for what the first one prints.
    const map = 'bin/l4lb-map.js -i eth0';
    const again = await network.shell(
      'balancer',
      `(sleep 0.5; ${map} --export) | ${map} -c - --dry-run --json`,
    );
    expect(JSON.parse(again)).toMatchObject({ totals: { writes: 0 } });
  });

  test('the tables are filled by their own device only', async () => {
    const file = join(folder, 'l4lb.toml');
    const args = ['-i', 'eth1', '-c', file];
    const { exitCode, stderr } = await network.run('balancer', 'bin/l4lb-map.js', args);
    expect([exitCode, stderr]).toEqual([
      1,
      expect.stringContaining('eth1 only shares the program of eth0'),
    ]);
  });

  test('what is of the program goes by its own device only', async () => {
    for (const [tool, ...args] of [
      ['map', '--settle'],
      ['load', '--replace'],
      ['doctor'],
    ] as const) {
      const command = ['-i', 'eth1', ...args];
      const { exitCode, stderr } = await network.run(
        'balancer',
        `bin/l4lb-${tool}.js`,
        command,
      );
      expect([exitCode, stderr]).toEqual([
        1,
        expect.stringContaining('next: this command again, with -i eth0'),
      ]);
    }
    const watch = ['bin/l4lb.js', 'watch', '-i', 'eth1'];
    const { exitCode, stderr } = await network.runProcess('balancer', 'timeout', [
      ...['5', ...watch],
    ]);
    expect([exitCode, stderr]).toEqual([
      1,
      expect.stringContaining('eth1 only shares the program of eth0'),
    ]);
  });

  test.each(['l4lb_xdp_frags.o', 'l4lb_xdp_host.o'])(
    'a replacement by %s reaches all devices',
    async (object) => {
      await network.l4lb('load', '--replace', '--obj', object);
      const { stdout } = await network.l4lb('load', '--status');
      expect(stdout).toContain('  shared with eth1, eth2\n');
      expect(await overTcp(VIP, 80)).toEqual(WHO_4);
    },
  );
});

/** Connections one after the other, some at a time: how many said who they reached. */
const MANY_CLIENTS = `const [host, times] = process.argv.slice(1);
let [left, good, bad] = [Number(times), 0, 0];
const next = () => {
  if (left-- <= 0) return;
  let said = '';
  const one = require('node:net').connect(80, host);
  one.setTimeout(5000, () => one.destroy(new Error('silent')));
  one.on('data', (text) => (said += text)).on('error', () => {});
  one.on('close', () => { /^[12]:/.test(said) ? good++ : bad++; next(); });
};
for (let i = 0; i < 50; i++) next();
process.on('exit', () => console.log(good + ' good, ' + bad + ' bad'));`;

/** Holds connections open, and says on each when it is told to. */
const HOLDERS = `const [host, count] = process.argv.slice(2);
let [open, echoed] = [0, 0];
const all = Array.from({ length: Number(count) }, () => {
  const one = require('node:net').connect(81, host, () => one.write('a'));
  one.on('error', () => {}).on('data', (text) => {
    if (String(text) === 'a' && ++open === all.length) console.log('open');
    if (String(text) === 'b') echoed++;
  });
  return one;
});
process.stdin.on('data', () => {
  for (const one of all) one.write('b');
  setTimeout(() => { console.log(echoed + ' echoed'); process.exit(); }, 1500);
});`;
const ECHO = `require('node:net').createServer((one) => one.on('error', () => {}).pipe(one)).listen(81, '::');`;

describe('by full-nat', () => {
  const ends = ['10.2.0.2:8080', '10.2.0.2:8081', '10.2.1.2:8080'];
  const FULL_4 = service('web', VIP, 80, ends, 'full-nat', ['10.9.9.0/31']);
  const END_6 = ['[2001:db8::2:2]:8080'];
  const FULL_6 = service('web6', VIP_6, 80, END_6, 'full-nat', ['fd00:9::4']);
  const HELD = service('held', VIP, 81, ['10.2.0.2'], 'full-nat', ['10.9.9.2']);
  const without = (seen: string[]): string[] =>
    [...new Set(seen.map((one) => one.replace(/[01]$/, '')))].sort();

  beforeAll(() => {
    network.start('destination1', 'node', '-e', ECHO);
  });

  test('a service changes to it only by going and coming back', async () => {
    expect(await fill(V4, V6)).toMatch(/^0\n/);
    expect(await fill(FULL_4)).toContain('a service cannot change from nat to full-nat');
    expect(await fill(service('other', VIP, 9, ['10.2.0.2:9']))).toMatch(/^0\n/);
    const said = await fill(FULL_4, FULL_6, HELD);
    expect(said).toContain('3 destinations in 256 slots, forward full-nat');
  });

  test('destinations see an address of the pool, over TCP and UDP and in both families', async () => {
    const pool = ['1:8080 10.9.9.', '1:8081 10.9.9.', '2:8080 10.9.9.'];
    expect(without(await overTcp(VIP, 80))).toEqual(pool);
    expect(without(await overUdp(VIP, 80))).toEqual(pool);
    expect(await overTcp(VIP_6, 80, 3)).toEqual(['1:8080 fd00:9::4']);
    expect(await overUdp(VIP_6, 80)).toEqual(['1:8080 fd00:9::4']);
  });

  test('ports are used again, and every connection of many works', async () => {
    const args = ['-e', MANY_CLIENTS, VIP, '3000'] as const;
    const { stdout } = await network.expectOk('client', 'node', ...args);
    expect(stdout).toBe('3000 good, 0 bad');
  });

  test('a flood of SYNs takes no port of a connection, nor does a replacement', async () => {
    writeFileSync(join(folder, 'holders.cjs'), HOLDERS);
    const held = await network.shell(
      'client',
      `mkfifo ${folder}/go; node ${folder}/holders.cjs ${VIP} 100 <${folder}/go >${folder}/held &
       exec 3>${folder}/go
       until grep -q open ${folder}/held; do sleep 0.1; done
       bin/l4lb-flood.js -i eth0 --dst ${VIP}:81/tcp --syn --src 172.16.0.0/12 \\
         --rate 60000 --count 120000 --yes >/dev/null 2>&1
       nsenter ${network.namespaceOf('balancer')} bin/l4lb-load.js -i eth0 --replace >&2
       echo now >&3; wait; cat ${folder}/held`,
    );
    expect(held).toBe('open\n100 echoed');
    const { destinations } = await network.sample();
    const [echo] = destinations.filter(({ address }) => address === '10.2.0.2');
    // As many ports as an address has, and as many SYNs again took them from others.
    expect(echo?.packets).toBeGreaterThan(110_000);
  });

  test('what belongs to no connection is dropped', async () => {
    const before = await network.sample();
    await network.shell(
      'client',
      `bin/l4lb-flood.js -i eth0 --dst ${VIP}:81/tcp --src 172.16.0.1 --count 50 --yes >/dev/null 2>&1`,
    );
    const after = await network.sample();
    const grown = (name: string): number =>
      (after.verdicts[name]?.packets ?? 0) - (before.verdicts[name]?.packets ?? 0);
    expect(grown('no connection')).toBe(50);
  });

  test.each([
    ['10.9.9.0/29', 'another service sends from 10.9.9.0/31, which has an address'],
    ['10.8.0.0/28', '10.8.0.0/28 needs 16 blocks of ports'],
    ['10.0.0.1', "is the host's own, and full-nat cannot send from it"],
    ['10.2.1.0/31', "10.2.1.0/31 has 10.2.1.1 of eth2, which is the host's own"],
    [undefined, 'full-nat has no IPv4 addresses to send from'],
  ])('it does not send from %j', async (source, problem) => {
    const sources = source === undefined ? [] : [source];
    const other = service('other', '10.0.0.99', 80, ['10.2.0.2'], 'full-nat', sources);
    const said = await fill(FULL_4, other);
    expect(said).toMatch(/^1\n/);
    expect(said).toContain(problem);
  });

  test('the pools go with their services', async () => {
    expect(await fill(DNS)).toMatch(/^0\n/);
    expect(await fill(V6)).toMatch(/^0\n/);
    expect(await overTcp(VIP_6, 80)).toEqual(WHO_6);
  });
});

test.each([
  [['-i', 'eth1', '--share', 'eth9'], 'no device eth9'],
  [['-i', 'eth0', '--share', 'eth0'], 'eth0 has nothing to share with itself'],
  [['-i', 'eth0', '--share', 'lo'], 'lo has no XDP program to share'],
])('%j is refused', async (args, reason) => {
  const { exitCode, stderr } = await network.run('balancer', 'bin/l4lb-load.js', args);
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining(reason)]);
});

test('devices that keep a program without its own device are named', async () => {
  const off = await network.l4lb('load', '--off');
  expect(off.stderr).toContain('eth1 goes on with the program of eth0');
  await network.l4lb('load');
  const args = ['-i', 'eth1', '--share', 'eth0'];
  const { stderr } = await network.run('balancer', 'bin/l4lb-load.js', args);
  expect(stderr).toContain('next: l4lb-load -i eth1 --off, and then this command again');
  const load = (...more: string[]): ReturnType<typeof network.expectOk> =>
    network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth1', ...more);
  await load('--off');
  // Tables that nobody has filled are not those of the device that goes.
  await load('--share', 'eth0');
  expect(await load('--off')).toMatchObject({
    stdout: expect.stringMatching(/^eth1 .* removed; eth0 goes on with it$/),
    stderr: '',
  });
});

test('make demo-nat, demo-full-nat: pages over both families, of which addresses and ports change', async () => {
  const [nat, fullNat] = await Promise.all(
    ['nat', 'full-nat'].map((way) =>
      execa('testbed/demo-gateway.sh', [way, '0'], { cwd: ROOT }),
    ),
  );
  for (const one of [nat, fullNat]) {
    expect(one?.stdout.match(/^ +\d+ destination[12]$/gm)).toHaveLength(4);
    expect(one?.stdout).toMatch(/port, to +00:50 becomes 1f:90\n/);
  }
  expect(nat?.stdout).toContain('the other 32 bytes are as they came');
  expect(fullNat?.stdout).toMatch(/address, from +0a:00:00:02 becomes 0a:09:09:0[01]\n/);
  expect(fullNat?.stdout).toContain('the other 26 bytes are as they came');
});
