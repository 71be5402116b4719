// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Three balancers that agree through a store, which here is a folder. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';

import { Keys } from '../../src/fleet/agreement/keys.js';
import type { Overview } from '../../src/fleet/operate/overview.js';
import { openStore } from '../../src/fleet/store/open.js';
import type { Store } from '../../src/fleet/store/store.js';
import { run } from '../../src/system/run.js';
import { at, must } from '../../src/text/must.js';
import { Teller, isEnded } from './daemon.js';
import type { Event } from './daemon.js';
import { Network } from './network.js';
import type { Role } from './network.js';

const VIP = '198.51.100.10';
const VIP6 = '2001:db8::10';
const DESTINATIONS = ['10.0.1.1', '10.0.1.2', '10.0.1.3'];
/** These stand in for two more balancers. */
const ROLES: Role[] = ['balancer', 'destination4', 'destination5'];
const NAMES = ['one', 'two', 'three'];
/** All destinations by a router that is not there. */
const NOWHERE = '10.0.1.0/29 via 10.0.0.77';

const folder = mkdtempSync(join(tmpdir(), 'l4lb-fleet-'));
const file = join(folder, 'l4lb.toml');
const place = join(folder, 'store');
const keys = new Keys('main');
let network: Network;
let store: Store;
let nodes: Teller[] = [];

const SERVER = `require('http').createServer((_, answer) => answer.end()).listen(80, '::', () => console.log('ready'))`;

function write(destinations: readonly string[], check = ''): void {
  const rows = destinations.map((one) => (one.includes('{') ? one : `"${one}"`));
  writeFileSync(
    file,
    `names = "10.7.0.0/16"
[[service]]
name = "web"
address = ["${VIP}", "${VIP6}"]
ports = 80
protocol = "tcp"
slots = 256
remember = "destinations"
destinations = [${rows.join(', ')}]
[service.check]
kind = "tcp"
via = "address"
interval = "400ms"
fast = "100ms"
timeout = "300ms"
fall = 2
most_moves = 100
${check}
`,
  );
}

const fleet = (...words: string[]): ReturnType<Network['expectOk']> =>
  network.expectOk(
    'client',
    'bin/l4lb.js',
    'fleet',
    ...words,
    '--store',
    `file:${place}`,
  );

const apply = async (destinations: readonly string[], check?: string): Promise<void> => {
  write(destinations, check);
  await fleet('apply', '-c', file);
};

function start(index: number): Teller {
  return new Teller(network.namespaceOf(at(ROLES, index)), [
    ...['node', 'bin/l4lb.js', 'fleet', 'run', '-i', 'eth0', '--node', at(NAMES, index)],
    ...['--store', `file:${place}`, '--state', join(folder, at(NAMES, index))],
  ]);
}

/** All nodes have done so once more. */
const all = async (like: (event: Event) => boolean, count = 1): Promise<void> => {
  await Promise.all(nodes.map((node) => node.saw(like, count)));
};

async function overview(): Promise<Overview> {
  const args = ['fleet', 'status', '--json', '--store', `file:${place}`];
  const { stdout } = await network.run('client', 'bin/l4lb.js', args);
  return JSON.parse(stdout) as Overview;
}

/** Waits until all that are alive go by one document, and returns what they agree on. */
async function agreed(like: (seen: Overview) => boolean = () => true): Promise<Overview> {
  for (const end = Date.now() + 20_000; ;) {
    const seen = await overview();
    const alive = nodes.filter(({ child }) => !isEnded(child)).length;
    const tables = seen.nodes.map((node) => node.tables[0]);
    const isAgreed =
      tables.length === alive &&
      tables.every((table) => table?.up_to_date) &&
      new Set(tables.map((table) => table?.sum)).size === 1;
    if (isAgreed && like(seen)) return seen;
    if (Date.now() > end) {
      const told = nodes.map(({ events, stderr }) => [events.slice(-6), stderr]);
      throw new Error(JSON.stringify([seen, told], null, 1));
    }
  }
}

/** The same when all destinations get what is wanted, so that nothing is about to change. */
const steady = (like: (seen: Overview) => boolean = () => true): Promise<Overview> =>
  agreed((seen) => {
    const all = seen.services.flatMap(({ destinations }) => destinations);
    const isWhole = all.every(({ weight, wanted }) => weight === wanted);
    return isWhole && seen.services.every(({ panic }) => !panic) && like(seen);
  });

const weightOf = ({ services }: Overview, name: string): number | undefined =>
  services[0]?.destinations.find((one) => one.name === name)?.weight;

const sumOf = ({ nodes: [node] }: Overview): string | undefined => node?.tables[0]?.sum;

async function announcedBy(role: Role): Promise<string[]> {
  const [first, second] = await Promise.all([
    network.shell(role, 'ip route show table 196 2>/dev/null || true'),
    network.shell(role, 'ip -6 route show table 196 2>/dev/null || true'),
  ]);
  return `${first}\n${second}`
    .split('\n')
    .filter(Boolean)
    .map((line) => line.replace(/ (dev|pref|proto) \S+/g, '').trim());
}

/** Waits until all that a node announces has this metric. */
async function announces(role: Role, metric: number): Promise<void> {
  for (const end = Date.now() + 20_000; ;) {
    const routes = await announcedBy(role);
    if (routes.length === 2 && routes.every((one) => one.endsWith(` metric ${metric}`)))
      return;
    if (Date.now() > end) throw new Error(`${role}: ${routes.join('; ')}`);
  }
}

async function until(isSo: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !isSo();) {
    if (Date.now() > end)
      throw new Error(JSON.stringify(nodes.map(({ stderr }) => stderr)));
    await sleep(50);
  }
}

const servers = new Map<number, ChildProcess>();

async function serveOn(number: number): Promise<void> {
  const server = network.start(`destination${number}` as Role, 'node', '-e', SERVER);
  servers.set(number, server);
  if (server.stdout) await once(server.stdout, 'data');
}

async function endServer(number: number): Promise<void> {
  const server = must(servers.get(number), 'the server');
  server.kill('SIGKILL');
  await once(server, 'close');
}

beforeAll(async () => {
  network = await Network.up('--count', '5', '--ipv6');
  store = openStore(`file:${place}`, { run });
  await Promise.all([1, 2, 3].map(serveOn));
  for (const role of ROLES)
    await network.expectOk(role, 'bin/l4lb-load.js', '-i', 'eth0', '-m', 'xdpdrv');
  nodes = ROLES.map((_, index) => start(index));
  await apply(DESTINATIONS);
  await all(({ kind }) => kind === 'ready');
}, 60_000);

afterAll(async () => {
  await Promise.all(nodes.map((node) => node.end('SIGTERM')));
  store.close();
  await network.down();
  rmSync(folder, { recursive: true, force: true });
});

afterEach(() => {
  for (const node of nodes) expect(node.stderr).toBe('');
});

test('nodes fill the same table, one leads, and all announce', async () => {
  const seen = await agreed();
  expect(seen.faults).toEqual([]);
  expect(NAMES).toContain(seen.leader);
  for (const role of ROLES) {
    expect(await announcedBy(role)).toEqual([
      `blackhole ${VIP} metric 100`,
      `blackhole ${VIP6} metric 100`,
    ]);
  }
});

test('a destination that most see down gets nothing, on all nodes', async () => {
  await endServer(3);
  const down = await agreed((seen) => weightOf(seen, '10.0.1.3') === 0);
  expect(down.services[0]).toMatchObject({ sets: 2, panic: false });
  await serveOn(3);
  const up = await agreed((seen) => weightOf(seen, '10.0.1.3') === 1);
  expect(up.services[0]?.sets).toBe(3);
});

test('one node that sees all down changes nothing', async () => {
  const before = await steady();
  await network.shell('balancer', `ip route add ${NOWHERE}`);
  await nodes[0]?.became('10.0.1.1', 'down');
  await network.shell('balancer', `ip route del ${NOWHERE}`);
  await nodes[0]?.became('10.0.1.1', 'up', 2);
  expect(sumOf(await steady())).toBe(sumOf(before));
});

test('where all see all down, no slot moves', async () => {
  const before = await steady();
  await Promise.all([1, 2, 3].map(endServer));
  const down = await agreed(({ services }) => services[0]?.panic === true);
  expect(sumOf(down)).toBe(sumOf(before));
  await Promise.all([1, 2, 3].map(serveOn));
  await steady();
});

describe('a document that is none', () => {
  test.each([
    ['no JSON', () => '{'],
    ['another format', (text: string) => text.replace('"format":1', '"format":2')],
    ['half of it', (text: string) => text.slice(0, text.length / 2)],
    [
      'another weight',
      (text: string) => text.replace('"newest":[', '"newest":[["10.0.1.1",7],'),
    ],
    ['nothing', () => ''],
  ])('is refused: %s', async (_, poisoned) => {
    const before = await steady();
    const [table] = (await store.read(keys.table('web'))).entries;
    const [head] = (await store.read(keys.head)).entries;
    const text = table?.value ?? '';
    const tables = [['web', 0]];
    await store.write(
      [],
      [
        { key: keys.table('web'), value: poisoned(text) },
        {
          key: keys.head,
          value: JSON.stringify({ ...(JSON.parse(head?.value ?? '') as object), tables }),
        },
      ],
    );
    // One that is slow may see only what the leader puts in its place.
    const isRefused = ({ what = '' }: Event): boolean => what.includes('web at revision');
    await Promise.any(nodes.map((node) => node.saw(isRefused)));
    for (const node of nodes) node.events.length = 0;
    // The leader knows what it was, and puts it back.
    expect(sumOf(await steady())).toBe(sumOf(before));
  });
});

test('a leader that is killed has a follower, and comes back to the same table', async () => {
  const before = await steady();
  const index = NAMES.indexOf(before.leader ?? '');
  await at(nodes, index).end('SIGKILL');
  const without = await agreed(
    ({ leader }) => leader !== null && leader !== before.leader,
  );
  expect(sumOf(without)).toBe(sumOf(before));
  // Program, tables and routes are as it left them.
  expect(await announcedBy(at(ROLES, index))).toHaveLength(2);
  nodes[index] = start(index);
  expect(sumOf(await steady())).toBe(sumOf(before));
});

test('a node is drained and comes back', async () => {
  await fleet('drain', 'two');
  await agreed(({ nodes: [, , node], drained }) => drained.includes('two') && !!node);
  await nodes[1]?.saw(({ what }) => /drained/.test(what ?? ''));
  expect(await announcedBy('destination4')).toContain(`blackhole ${VIP} metric 1000`);
  for (const node of nodes) node.events.length = 0;
  await fleet('undrain', 'two');
  await nodes[1]?.saw(({ what }) => /^announces 198.51.100.10, /.test(what ?? ''));
  const refused = await network.run('client', 'bin/l4lb.js', [
    ...['fleet', 'drain', 'nobody', '--store', `file:${place}`],
  ]);
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toContain('no node nobody is alive');
});

const ctl = (...words: string[]): ReturnType<Network['expectOk']> =>
  network.expectOk('destination5', 'bin/l4lb.js', 'ctl', '-i', 'eth0', ...words);

test('a hand decides on any node for all of them', async () => {
  await ctl('drain', 'web', '10.0.1.2');
  const drained = await agreed((seen) => weightOf(seen, '10.0.1.2') === 0);
  expect(drained.services[0]?.destinations[1]?.by_hand).toBe('drained');
  await ctl('auto', 'web', '10.0.1.2');
  await agreed((seen) => weightOf(seen, '10.0.1.2') === 1);
});

test('settled is settled for all', async () => {
  const before = await steady(({ services }) => (services[0]?.sets ?? 0) > 1);
  await fleet('settle', '--now');
  const after = await agreed(({ services }) => services[0]?.sets === 1);
  expect(sumOf(after)).not.toBe(sumOf(before));
});

test('without the store all stays, and a node that starts has what it had', async () => {
  const before = await steady();
  for (const node of nodes) node.events.length = 0;
  renameSync(place, `${place}.away`);
  writeFileSync(place, 'no folder');
  await nodes[0]?.saw(({ what }) => /all stays as it is/.test(what ?? ''));
  // One that hears no destination either is cut off from more than the store.
  await network.shell('balancer', `ip route add ${NOWHERE}`);
  await nodes[0]?.saw(({ what }) => /cut off/.test(what ?? ''));
  await nodes[0]?.saw(({ what }) => /\(drained\)/.test(what ?? ''));
  await network.shell('balancer', `ip route del ${NOWHERE}`);
  await at(nodes, 1).end('SIGKILL');
  nodes[1] = start(1);
  await nodes[1].saw(({ kind }) => kind === 'ready');
  expect(await announcedBy('destination4')).toHaveLength(2);
  rmSync(place);
  renameSync(`${place}.away`, place);
  expect(sumOf(await steady())).toBe(sumOf(before));
  for (const role of ROLES) await announces(role, 100);
});

test('a node that was away announces nothing before it has what the others have', async () => {
  await steady();
  await at(nodes, 1).end('SIGKILL');
  await network.shell(
    'destination4',
    'ip route flush table 196; ip -6 route flush table 196',
  );
  await ctl('drain', 'web', '10.0.1.2');
  await agreed((seen) => weightOf(seen, '10.0.1.2') === 0);
  nodes[1] = start(1);
  await agreed();
  await nodes[1].saw(({ what }) => /^announces 198.51.100.10, /.test(what ?? ''));
  const kinds = nodes[1].events.map(({ kind }) => kind);
  expect(kinds.lastIndexOf('filled')).toBeLessThan(kinds.indexOf('followed'));
  await ctl('auto', 'web', '10.0.1.2');
  await agreed((seen) => weightOf(seen, '10.0.1.2') === 1);
});

test('a node whose link was cut draws no packets before it has what the others have', async () => {
  const link = (is: string): Promise<string> =>
    network.shell('switch', `ip link set destination4 ${is}`);
  await steady();
  await link('down');
  await announces('destination4', 1000);
  // It reaches the store later than its link.
  renameSync(place, `${place}.away`);
  writeFileSync(place, 'no folder');
  await link('up');
  await sleep(1000);
  await announces('destination4', 1000);
  rmSync(place);
  renameSync(`${place}.away`, place);
  await announces('destination4', 100);
});

test('what cannot be shared is refused, with its line', async () => {
  write([...DESTINATIONS, '{ address = "10.0.1.9", mac = "02:00:00:00:00:09" }']);
  const args = ['fleet', 'apply', '-c', file, '--store', `file:${place}`];
  const { exitCode, stderr } = await network.run('client', 'bin/l4lb.js', args);
  expect(exitCode).toBe(1);
  expect(stderr).toContain('10.0.1.9 has a mac');
});

test('a node that ends takes back what it announced, and nothing else', async () => {
  const { programs } = { programs: 'ip -d link show dev eth0' };
  expect(await at(nodes, 2).end('SIGTERM')).toBe(0);
  expect(await announcedBy('destination5')).toEqual([]);
  expect(await network.shell('destination5', programs)).toContain('prog/xdp');
});

test('routing daemons get their configurations', async () => {
  const bird = await network.expectOk(
    'balancer',
    ...['bin/l4lb.js', 'fleet', 'bird', '-i', 'eth0', '--store', `file:${place}`],
    ...['--as', '65100', '--router', '10.0.0.77=65000'],
  );
  expect(bird.stdout).toContain('neighbor 10.0.0.77 as 65000;');
  expect(bird.stdout).toContain(`if net !~ [ ${VIP}/32{32,32} ] then reject;`);
  const other = await fleet(
    ...['bird', 'two', '-i', 'eth0', '--as', '65100', '--router', '10.0.0.77=65000'],
  );
  expect(other.stdout).toContain('local 10.0.1.4 as 65100;');
  const nobody = await network.run('client', 'bin/l4lb.js', [
    ...['fleet', 'frr', 'nobody', '--as', '65000', '--router', '=65100'],
    ...['--store', `file:${place}`],
  ]);
  expect(nobody.stderr).toContain('no node nobody is alive');
  const single = await fleet('frr', 'two', '--as', '65000', '--router', '=65100');
  expect(single.stdout.match(/ remote-as /g)).toHaveLength(1);
  const frr = await fleet('frr', '--as', '65000', '--router', '=65100');
  expect(frr.stdout).toContain(' neighbor 10.0.0.4 remote-as 65100');
  const args = ['fleet', 'bird', '-i', 'eth0', '--as', '1', '--router', '10.0.0.77=2'];
  const none = await network.run('balancer', 'bin/l4lb.js', [
    ...args,
    ...['--store', `file:${place}`, '--fleet', 'other'],
  ]);
  expect(none.exitCode).toBe(1);
  expect(none.stderr).toContain('there is no such fleet');
});

test('a node whose program is taken off ends, and takes back what it announced', async () => {
  const node = at(nodes, 0);
  await announces('balancer', 100);
  await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0', '--off');
  await until(() => isEnded(node.child));
  expect(node.child.exitCode).toBe(1);
  expect(node.stderr).toContain('no XDP program on eth0');
  expect(await announcedBy('balancer')).toEqual([]);
  node.stderr = '';
});
