// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb-explain on a live balancer: it says what packets do and changes nothing. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { TCP } from '../../src/wire/protocols.js';
import { buildFrame } from '../../src/wire/frame.js';
import { ip, mac } from '../unit/wire/names.js';
import { Network, ROOT, pinsOf } from './network.js';

const VIP = '198.51.100.10';
const CLIENT = '10.0.255.1';

interface ExplainedJson {
  verdict: string;
  action: string;
  slot: number;
  hot: boolean;
  because: string | null;
  destination: { id: number; address: string } | null;
  port: { address: string | null; because: string } | null;
  agrees: boolean;
  differences: string[];
  before: { frame: string };
  after: { frame: string };
}

let network: Network;
beforeAll(async () => {
  network = await Network.up('--count', '2', '--vip', VIP);
  await fill('load', '10.0.1.1\n10.0.1.2\n');
});
afterAll(() => network.down());

async function fill(command: 'load' | 'map', rows: string): Promise<void> {
  const way = ['--vip', `${VIP}:80`, '--slots', '64'];
  const small = ['--flows', '1'];
  const args = [
    '-i',
    'eth0',
    '-f',
    '-',
    ...(command === 'load' ? [...way, ...small] : []),
  ];
  const done = await network.run('balancer', `bin/l4lb-${command}.js`, args, rows);
  expect(done.exitCode).toBe(0);
}

async function explain(...args: string[]): Promise<ExplainedJson[]> {
  const all = ['-i', 'eth0', '--json', ...args];
  const done = await network.run('balancer', 'bin/l4lb-explain.js', all);
  expect(done.stderr).toBe('');
  return done.stdout.split('\n').map((line) => JSON.parse(line) as ExplainedJson);
}

const question = (port: number, ...more: string[]): string[] => [
  '--src',
  `${CLIENT}:${port}`,
  '--dst',
  `${VIP}:80/tcp`,
  ...more,
];

/** The entry of the verdict in a dump: its key, and what each CPU has counted. */
const NOT_IP = /^key:\n01 00 00 00 *\n(?:value .*\n)+/m;

/** Everything that the program writes. */
async function state(): Promise<unknown> {
  const { stdout } = await network.expectOk(
    'balancer',
    'bpftool',
    '-j',
    'net',
    'show',
    'dev',
    'eth0',
  );
  const [{ xdp }] = JSON.parse(stdout) as [{ xdp: { id: number }[] }];
  const shown = await execa('bpftool', ['-j', 'prog', 'show', 'id', String(xdp[0]?.id)]);
  const { map_ids: ids } = JSON.parse(shown.stdout) as { map_ids: number[] };
  const dumps = ids.map(async (id) => {
    const { stdout: map } = await execa('bpftool', [
      '-j',
      'map',
      'show',
      'id',
      String(id),
    ]);
    const { name } = JSON.parse(map) as { name: string };
    // These have a million entries, and the others say enough.
    if (name === 'kept' || name === 'slots' || name === 'ports') return [name];
    // Of slots and their pairs, those of the service come first.
    const isLong = name === 'memories' || name === 'names';
    const part = isLong ? ' | head -n 10000' : '';
    const dump = `bpftool map dump id ${id}${part}`;
    if (name !== 'verdicts') {
      const { stdout: sum } = await execa('bash', ['-c', `${dump} | sha256sum`]);
      return [name, sum];
    }
    const { stdout } = await execa('bash', ['-c', dump]);
    // ARP comes and goes at any time, and counts as "not ip".
    return [name, stdout.replace(NOT_IP, '')];
  });
  return Promise.all(dumps);
}

describe('a packet', () => {
  test('goes where the live program then really sends it', async () => {
    const [told] = await explain(...question(4242));
    expect(told).toMatchObject({
      verdict: 'balanced',
      action: 'TX',
      hot: false,
      agrees: true,
    });
    const before = await network.sample();
    // The next packet has the sequence number 0, as those that explain builds.
    const flood = ['-c', '1', '-S', '-s', '4242', '-p', '80', '-q', VIP];
    await network.run('client', 'hping3', flood);
    const after = await network.sample();
    const got = after.destinations.filter(
      ({ id, packets }) =>
        packets > (before.destinations.find((one) => one.id === id)?.packets ?? 0),
    );
    expect(got.map(({ address }) => address)).toEqual([told?.destination?.address]);
  });

  test.each<[string, string[], string]>([
    ['that is too big', question(1, '--length', '1500'), 'too big told'],
    ['behind two tags', question(1, '--vlan', '100', '7'), 'balanced'],
    ['to another port', ['--src', `${CLIENT}:1`, '--dst', `${VIP}:81`], 'not ours'],
    [
      'of IPv6',
      ['--src', '[2001:db8::7]:1', '--dst', '[2001:db8::10]:80/udp'],
      'not ours',
    ],
  ])('%s', async (_, args, verdict) => {
    const [told] = await explain(...args);
    expect(told).toMatchObject({ verdict, agrees: true, differences: [] });
  });

  test('in a hot slot, by its record or by what the slot remembers', async () => {
    // The first destination is drained, so all of its slots remember it.
    await fill('map', '10.0.1.1,,0\n10.0.1.2\n');
    let port = 5000;
    let told = (await explain(...question(port, '--tcp-flags', 'ACK')))[0];
    while (!told?.hot)
      told = (await explain(...question(++port, '--tcp-flags', 'ACK')))[0];
    expect(told).toMatchObject({ agrees: true, destination: { address: '10.0.1.1' } });
    expect(told.because).not.toBeNull();

    const before = await state();
    const [syn] = await explain(...question(port));
    expect(syn).toMatchObject({ agrees: true, destination: { address: '10.0.1.2' } });
    // A SYN writes a record, but not where the live program looks.
    expect(await state()).toEqual(before);

    // With the sequence number 0, as a SYN that explain builds: its other packets have 1.
    const flood = `-c 1 -S -M 0 -s ${port} -p 80 -q ${VIP}`.split(' ');
    await network.run('client', 'hping3', flood);
    const [again] = await explain(...question(port, '--tcp-flags', 'ACK'));
    expect(again).toMatchObject({ agrees: true, destination: { address: '10.0.1.2' } });
  });
});

describe('a packet that the kernel cannot run a program on', () => {
  const said = async (...args: string[]): Promise<[number, string]> => {
    const all = ['-i', 'eth0', '--json', ...args];
    const done = await network.run('balancer', 'bin/l4lb-explain.js', all);
    expect(done.stdout).toBe('');
    return [done.exitCode, done.stderr];
  };

  test('is refused if it is longer than a buffer', async () => {
    expect(await explain(...question(4242, '--length', '3506'))).toMatchObject([
      { verdict: 'too big told', agrees: true },
    ]);
    const [exitCode, stderr] = await said(...question(4242, '--length', '3507'));
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/^l4lb-explain: packet 1 has 3,521 bytes\n/);
  });

  test('is run if the program takes several buffers', async () => {
    const args = question(4242, '--length', '4000', '--obj', 'l4lb_xdp_frags.o');
    const all = ['-i', 'eth0', '--json', ...args];
    const { stdout } = await network.expectOk('balancer', 'bin/l4lb-explain.js', ...all);
    expect(JSON.parse(stdout)).toMatchObject({ verdict: 'too big told', agrees: true });
  });

  test('is refused by its number if it does not even have an Ethernet header', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'l4lb-test-'));
    const file = join(folder, 'short.pcap');
    try {
      writeFileSync(file, captureOf([Buffer.alloc(14), Buffer.alloc(13)]));
      const [exitCode, stderr] = await said('--pcap', file);
      expect(exitCode).toBe(2);
      expect(stderr).toMatch(/^l4lb-explain: packet 2 has 13 bytes\n {2}likely cause: /);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test('in words: each header before and after', async () => {
  const args = ['-i', 'eth0', ...question(4242)];
  const command = 'bin/l4lb-explain.js';
  const { stdout, exitCode } = await network.runProcess('balancer', command, args);
  expect(exitCode).toBe(0);
  expect(stdout).toContain('verdict      balanced: sent to a destination');
  expect(stdout).toContain('program and model agree');
  expect(stdout.match(/^ {2}IPv4$/gm)).toHaveLength(3);
});

test('says that the answers are not those of the loaded program', async () => {
  const other = ['--obj', `${ROOT}l4lb_xdp_frags.o`];
  const args = ['-i', 'eth0', '--json', ...question(1), ...other];
  const done = await network.run('balancer', 'bin/l4lb-explain.js', args);
  expect(done.stderr).toContain(
    'the answers are those of l4lb_xdp_frags.o, which is not the loaded program',
  );
  expect(done.exitCode).toBe(0);
});

test.each<[string, string[], number, string]>([
  ['no packet', [], 2, 'no packet to explain'],
  [
    'two families',
    ['--src', '10.0.0.1:1', '--dst', '[2001:db8::1]:1'],
    2,
    'two families',
  ],
  [
    'no port',
    ['--src', '10.0.0.1', '--dst', `${VIP}:80`],
    2,
    'not of the form ADDR:PORT',
  ],
  ['no capture', ['--pcap', '/nowhere.pcap'], 1, 'cannot read /nowhere.pcap'],
  ['a text for a capture', ['--pcap', 'README.md'], 1, 'it is not a capture file'],
])('%s', async (_, args, exitCode, message) => {
  const all = ['-i', 'eth0', ...args];
  const done = await network.run('balancer', 'bin/l4lb-explain.js', all);
  expect(done).toMatchObject({ exitCode, stdout: '' });
  expect(done.stderr).toContain(message);
});

test('explain asks the program that is there after its wait for the lock, not one replaced meanwhile', async () => {
  const lock = await network.lockFile();
  const holder = network.start('balancer', 'flock', lock, 'sleep', '60');
  while ((await childrenOf(holder)) === '') await sleep(5);
  const namespace = network.namespaceOf('balancer');
  const child = spawn(
    'nsenter',
    [namespace, 'bin/l4lb-explain.js', '-i', 'eth0', '--json', ...question(4000)],
    { cwd: ROOT },
  );
  const told = Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  while ((await childrenOf(child, 'flock')) === '') await sleep(5);
  // The loader sees another /run, so it does not wait for the lock. The new program has maps
  // of its own, and the old ones are gone with the old program.
  const load = 'bin/l4lb-load.js -i eth0 --replace --obj l4lb_xdp.o';
  const script = `mount -t tmpfs none /run && exec ${load}`;
  await network.expectOk('balancer', 'unshare', '-m', 'sh', '-c', script);
  await execa('pkill', ['-9', '-P', String(holder.pid)]);
  const [stdout, stderr, exit] = await told;
  expect([exit[0], stderr]).toEqual([0, '']);
  expect(JSON.parse(stdout)).toMatchObject({ agrees: true });
});

/** The ids of a process's children; if a name is given, of those with that name. */
async function childrenOf(parent: ChildProcess, ...name: string[]): Promise<string> {
  expect(parent.exitCode).toBeNull();
  const args = ['-P', String(parent.pid), ...name];
  return (await execa('pgrep', args, { reject: false })).stdout;
}

async function replace(...more: string[]): Promise<void> {
  await network.expectOk(
    'balancer',
    'bin/l4lb-load.js',
    '-i',
    'eth0',
    '--replace',
    ...more,
  );
}

test.each<{ what: string; change: () => Promise<void> }>([
  {
    what: 'fills the tables, or replaces the program with all its maps',
    change: async () => {
      await fill('map', '10.0.1.1\n');
      await replace();
    },
  },
  {
    what: 'replaces the program by one with other maps',
    change: async () => {
      await replace('--obj', 'l4lb_xdp.o');
      await fill('map', '10.0.1.1\n');
    },
  },
])(
  'many packets delay nobody who $what, and each is explained by the tables of its moment',
  async ({ change }) => {
    await replace();
    await fill('map', '10.0.1.2\n');
    const folder = mkdtempSync(join(tmpdir(), 'l4lb-test-'));
    const file = join(folder, 'many.pcap');
    const frames = Array.from({ length: 50 }, (_, index) =>
      buildFrame({
        from: { address: ip(CLIENT), port: 1000 + index },
        to: { address: ip(VIP), port: 80 },
        ...{ protocol: TCP, tcpFlags: 0x10, length: 0, vlans: [] },
        mac: mac('02:00:00:00:00:04'),
      }),
    );
    writeFileSync(file, captureOf(frames));
    const namespace = network.namespaceOf('balancer');
    const args = ['bin/l4lb-explain.js', '-i', 'eth0', '--json', '--pcap', file];
    const child = spawn('nsenter', [namespace, ...args], { cwd: ROOT });
    const told = Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'exit'),
    ]);
    // The copy of the program takes the lock and releases it.
    while (pinsOf(child).length === 0 && child.exitCode === null) await sleep(1);
    await change();
    expect(child.exitCode).toBeNull();
    const [stdout, stderr, exit] = await told;
    expect([exit[0], stderr]).toEqual([0, '']);
    const answers = stdout.trimEnd().split('\n');
    expect(answers.length).toBe(frames.length);
    const last = JSON.parse(answers.at(-1) ?? '') as ExplainedJson;
    expect(last).toMatchObject({ agrees: true, destination: { address: '10.0.1.1' } });
    rmSync(folder, { recursive: true });
  },
);

describe('by full-nat', () => {
  const question = ['--src', `${CLIENT}:6000`, '--dst', `${VIP}:81/tcp`];

  /** A service whose ports are so many blocks. */
  async function load(blocks: number): Promise<void> {
    await network.l4lb('load', '--off');
    const size = ['--blocks', String(blocks), '--flows', '1'];
    expect(await network.l4lb('load', ...size)).toMatchObject({ exitCode: 0 });
    const way = ['--vip', `${VIP}:81`, '--slots', '64', '--forward', 'full-nat'];
    const args = ['-i', 'eth0', '-f', '-', ...way, '--source', '10.0.0.64'];
    const rows = '10.0.1.1\n10.0.1.2\n';
    const filled = await network.run('balancer', 'bin/l4lb-map.js', args, rows);
    expect(filled).toMatchObject({ exitCode: 0 });
  }

  /** The question about an answer to a connection that has begun, and what was said of that. */
  async function begin(): Promise<{ told: ExplainedJson | undefined; back: string[] }> {
    const flood = ['-c', '1', '-S', '-s', '6000', '-p', '81', '-q', VIP];
    await network.run('client', 'hping3', flood);
    const [told] = await explain(...question, '--tcp-flags', 'ACK');
    const back = [
      ...['--src', `${told?.destination?.address}:81`],
      ...['--dst', `${told?.port?.address}/tcp`, '--tcp-flags', 'SYN,ACK'],
    ];
    return { told, back };
  }

  /** What is said in words, and how long the tables of ports are that were made for it. */
  async function inWords(back: readonly string[]): Promise<[string, number[]]> {
    const folder = mkdtempSync(join(tmpdir(), 'l4lb-explain-'));
    const [log, tool] = [join(folder, 'log'), join(folder, 'bpftool')];
    const real = (await execa('which', ['bpftool'])).stdout;
    writeFileSync(tool, `#!/bin/sh\necho "$*" >>${log}\nexec ${real} "$@"\n`, {
      mode: 0o755,
    });
    const inPath = `PATH=${folder}:$PATH bin/l4lb-explain.js -i eth0 ${back.join(' ')}`;
    const words = await network.shell('balancer', inPath);
    const made = readFileSync(log, 'utf8').matchAll(
      /^map create .* value (\d+) entries (\d+) name (?:claims|ports)$/gm,
    );
    rmSync(folder, { recursive: true });
    return [
      words,
      [...made].map(([, value, entries]) => Number(value) * Number(entries)),
    ];
  }

  test('the port of a connection, and whose port an answer is sent to', async () => {
    await load(4);
    expect(await explain(...question)).toMatchObject([
      {
        ...{ verdict: 'balanced', agrees: true },
        port: {
          address: expect.stringMatching(/^10\.0\.0\.64:\d+$/) as unknown,
          because: 'a new connection takes a free port',
          ...{ client: `${CLIENT}:6000`, service: `${VIP}:81`, state: [] },
        },
      },
    ]);
    expect(await explain(...question, '--tcp-flags', 'ACK')).toMatchObject([
      { verdict: 'no connection', agrees: true, port: { address: null } },
    ]);

    const { told, back } = await begin();
    expect(told).toMatchObject({
      ...{ verdict: 'balanced', agrees: true },
      port: { because: 'its connection has this port' },
    });
    expect(await explain(...back)).toMatchObject([
      {
        ...{ verdict: 'answer passed', agrees: true },
        port: { ...told?.port, because: 'an answer to this client', state: ['answered'] },
      },
    ]);
    const [words, made] = await inWords(back);
    expect(words).toContain(`connection   ${CLIENT}:6000 to ${VIP}:81/tcp: answered`);
    expect(words).toContain(`answer of    ${told?.destination?.address} (id `);
    // These are the object's own blocks.
    expect(made).toEqual([]);
  });

  test('where there are other blocks, those of one packet are room enough', async () => {
    await load(8);
    const { told, back } = await begin();
    const [words, made] = await inWords(back);
    expect(words).toContain(`connection   ${CLIENT}:6000 to ${VIP}:81/tcp: answered`);
    expect(words).toContain(`answer of    ${told?.destination?.address} (id `);
    // Ports and their claims of all blocks would take 2.25 MiB each.
    expect(made).toHaveLength(2);
    for (const bytes of made) expect(bytes).toBeLessThan(100_000);
  });
});

/** A capture in the classic pcap format, little-endian. */
function captureOf(frames: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt32LE(1, 20);
  const records = frames.map((frame) => {
    const head = Buffer.alloc(16);
    head.writeUInt32LE(frame.length, 8);
    head.writeUInt32LE(frame.length, 12);
    return Buffer.concat([head, frame]);
  });
  return Buffer.concat([header, ...records]);
}
