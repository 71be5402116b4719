// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What only a check on the way of the balancer's packets sees: each destination stands for a
 * family inside another, and is asked at its own address too.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';

import { Daemon } from './daemon.js';
import type { Event } from './daemon.js';
import { Network, ROOT } from './network.js';

const VIP = '198.51.100.10';
const VIP6 = '2001:db8::10';
/** IPv4 in IPv4, in IPv6, IPv6 in IPv4, in IPv6. */
const DESTINATIONS = ['10.0.1.1', 'fd00::1:2', '10.0.1.3', 'fd00::1:4'];
const THROUGH = ['web', 'web6'];
const QUICK =
  'interval = "400ms", fast = "100ms", timeout = "400ms", fall = 2, on_panic = "off", most_moves = 100';

const folder = mkdtempSync(join(tmpdir(), 'l4lb-tunnel-'));
const file = join(folder, 'l4lb.toml');
let network: Network;
let daemon: Daemon | undefined;

function service(name: string, address: string, ports: number, rest: string): string {
  return `[[service]]\nname = "${name}"\naddress = ${address}\nports = ${ports}\nslots = 256\n${rest}\n`;
}

/** With a MAC address for all, or with one destination more in a service. */
function write({ mac, hasMore = false }: { mac?: string; hasMore?: boolean } = {}): void {
  const one = (address: string): string =>
    mac === undefined ? `"${address}"` : `{ address = "${address}", mac = "${mac}" }`;
  const [first, second, third, fourth] = DESTINATIONS.map(one);
  const tcp = (via: string): string =>
    `protocol = "tcp"\ncheck = { kind = "http", port = 80, ${via}${QUICK} }`;
  const udp = `protocol = "udp"\ncheck = { kind = "udp", send = "a", expect = "b", ${QUICK} }`;
  writeFileSync(
    file,
    [
      service('web', `"${VIP}"`, 80, `${tcp('')}\ndestinations = [${first}, ${second}]`),
      service(
        'web6',
        `"${VIP6}"`,
        80,
        `${tcp('')}\ndestinations = [${third}, ${fourth}]`,
      ),
      service(
        'plain',
        `"${VIP}"`,
        81,
        `${tcp('via = "address", ')}\ndestinations = [${[first, second, third, fourth].join(', ')}]`,
      ),
      service(
        'near',
        `"${VIP}"`,
        82,
        `forward = "link"\n${tcp('')}\ndestinations = [${hasMore ? `${first}, ${third}` : first}]`,
      ),
      service('udp', `["${VIP}", "${VIP6}"]`, 53, `${udp}\ndestinations = [${first}]`),
    ].join(''),
  );
}

const SERVER = `
require('http').createServer((_, answer) => answer.end()).listen(80, '::');
const dgram = require('dgram');
for (const address of ['${VIP}', '${VIP6}', '127.0.0.1'])
  { const socket = dgram.createSocket({ type: address.includes(':') ? 'udp6' : 'udp4' });
    socket.on('message', (_, to) => socket.send('b', to.port, to.address)).bind(53, address); }
`;

/** Until somebody fills it with addresses, the program takes packets to any. */
const DECAPSULATE = 'ip link set dev eth0 xdpdrv obj l4lb_decap.o sec xdp';

/** On all destinations. */
async function everywhere(lines: string): Promise<void> {
  const all = DESTINATIONS.map((_, index) =>
    network.shell(`destination${index + 1}`, lines),
  );
  await Promise.all(all);
}

/** All destinations of a service of these have turned so since an event. */
async function turned(
  running: Daemon,
  services: readonly string[],
  after: string,
  since: number,
): Promise<void> {
  for (const destination of DESTINATIONS) {
    await running.saw(
      (event) =>
        running.events.indexOf(event) >= since &&
        services.includes(event.service ?? '') &&
        event.destination === destination &&
        event.after === after,
    );
  }
}

const downs = ({ events }: Daemon): Event[] =>
  events.filter(({ after }) => after === 'down');

async function start(): Promise<Daemon> {
  rmSync(join(folder, 'state'), { recursive: true, force: true });
  write();
  daemon = new Daemon(network, file);
  const running = daemon;
  await running.saw(({ kind }) => kind === 'ready');
  await turned(running, THROUGH, 'up', 0);
  await turned(running, ['plain'], 'up', 0);
  return running;
}

/** What l4lbd leaves at the device and beside it. */
async function remains(): Promise<string> {
  return network.shell(
    'balancer',
    `tc filter show dev eth0 egress; tc qdisc show dev eth0 | grep clsact || true
    ip rule | grep sport || true; ip -6 rule | grep sport || true
    ip neigh | grep 01:80 || true
    ip route show table all | grep -e blackhole -e 192.0.0.8 -e fe80::6c34 || true
    cat /proc/sys/net/ipv4/ip_local_reserved_ports`,
  );
}

beforeAll(async () => {
  const options = ['--count', '4', '--ipv6', '--vip', VIP, '--vip', VIP6];
  network = await Network.up(...options);
  await everywhere(DECAPSULATE);
  for (const one of [1, 2, 3, 4] as const)
    network.start(`destination${one}`, 'node', '-e', SERVER);
  // Connections of this host may get the ports of checks, too.
  await network.shell(
    'balancer',
    'sysctl -q -w net.ipv4.ip_local_port_range="1024 65000"',
  );
  await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0');
});
afterEach(async () => {
  await daemon?.end('SIGKILL');
  daemon = undefined;
});
afterAll(async () => {
  await network.down();
  rmSync(folder, { recursive: true });
});

test('the address gone from lo, decapsulation gone, and a wrong MAC address in the table', async () => {
  const running = await start();
  await running.saw(({ service: name, after }) => name === 'near' && after === 'up');
  await running.saw(({ service: name, after }) => name === 'udp' && after === 'up');

  let since = running.events.length;
  await everywhere(`ip addr del ${VIP}/32 dev lo; ip addr del ${VIP6}/128 dev lo`);
  await turned(running, THROUGH, 'down', since);
  // That one is added is no reason to doubt what is asked of the others.
  write({ hasMore: true });
  running.child.kill('SIGHUP');
  await running.saw(({ kind }) => kind === 'ready', 2);
  for (const also of ['near', 'udp']) {
    await running.saw(({ service: name, after }) => name === also && after === 'down');
  }
  since = running.events.length;
  await everywhere(`ip addr add ${VIP}/32 dev lo; ip addr add ${VIP6}/128 dev lo nodad`);
  await turned(running, THROUGH, 'up', since);

  since = running.events.length;
  await everywhere('ip link set dev eth0 xdpdrv off');
  await turned(running, THROUGH, 'down', since);
  since = running.events.length;
  await everywhere(DECAPSULATE);
  await turned(running, THROUGH, 'up', since);

  since = running.events.length;
  write({ mac: '02:00:00:00:00:99', hasMore: true });
  running.child.kill('SIGHUP');
  await turned(running, THROUGH, 'down', since);

  // Whoever asks at the destination's own address has seen nothing of all this.
  expect(downs(running).map(({ service: name }) => name)).not.toContain('plain');
  const troubles = running.events.flatMap(({ what }) => what ?? []);
  expect(troubles.filter((what) => what.includes('a part of their way'))).toEqual([]);
  expect(await running.end('SIGTERM')).toBe(0);
  expect(await remains()).toBe('');
});

test('nothing that others remove makes a destination look well or ill', async () => {
  const running = await start();
  await network.shell('balancer', 'tc filter del dev eth0 egress');
  await running.saw(
    ({ what }) => what?.startsWith('the filter on eth0 was removed') === true,
  );
  await network.shell('balancer', 'ip rule del pref 100');
  await running.saw(({ what }) => what?.startsWith('the routing rule') === true);
  await sleep(1000);
  expect(downs(running)).toEqual([]);
});

test('what a killed one has left is dead, and the next one or l4lb-load takes it', async () => {
  const running = await start();
  await running.end('SIGKILL');
  expect(await remains()).toContain('16384-24575');
  // The program still sends to where its checks were, and drops what is of none.
  const connect = (port: number): Promise<string> =>
    network.shell(
      'balancer',
      `node -e "require('net').connect({host: '${VIP}', port: 80, localPort: ${port}})
        .on('connect', () => { console.log('connected'); process.exit(); })
        .on('error', ({ code }) => console.log(code))
        .setTimeout(500, () => { console.log('nothing'); process.exit(); })"`,
    );
  expect(await connect(24575)).toBe('nothing');
  await network.shell('balancer', 'tc filter del dev eth0 egress');
  expect(await connect(16384)).toBe('nothing');

  const again = await start();
  await again.end('SIGKILL');
  await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0', '--off');
  expect(await remains()).toBe('');
});

describe('make demo-live', () => {
  /** `make test-all` runs it to its end, which takes a minute. */
  const isAll = process.env.L4LB_TEST === 'all';
  if (!isAll) console.warn('skipped: make test-all runs make demo-live to its end');
  const whole = isAll ? test : test.skip;
  const DEMO = 'testbed/demo-live.sh';

  whole('finds four faults, and what begins after that does not fail', async () => {
    const { stdout } = await execa(DEMO, { cwd: ROOT, input: '' });
    expect(stdout.match(/^ {2}found, .* after \d+\.\d s$/gm)).toHaveLength(4);
    const judged = stdout.match(/^ {2}client: \d+ requests since then: none failed/gm);
    expect(judged).toHaveLength(8);
    expect(stdout).toMatch(/^eth0: 9 up$/m);
  });

  whole('ends by q on a terminal', async () => {
    const terminal = ['-qec', DEMO, '/dev/null'];
    const { stdout } = await execa('script', terminal, { cwd: ROOT, input: 'q' });
    expect(stdout).toContain('# Ended by q.');
  });

  test('leaves nothing behind when it is ended', async () => {
    const demo = execa(DEMO, { cwd: ROOT, input: '', reject: false });
    // From then on it builds its network.
    await new Promise((resolve) => demo.stdout.once('data', resolve));
    demo.kill('SIGTERM');
    expect(await demo).toMatchObject({ exitCode: 143 });
    const { stdout } = await execa('testbed/network.sh', ['list'], { cwd: ROOT });
    expect(stdout).not.toContain(`live-${demo.pid}`);
  });
});
