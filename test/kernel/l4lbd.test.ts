// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lbd, with servers that die and come back. */
import type { ChildProcess, ChildProcessByStdio } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';

import type { Finished } from './network.js';
import type { Event } from './daemon.js';
import { Daemon, PATIENCE, isEnded } from './daemon.js';
import { Network, ROOT } from './network.js';

const folder = mkdtempSync(join(tmpdir(), 'l4lb-l4lbd-'));
const state = join(folder, 'state');
const file = join(folder, 'l4lb.toml');
const ADDRESSES = ['10.0.1.1', '10.0.1.2', '10.0.1.3'];
let network: Network;
let daemon: Daemon | undefined;
let systemd: ChildProcessByStdio<Writable, Readable, Readable> | undefined;
const servers = new Map<number, ChildProcess>();

function serve(one: number): void {
  const code = "require('http').createServer((_, answer) => answer.end()).listen(80)";
  servers.set(one, network.start(`destination${one}`, 'node', '-e', code));
}

async function kill(one: number): Promise<void> {
  const child = servers.get(one);
  if (!child || isEnded(child)) return;
  child.kill('SIGKILL');
  await once(child, 'close');
}

function write(check: string, slots = 'slots = 256'): void {
  writeFileSync(
    file,
    `[daemon]
listen = "127.0.0.1:9109"

[[service]]
name = "web"
address = "198.51.100.10"
ports = 80
protocol = "tcp"
${slots}
check = { kind = "http", via = "address", fall = 2, ${check} }
destinations = [${ADDRESSES.map((address) => `"${address}"`).join(', ')}]
`,
  );
}

async function start(check: string, slots?: string): Promise<Daemon> {
  for (const [one, child] of servers) if (isEnded(child)) serve(one);
  rmSync(state, { recursive: true, force: true });
  write(check, slots);
  daemon = new Daemon(network, file);
  await daemon.saw(({ kind }) => kind === 'ready');
  for (const address of ADDRESSES) await daemon.became(address, 'up');
  // One that is new to the tables gets its packets after that.
  await haveAll();
  return daemon;
}

/** Waits until all have their weight. */
async function haveAll(): Promise<void> {
  for (let time = 0; time < 100 && (await weights()).includes(0); time++)
    await sleep(100);
}

function verb(name: string, ...words: string[]): Promise<Finished> {
  return network.run('balancer', 'bin/l4lb.js', [name, '-i', 'eth0', ...words]);
}

async function weights(): Promise<number[]> {
  const exported = (await network.l4lb('map', '--export')).stdout;
  return ADDRESSES.map((address) => {
    const line = exported.split('\n').find((one) => one.includes(`"${address}"`)) ?? '';
    return Number(/weight = (\d+)/.exec(line)?.[1] ?? (line === '' ? NaN : 1));
  });
}

async function ask(path: string): Promise<string> {
  const url = `http://127.0.0.1:9109${path}`;
  return (await network.runProcess('balancer', 'curl', ['--silent', url])).stdout;
}

/** What l4lbd tells Prometheus. */
async function metric(name: string): Promise<number> {
  const stdout = await ask('/metrics');
  const line = stdout.split('\n').find((one) => one.startsWith(`${name} `));
  return Number(line?.slice(name.length));
}

beforeAll(async () => {
  network = await Network.up('--count', '3');
  for (const one of [1, 2, 3]) serve(one);
  await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0');
});
afterEach(async () => {
  await daemon?.end('SIGKILL');
  daemon = undefined;
  systemd?.kill();
});
afterAll(async () => {
  await network.down();
  rmSync(folder, { recursive: true });
});

const QUICK = 'interval = "200ms", fast = "100ms", timeout = "200ms"';

test('a server that dies gets no new connections, and gets them again when it is back', async () => {
  const running = await start(
    `${QUICK}, dead_after = "1s", on_panic = "off", most_moves = 100`,
  );
  await kill(2);
  await running.became('10.0.1.2', 'down');
  const filled = await running.saw(({ weights: list }) => list?.[0]?.after === 0);
  expect(filled.weights).toEqual([{ destination: '10.0.1.2', before: 1, after: 0 }]);
  expect(filled.moved).toBeGreaterThan(0);
  expect(await weights()).toEqual([1, 0, 1]);
  await running.became('10.0.1.2', 'dead');
  expect(
    await metric('l4lb_destination_state{service="web",destination="10.0.1.2"}'),
  ).toBe(4);
  expect(await metric('l4lb_service_hot_slots{service="web"}')).toBe(filled.moved);
  serve(2);
  await running.became('10.0.1.2', 'up', 2);
  await haveAll();
  expect(await weights()).toEqual([1, 1, 1]);
  expect(
    await metric('l4lb_destination_state{service="web",destination="10.0.1.2"}'),
  ).toBe(1);
  const slots = await Promise.all(
    ADDRESSES.map((one) =>
      metric(`l4lb_destination_slots{service="web",destination="${one}"}`),
    ),
  );
  expect(slots.reduce((all, one) => all + one, 0)).toBe(256);
  expect(await metric('l4lb_unseen')).toBe(0);
  // It does not run as root, and without any capability.
  const status = readFileSync(`/proc/${running.checker()}/status`, 'utf8');
  expect(status).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
  expect(status).toMatch(/^CapEff:\t0+$/m);
  expect(await running.end('SIGTERM')).toBe(0);
  expect(await weights()).toEqual([1, 1, 1]);
});

test('if all fail at once, nothing moves, and it says so', async () => {
  const running = await start(QUICK);
  const before = running.events.length;
  await Promise.all([1, 2, 3].map(kill));
  await running.saw(({ kind, begins }) => kind === 'panic' && begins === true);
  for (const address of ADDRESSES) await running.became(address, 'down');
  expect(await weights()).toEqual([1, 1, 1]);
  // Nor when they come back, though some do so before others.
  for (const one of [1, 2, 3]) serve(one);
  await running.saw(({ kind, begins }) => kind === 'panic' && begins === false);
  for (const address of ADDRESSES) await running.became(address, 'up', 2);
  expect(running.events.slice(before).filter(({ kind }) => kind === 'filled')).toEqual(
    [],
  );
});

test('a checker that is stopped for more than four seconds calls nobody down', async () => {
  const running = await start(QUICK);
  const checker = running.checker();
  process.kill(checker, 'SIGSTOP');
  await sleep(4500);
  process.kill(checker, 'SIGCONT');
  await running.saw(({ what }) => what?.includes('has said nothing') === true);
  await sleep(1000);
  const states = running.events.flatMap(({ after }) => after ?? []);
  expect(states).not.toContain('down');
});

test('a checker that is killed is started again', async () => {
  const running = await start(QUICK);
  process.kill(running.checker(), 'SIGKILL');
  await running.saw(({ what }) => what === 'the checker has ended: SIGKILL');
  await kill(3);
  await running.became('10.0.1.3', 'down');
  serve(3);
  await running.became('10.0.1.3', 'up', 2);
});

test('a file that the tables have no room for changes nothing at SIGHUP', async () => {
  const running = await start(`${QUICK}, most_moves = 100`);
  const before = readFileSync(file, 'utf8');
  const service = before
    .slice(before.indexOf('[[service]]'))
    .replace('slots = 256\n', '');
  const many = Array.from({ length: 20 }, (_, one) =>
    service
      .replace('"web"', `"more${one}"`)
      .replace('198.51.100.10', `198.51.101.${one + 1}`),
  );
  writeFileSync(file, [before, ...many].join(''));
  running.child.kill('SIGHUP');
  const { what } = await running.saw(({ kind }) => kind === 'trouble');
  expect(what).toContain('no room');
  await kill(2);
  await running.became('10.0.1.2', 'down');
  await running.saw(({ weights: list }) => list?.[0]?.after === 0);
  serve(2);
  await running.became('10.0.1.2', 'up', 2);
});

test('health moves no more slots in a minute than the file says', async () => {
  const running = await start(`${QUICK}, on_panic = "off", most_moves = 100`, '');
  write(`${QUICK}, on_panic = "off", most_moves = 1`, '');
  running.child.kill('SIGHUP');
  await running.saw(({ kind }) => kind === 'ready', 2);
  await kill(1);
  // The first change may exceed it, and the next one waits.
  await running.saw(({ weights: list }) => list?.[0]?.after === 0);
  await kill(2);
  await running.became('10.0.1.2', 'down');
  await running.saw(({ kind }) => kind === 'postponed');
  expect(await weights()).toEqual([0, 1, 1]);
  for (const one of [1, 2]) serve(one);
});

test('a file with a fault changes nothing at SIGHUP, and a good one is taken', async () => {
  const running = await start(QUICK);
  write(`${QUICK}, rise = "often"`);
  running.child.kill('SIGHUP');
  const { what } = await running.saw(({ kind }) => kind === 'trouble');
  expect(what).toContain('rise: "often" is not a number from 1 to 100');
  expect(await weights()).toEqual([1, 1, 1]);
  // Nobody may act by a token that everybody can read.
  const token = join(folder, 'token');
  writeFileSync(token, '0123456789abcdef', { mode: 0o644 });
  write(QUICK);
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace('[daemon]', `[daemon]\ntoken_file = "${token}"`));
  running.child.kill('SIGHUP');
  const refused = await running.saw(({ kind }) => kind === 'trouble', 2);
  expect(refused.what).toContain('is not secret; its mode is 0644');
  expect(await ask('/')).toMatch(/^<!doctype html>/);
  expect(await ask('/')).not.toContain('data-actions');
  expect(JSON.parse(await ask('/history'))).toHaveProperty('dropped');
  writeFileSync(file, text.replace(', "10.0.1.3"', ''));
  running.child.kill('SIGHUP');
  await running.saw(({ kind }) => kind === 'reloaded');
  await running.saw(({ kind, moved }) => kind === 'filled' && (moved ?? 0) > 0, 1);
  expect((await weights()).slice(0, 2)).toEqual([1, 1]);
});

test('what a hand decides holds through a reload and a restart', async () => {
  const running = await start(QUICK);
  const ctl = (...words: string[]): Promise<Finished> => verb('ctl', ...words);
  const generation = async (): Promise<number> => {
    const { stdout } = await ctl('--json');
    return (JSON.parse(stdout) as { generation: number }).generation;
  };
  const before = await generation();
  const asked = await ctl('drain', 'web', '10.0.1.3', '--dry-run', '--json');
  expect(JSON.parse(asked.stdout)).toMatchObject({ dry_run: true, by_hand: 'drained' });
  expect(await generation()).toBe(before);
  expect(await weights()).toEqual([1, 1, 1]);

  // What could not be saved is not done either, and nobody is told that it was.
  rmSync(state, { recursive: true, force: true });
  writeFileSync(state, '');
  const unsaved = await ctl('drain', 'web', '10.0.1.3');
  expect(unsaved).toMatchObject({ exitCode: 1, stdout: '' });
  expect(unsaved.stderr).toContain('cannot save to');
  expect(await weights()).toEqual([1, 1, 1]);
  expect(running.events.map(({ kind }) => kind)).not.toContain('hand');
  rmSync(state);

  expect((await ctl('drain', 'web', '10.0.1.3')).stdout).toContain('10.0.1.3 is drained');
  expect((await ctl('weight', 'web', '10.0.1.1', '3')).exitCode).toBe(0);
  const decided = [3, 1, 0];
  expect(await weights()).toEqual(decided);
  running.child.kill('SIGHUP');
  await running.saw(({ kind }) => kind === 'ready', 2);
  expect(await weights()).toEqual(decided);

  const last = await generation();
  await running.end('SIGKILL');
  daemon = new Daemon(network, file);
  await daemon.saw(({ kind }) => kind === 'ready');
  expect(await weights()).toEqual(decided);
  // There was nothing to write.
  expect(await generation()).toBe(last);
  expect((await ctl()).stdout).toContain('eth0: 2 up, 1 drained');

  const beside = await network.l4lb('map', '-c', file);
  expect(beside).toMatchObject({ exitCode: 1, stdout: '' });
  expect(beside.stderr).toContain('l4lbd keeps the tables of eth0');
  const twice = await ctl('undrain', 'web', '10.0.1.2');
  expect(twice).toMatchObject({ exitCode: 1, stdout: '' });
  expect(twice.stderr).toContain('10.0.1.2 is not drained');
  expect((await ctl('drain', 'web', '10.0.1.9')).stderr).toContain(
    'no destination 10.0.1.9',
  );
  for (const one of ['10.0.1.1', '10.0.1.3'])
    expect((await ctl('auto', 'web', one)).exitCode).toBe(0);
  expect(await weights()).toEqual([1, 1, 1]);
  const { stdout: told } = await verb('events', '--once');
  expect(told).toMatch(/ web: 10\.0\.1\.3: auto by hand \(socket\)$/m);
  await daemon.end('SIGTERM');
  expect((await ctl()).stderr).toContain('no l4lbd runs on eth0');
});

test('a second one on the same device refuses to start', async () => {
  const running = await start(QUICK);
  const args = ['-i', 'eth0', '-c', file];
  const finished = await network.runProcess('balancer', 'bin/l4lbd.js', args);
  expect(finished).toMatchObject({ exitCode: 1, stdout: '' });
  expect(finished.stderr).toContain('l4lbd: l4lbd runs on this device already');
  expect(finished.stderr).toContain(`process ${running.child.pid} holds /run/l4lb/`);
});

test('if nobody reads its journal any more, that is a failure', async () => {
  write(QUICK);
  daemon = new Daemon(network, file);
  await daemon.saw(({ kind }) => kind === 'ready');
  daemon.child.stdout?.destroy();
  expect(await daemon.end('SIGHUP')).toBe(1);
  expect(daemon.stderr).toContain('l4lbd: cannot write to stdout');
  expect(daemon.stderr).toContain('whoever read it has ended');
});

/** Listens on a socket for datagrams, which Node cannot, and prints a line for each. */
const LISTEN = `socket(S, AF_UNIX, SOCK_DGRAM, 0); bind(S, sockaddr_un($ARGV[0])) or die;
$| = 1; print "listens\\n"; while (defined recv(S, $said, 9999, 0)) { print $said =~ tr/\\n/ /r, "\\n" }`;

/** As systemd starts it: with a socket, a watchdog, and the journal as its output. */
const AS_SERVICE = `exec 9>&1; export JOURNAL_STREAM=$(stat --dereference --format=%d:%i /dev/fd/9)
exec env NOTIFY_SOCKET="$0" WATCHDOG_USEC=1500000 "$@"`;

test('it tells systemd how it is, and the journal what matters', async () => {
  const socket = join(folder, 'notify');
  systemd = spawn('perl', ['-MSocket', '-e', LISTEN, socket]);
  const told: string[] = [];
  createInterface(systemd.stdout).on('line', (line) => told.push(line));
  const heard = async (what: RegExp): Promise<number> => {
    const end = Date.now() + PATIENCE;
    while (!told.some((line) => what.test(line))) {
      if (Date.now() > end) throw new Error(`${String(what)}: ${told.join('\n')}`);
      await sleep(20);
    }
    return told.findIndex((line) => what.test(line));
  };
  await heard(/^listens$/);
  write(`${QUICK}, on_panic = "off"`);
  daemon = new Daemon(network, file, ['sh', '-c', AS_SERVICE, socket]);
  expect(await heard(/^READY=1 STATUS=3 (unknown|up)$/)).toBeGreaterThan(0);
  await heard(/STATUS=3 up$/);
  await heard(/^WATCHDOG=1/);
  await kill(2);
  await heard(/STATUS=2 up, 1 (down|dead)/);
  write(`${QUICK}, rise = "often"`);
  daemon.child.kill('SIGHUP');
  const reloading = await heard(/^RELOADING=1 MONOTONIC_USEC=\d+$/);
  const ready = await heard(/^READY=1 STATUS=.*; the file that was read last/);
  expect(ready).toBeGreaterThan(reloading);
  expect(await daemon.end('SIGTERM')).toBe(0);
  await heard(/^STOPPING=1$/);
  serve(2);
  const priorityOf = (like: (event: Event) => boolean): string | undefined =>
    daemon?.priorities[daemon.events.findIndex(like)];
  expect(priorityOf(({ kind }) => kind === 'started')).toBe('<6>');
  expect(priorityOf(({ after }) => after === 'down')).toBe('<4>');
  expect(priorityOf(({ kind }) => kind === 'trouble')).toBe('<3>');
});

test('a SIGHUP that comes before it is loaded does not end it', async () => {
  const preload = join(folder, 'preload.cjs');
  writeFileSync(
    preload,
    `const { Module } = require('node:module');
    const load = Module._load;
    Module._load = (name, ...rest) => {
      if (name.endsWith('dist/l4lbd.cjs')) process.kill(process.pid, 'SIGHUP');
      return load(name, ...rest);
    };`,
  );
  const args = ['--require', preload, 'bin/l4lbd.js', '--version'];
  expect(await network.runProcess('balancer', 'node', args)).toMatchObject({
    exitCode: 0,
    stderr: '',
  });
});

describe('killed without warning', () => {
  test('it leaves the tables, and its checker ends with it', async () => {
    const running = await start(QUICK);
    const checker = running.checker();
    await running.end('SIGKILL');
    expect(await weights()).toEqual([1, 1, 1]);
    for (let time = 0; time < 50 && isThere(checker); time++) await sleep(100);
    expect(isThere(checker)).toBe(false);
  });

  const times = process.env.L4LB_TEST === 'all' ? 20 : 2;
  test(`both processes, ${times} times in a flood: no packet is lost and nothing is written`, async () => {
    let running = await start(QUICK);
    const generation = async (): Promise<number> => {
      const { stdout } = await verb('ctl', '--json');
      return (JSON.parse(stdout) as { generation: number }).generation;
    };
    const balanced = async (): Promise<number> => {
      const { stdout } = await network.l4lb('stats', '--once', '--json');
      const { verdicts } = JSON.parse(stdout) as {
        verdicts: { balanced: { packets: number } };
      };
      return verdicts.balanced.packets;
    };
    /** What the link to the balancer had no room for, as when the machine is busy. */
    const noRoom = async (): Promise<number> => {
      const words = ['-json', '-statistics', 'link', 'show', 'dev', 'balancer'];
      const { stdout } = await network.runProcess('switch', 'ip', words);
      const [link] = JSON.parse(stdout) as { stats64: { tx: { dropped: number } } }[];
      return link?.stats64.tx.dropped ?? NaN;
    };
    const first = await generation();
    const before = await balanced();
    const droppedBefore = await noRoom();
    const where = ['--dst', '198.51.100.10:80/tcp', '--dst-mac', '02:00:00:00:00:04'];
    const what = ['--random-source', '--syn', '--rate', '20000', '--duration', '2m'];
    const flood = spawn(
      'nsenter',
      [
        ...[network.namespaceOf('client'), 'node', 'bin/l4lb-flood.js', '-i', 'eth0'],
        ...[...where, ...what, '--json'],
      ],
      { cwd: ROOT },
    );
    let said = '';
    flood.stdout.on('data', (text: Buffer) => (said += text.toString()));
    for (let time = 0; time < times; time++) {
      process.kill(running.checker(), 'SIGKILL');
      await running.end('SIGKILL');
      running = daemon = new Daemon(network, file);
      await running.saw(({ kind }) => kind === 'ready');
      expect(await generation()).toBe(first);
    }
    const closed = once(flood, 'close');
    flood.kill('SIGINT');
    await closed;
    const { sent } = JSON.parse(said) as { sent: number };
    expect(sent).toBeGreaterThan(1000);
    const dropped = (await noRoom()) - droppedBefore;
    expect((await balanced()) - before + dropped).toBe(sent);
  });
});

function isThere(pid: number): boolean {
  return readdirSync('/proc').includes(String(pid));
}

test.each<[string, string[], number, string]>([
  ['no file', ['-i', 'eth0', '-c', '/nowhere.toml'], 1, 'cannot read /nowhere.toml'],
  ['stdin', ['-i', 'eth0', '-c', '-'], 2, 'the config file cannot be stdin'],
  ['a device', ['-i', 'eth0', '-c', '/dev/zero'], 1, 'it is a pipe or a device'],
  ['no option', ['-i', 'eth0'], 2, "required option '-c, --config <file>' not specified"],
])('%s', async (_, args, code, said) => {
  const finished = await network.runProcess('balancer', 'bin/l4lbd.js', args);
  expect(finished.exitCode).toBe(code);
  expect(finished.stderr).toContain(said);
});

test('without a program it says which command loads one', async () => {
  write(QUICK);
  const finished = await network.runProcess('client', 'bin/l4lbd.js', [
    '-i',
    'eth0',
    '-c',
    file,
  ]);
  expect(finished.exitCode).toBe(1);
  expect(finished.stderr).toContain('no XDP program on eth0');
});
