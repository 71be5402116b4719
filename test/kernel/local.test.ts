// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Destinations on this host: servers that listen on another address and port. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';

import type { Finished } from './network.js';
import { Network, ROOT } from './network.js';
import { SERVER } from './talk.js';

const VIP = '10.0.0.1';
const VIP_6 = '2001:db8::1';
const LOCAL = 'local:127.0.0.23:223';

/** Answers each connection with its name. */
const TCP_SERVER = `const [name, host] = process.argv.slice(1);
require('net').createServer((one) => {
  one.on('error', () => {});
  one.end(name + ' as ' + one.localAddress + ':' + one.localPort + '\\n');
}).listen({ port: 223, host, ipv6Only: true }, () => console.log('listens'));`;

/** Answers from the service's own address, by a second socket. */
const UDP_SERVER = `const [name, host, vip] = process.argv.slice(1);
const [type] = [host.includes(':') ? 'udp6' : 'udp4'];
const open = () => require('dgram').createSocket({ type, reuseAddr: true });
const [ears, mouth] = [open(), open()];
ears.on('message', (_, { port, address }) => mouth.send(name, port, address));
mouth.bind(23, vip, () => ears.bind(223, host, () => console.log('listens')));`;

const UDP_CLIENT = `const [vip] = process.argv.slice(1);
const one = require('dgram').createSocket(vip.includes(':') ? 'udp6' : 'udp4');
one.on('error', () => {});
one.on('message', (text) => { console.log(String(text)); process.exit(); });
one.connect(23, vip, () => one.send('?'));
setTimeout(() => { console.log('nobody'); process.exit(); }, 1000);`;

let network: Network;
let folder: string;
const servers: ChildProcess[] = [];

beforeAll(async () => {
  network = await Network.up('--gateway', '--count', '1', '--ipv6');
  folder = mkdtempSync(join(tmpdir(), 'l4lb-local-'));
  network.start(
    'destination1',
    'node',
    '-e',
    SERVER.replace('port: 80', 'port: 23'),
    'remote',
  );
  await network.shell('balancer', 'ip address add fd00::23/128 dev lo nodad');
  await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0');
});
afterEach(() => {
  for (const server of servers.splice(0)) server.kill('SIGKILL');
});
afterAll(async () => {
  await network.down();
  rmSync(folder, { recursive: true });
});

/** Starts a server on the balancer's host, and waits until it listens. */
async function serve(script: string, ...args: string[]): Promise<ChildProcess> {
  const where = network.namespaceOf('balancer');
  const server = spawn('nsenter', [where, 'node', '-e', script, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  servers.push(server);
  await new Promise((done) => server.stdout.once('data', done));
  return server;
}

interface Service {
  name?: string;
  address?: string;
  protocol?: string;
  destinations?: string;
  more?: string;
}

function write(...services: Service[]): string {
  const text = services.map(
    ({ name = 'telnet', address = VIP, protocol = 'tcp', ...rest }) =>
      `[[service]]\nname = "${name}"\naddress = "${address}"\nports = 23\nprotocol = "${protocol}"
slots = 256\ndestinations = [${rest.destinations ?? `"${LOCAL}"`}]\n${rest.more ?? ''}\n`,
  );
  const file = join(folder, 'l4lb.toml');
  writeFileSync(file, `echo = false\n${text.join('\n')}`);
  return file;
}

async function fill(...services: Service[]): Promise<Finished> {
  return network.l4lb('map', '-c', write(...services));
}

/** Connects some times, and returns what comes, each once. */
async function answers(address = VIP, times = 8): Promise<string[]> {
  const talk = `exec 3<>/dev/tcp/${address}/23 || exit; echo hello >&3; read -r line <&3; echo $line`;
  const one = `timeout 2 bash -c '${talk}' 2>/dev/null || echo nobody`;
  const all = await network.shell('client', `for i in {1..${times}}; do ${one}; done`);
  return [...new Set(all.split('\n'))].sort();
}

/** The pinned links of this network's balancer. */
async function links(): Promise<string[]> {
  const { stdout } = await network.expectOk(
    'balancer',
    'stat',
    '-Lc%i',
    '/proc/self/ns/net',
  );
  return readdirSync('/sys/fs/bpf').filter((name) =>
    name.startsWith(`l4lb-steer-${stdout}-`),
  );
}

describe('a server on this host', () => {
  test('gets TCP over both families, and answers from the address of the service', async () => {
    await serve(TCP_SERVER, 'four', '127.0.0.23');
    await serve(TCP_SERVER, 'six', 'fd00::23');
    const six = { name: 'six', address: VIP_6, destinations: '"local:[fd00::23]:223"' };
    const { stdout, stderr } = await fill({}, six);
    expect(stderr).toBe('');
    expect(stdout).toContain(
      '  packets for 1 destination pass to servers on this host\n',
    );
    expect(await answers()).toEqual([`four as ${VIP}:23`]);
    expect(await answers(VIP_6)).toEqual([`six as ${VIP_6}:23`]);
  });

  test('gets UDP, and answers by a socket on the address of the service', async () => {
    await serve(UDP_SERVER, 'four', '127.0.0.23', VIP);
    await serve(UDP_SERVER, 'six', 'fd00::23', VIP_6);
    const six = { name: 'six', address: VIP_6, destinations: '"local:[fd00::23]:223"' };
    const udp = [{}, six].map((one) => ({ ...one, protocol: 'udp' }));
    expect((await fill(...udp)).stderr).toBe('');
    for (const [vip, name] of [
      [VIP, 'four'],
      [VIP_6, 'six'],
    ] as const) {
      const { stdout } = await network.expectOk('client', 'node', '-e', UDP_CLIENT, vip);
      expect(stdout).toBe(name);
    }
  });

  test('is one destination among others, by weight', async () => {
    await serve(TCP_SERVER, 'here', '127.0.0.23');
    const both = `{ address = "${LOCAL}", weight = 3 }, "10.2.0.2"`;
    const { stderr } = await fill({ destinations: both, more: 'forward = "link"' });
    expect(stderr).toBe('');
    const before = await network.sample();
    expect(await answers(VIP, 30)).toEqual([`here as ${VIP}:23`, 'remote']);
    const { verdicts, destinations } = await network.sample();
    const grown = (name: string): number =>
      (verdicts[name]?.packets ?? 0) - (before.verdicts[name]?.packets ?? 0);
    expect(grown('local server')).toBeGreaterThan(grown('balanced'));
    expect(destinations.map(({ address }) => address)).toEqual(['10.2.0.2', LOCAL]);
    const [remote, local] = destinations;
    const had = before.destinations.find(({ address }) => address === LOCAL);
    expect((local?.packets ?? 0) - (had?.packets ?? 0)).toBe(grown('local server'));
    expect(remote?.packets).toBe(grown('balanced'));
  });

  test('is exported, and changes nothing when read again; program and model agree', async () => {
    await serve(TCP_SERVER, 'here', '127.0.0.23');
    await fill({});
    const { stdout } = await network.l4lb('map', '--export');
    expect(stdout).toContain(`{ address = "${LOCAL}" },`);
    const file = join(folder, 'exported.toml');
    writeFileSync(file, stdout);
    const again = await network.l4lb('map', '-c', file, '--json');
    expect(JSON.parse(again.stdout)).toMatchObject({
      totals: { writes: 0 },
      servers: [
        { server: '127.0.0.23:223/tcp', destination: LOCAL, listening: 'listens' },
      ],
    });
    const status = await network.l4lb('load', '--status');
    expect(status.stdout).toContain('packets for 1 destination pass to servers on this');
    const ends = ['--src', '10.0.0.2:5555', '--dst', `${VIP}:23/tcp`];
    const explained = await network.l4lb('explain', ...ends);
    expect(explained.stdout).toContain(`${LOCAL} (id 1, weight 1), on this host\n`);
    expect(explained.stdout).toContain('program and model agree\n');
  });

  test('is refused while nobody listens, and found by a fill', async () => {
    const { stderr } = await fill({});
    expect(stderr).toContain('nobody listens on 127.0.0.23:223/tcp yet');
    expect(await answers(VIP, 1)).toEqual(['nobody']);
    const doctor = await network.l4lb('doctor', '--json', '--interval', '0.1');
    expect(doctor.stdout).toContain('nobody listens on 127.0.0.23:223/tcp');
    await serve(TCP_SERVER, 'here', '0.0.0.0');
    const late = await network.l4lb('doctor', '--json', '--interval', '0.1');
    expect(late.stdout).toContain('packets for 127.0.0.23:223/tcp do not reach');
    expect((await fill({})).stderr).toBe('');
    expect(await answers(VIP, 1)).toEqual([`here as ${VIP}:23`]);
    const well = await network.l4lb('doctor', '--interval', '0.1');
    expect(well.stdout).toContain('1 server on this host: 127.0.0.23:223/tcp');
  });

  test('is found again by l4lb watch when it was restarted', async () => {
    const first = await serve(TCP_SERVER, 'first', '127.0.0.23');
    await fill({});
    const where = network.namespaceOf('balancer');
    const args = [where, 'node', 'bin/l4lb.js', 'watch', '-i', 'eth0'];
    const watching = spawn('nsenter', args, {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    servers.push(watching);
    let told = '';
    for (const stream of [watching.stdout, watching.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (told += text));
    }
    first.kill('SIGKILL');
    await until(() => told.includes('nobody listens on 127.0.0.23:223/tcp'));
    await serve(TCP_SERVER, 'second', '127.0.0.23');
    await until(() => told.includes('127.0.0.23:223/tcp: listens'));
    expect(await answers(VIP, 1)).toEqual([`second as ${VIP}:23`]);
  });

  test.each([
    ['--replace'],
    ['--replace', '--flows', '1'],
    ['--replace', '--flows', '8'],
  ])('stays when the program is replaced: %s %s %s', async (...args) => {
    await serve(TCP_SERVER, 'here', '127.0.0.23');
    await fill({});
    const { exitCode, stderr } = await network.l4lb('load', ...args);
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(await links()).toHaveLength(1);
    expect(await answers(VIP, 1)).toEqual([`here as ${VIP}:23`]);
  });

  test('is left when its destination goes, and when the program is taken off', async () => {
    await serve(TCP_SERVER, 'here', '127.0.0.23');
    await fill({});
    expect(await links()).toHaveLength(1);
    await fill({ destinations: '"10.2.0.2"', more: 'forward = "link"' });
    expect(await links()).toEqual([]);
    await fill({});
    await network.l4lb('load', '--off');
    expect(await links()).toEqual([]);
    const load = await network.l4lb('load');
    expect(load.exitCode).toBe(0);
    expect(await answers(VIP, 1)).toEqual(['nobody']);
  });

  test.each<{ what: string; service: Service; says: string }>([
    {
      what: 'an address that is not of this host',
      service: { destinations: '"local:10.9.9.9:223"' },
      says: 'next: ip address add 10.9.9.9/32 dev lo',
    },
    {
      what: 'a service whose destinations remember',
      service: { more: 'remember = "destinations"' },
      says: 'is on this host, where nobody is named',
    },
    {
      what: 'a service of the other family',
      service: { address: VIP_6 },
      says: 'make a service for each family',
    },
  ])('refuses $what', async ({ service, says }) => {
    const { exitCode, stderr } = await fill(service);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining(says)]);
  });

  test('says that the address of the service is not of this host', async () => {
    await serve(TCP_SERVER, 'here', '127.0.0.23');
    const { stderr } = await fill({ address: '198.51.100.10' });
    expect(stderr).toContain('ip address add 198.51.100.10/32 dev lo');
    const { stdout } = await network.l4lb('doctor', '--interval', '0.1');
    expect(stdout).toContain('198.51.100.10 is not an address of this host');
  });

  test('is refused by the portable build', async () => {
    await network.l4lb('load', '--off');
    await network.expectOk(
      'balancer',
      'bin/l4lb-load.js',
      '-i',
      'eth0',
      '--obj',
      'l4lb_xdp.o',
    );
    const { exitCode, stderr } = await fill({});
    expect([exitCode, stderr]).toEqual([
      1,
      expect.stringContaining('the portable build'),
    ]);
  });
});

/** Waits for at most six seconds. */
async function until(isTrue: () => boolean): Promise<void> {
  const end = Date.now() + 6000;
  while (!isTrue()) {
    if (Date.now() > end) throw new Error('not within 6 s');
    await sleep(20);
  }
}
