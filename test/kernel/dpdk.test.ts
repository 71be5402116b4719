// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The balancer in a process that DPDK gives frames: the tools work on it, connections go
 * through it and stay, and it does with each frame what the model says.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { framesOfPcap } from '../../src/explain/pcap.js';
import { mutate } from '../fuzz/packets.js';
import { Random } from '../fuzz/random.js';
import * as frames from '../frames.js';
import { describeWith } from '../installed.js';
import { Dpdk, PROGRAM, startInPlace } from './dpdk.js';
import { Network } from './network.js';
import { Client, SERVER } from './talk.js';

const folder = mkdtempSync(join(tmpdir(), 'l4lb-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const VIP = '198.51.100.10';
const VIP6 = 'fd00::64:1';
const ROWS = 'address\n10.0.1.1\n10.0.1.2\nfd00::1:1\nfd00::1:2\n';

interface Status {
  programs: {
    mode: string;
    dpdk?: {
      process: number | null;
      holder: number | null;
      port: string;
      frames: Frames;
    };
  }[];
}
type Frames = Record<
  'received' | 'sent' | 'up' | 'down' | 'answered' | 'dropped',
  number
>;

const describeBuilt = describeIfBuilt();

function describeIfBuilt(): typeof describe | typeof describe.skip {
  if (existsSync(PROGRAM)) return describeWith(['strace'], 'dpdk');
  const why = 'l4lb-dpdk is not built (./setup.sh dpdk, and then make dpdk)';
  if (process.env.CI) throw new Error(why);
  console.warn(`skipped: ${why}`);
  return describe.skip;
}

async function statusOf(
  network: Network,
  device = 'eth0',
): Promise<Status['programs'][0]> {
  const args = ['-i', device, '--status', '--json'];
  const { stdout } = await network.run('balancer', 'bin/l4lb-load.js', args);
  const [program] = (JSON.parse(stdout) as Status).programs;
  if (!program) throw new Error(`no program: ${stdout}`);
  return program;
}

/** Waits for what the process notes once a second. */
async function framesOf(
  network: Network,
  device: string,
  isThere: (frames: Frames) => boolean,
): Promise<Frames> {
  for (const late = AbortSignal.timeout(20_000); ;) {
    const { dpdk } = await statusOf(network, device);
    if (dpdk && isThere(dpdk.frames)) return dpdk.frames;
    if (late.aborted) throw new Error(`it stays so: ${JSON.stringify(dpdk)}`);
  }
}

describeBuilt('as a host on a network', () => {
  let network: Network;
  let dpdk: Dpdk;
  const map = (rows: string, ...args: string[]) =>
    network.run('balancer', 'bin/l4lb-map.js', ['-i', 'eth0', ...args], rows);
  const fill = async (rows: string): Promise<void> => {
    const ways = [`${VIP}:80/tcp`, `[${VIP6}]:80/tcp`].flatMap((way) => ['--vip', way]);
    const filled = await map(rows, '-f', '-', ...ways, '--slots', '64');
    expect(filled).toMatchObject({ exitCode: 0, stderr: '' });
  };

  beforeAll(async () => {
    network = await Network.up('--count', '2', '--ipv6', '--vip', VIP, '--vip', VIP6);
    for (const role of ['destination1', 'destination2'] as const) {
      network.start(role, 'node', '-e', SERVER, role);
      await network.expectOk(role, 'bin/l4lb-load.js', '-i', 'eth0', '--decap');
    }
    dpdk = await startInPlace(network);
    await fill(ROWS);
  });
  afterAll(() => network.down()); // and with it the process

  test('the tools find the program, and the MACs by the exception', async () => {
    const status = await statusOf(network);
    expect(status).toMatchObject({
      mode: 'DPDK',
      dpdk: { process: dpdk.pid, port: 'net_tap0' },
      services: [{ ways: [`${VIP}:80/tcp`, `[${VIP6}]:80/tcp`], destinations: 4 }],
    });
    const exported = await map('', '--export');
    expect(exported.stdout).toContain('10.0.1.1');
    const doctor = await network.l4lb('doctor', '--json');
    const { well, findings } = JSON.parse(doctor.stdout) as {
      well: { check: string; text: string }[];
      findings: { check: string }[];
    };
    expect(well).toContainEqual({
      check: 'mode',
      text: `process ${dpdk.pid} runs it on port net_tap0`,
    });
    // Nobody has sent anything yet, and nobody watches the MACs.
    expect(new Set(findings.map(({ check }) => check))).toEqual(
      new Set(['counters', 'neighbours']),
    );
  });

  test.each([VIP, VIP6])('connections to %s reach both destinations', async (service) => {
    const clients = Array.from({ length: 12 }, () => new Client(network, service));
    const answers = await Promise.all(clients.map((client) => client.ask()));
    clients.forEach((client) => client.end());
    expect(new Set(answers)).toEqual(new Set(['destination1', 'destination2']));
  });

  test('each packet is counted once, by the thread that had it', async () => {
    const { received, up, sent } = await framesOf(network, 'eth0', (frames) =>
      Boolean(frames.sent),
    );
    expect(received).toBeGreaterThan(0);
    const sample = await network.sample();
    expect(sample.mode).toBe('DPDK');
    expect(sent).toBeGreaterThan(0);
    expect(up + sent).toBeLessThanOrEqual(received);
    const explained = await network.l4lb(
      'explain',
      ...['--src', '10.0.255.1:4711', '--dst', `${VIP}:80/tcp`, '--json'],
    );
    expect(JSON.parse(explained.stdout)).toMatchObject({ agrees: true });
  });

  test('what is not ours reaches the host, and the host reaches out', async () => {
    network.start('balancer', 'node', '-e', SERVER.replace('80', '22'), 'the host');
    const talk = `const one = require('net').connect(22, process.argv[1]);
      one.on('connect', () => one.write('who?'));
      one.on('error', (error) => { console.log(error.code); process.exit(); });
      one.on('data', (text) => { console.log(String(text).trim()); process.exit(); });`;
    const ask = async (): Promise<string> =>
      (await network.run('client', 'node', ['-e', talk, '10.0.0.4'])).stdout;
    // Until the server listens.
    let answer = 'ECONNREFUSED';
    for (let tries = 0; tries < 40 && answer === 'ECONNREFUSED'; tries++) {
      answer = await ask();
    }
    expect(answer).toBe('the host');
    const { up, down } = await framesOf(network, 'eth0', (frames) => frames.down > 0);
    expect(up).toBeGreaterThan(0);
    expect(down).toBeGreaterThan(0);
  });

  test('30 connections stay when their destination is drained, and when the process is killed', async () => {
    const many = await Many.open(network, VIP, 30);
    const before = await many.ask();
    expect(before).toHaveLength(30);
    expect(before).not.toContain('closed');
    await fill(
      'address,mac,weight\n10.0.1.1,,0\n10.0.1.2,,1\nfd00::1:1,,0\nfd00::1:2,,1\n',
    );
    expect(await many.ask()).toEqual(before);
    const fresh = await Many.open(network, VIP, 10);
    expect(new Set(await fresh.ask())).toEqual(new Set(['destination2']));
    fresh.end();

    await dpdk.end('SIGKILL');
    const { stderr } = await network.l4lb('stats', '--once');
    expect(stderr).toMatch(/no device eth0\n.*l4lb-dpdk, which made it, has ended/);
    dpdk = await startInPlace(network);
    expect(await many.ask()).toEqual(before);
    many.end();
    await fill(ROWS);
  });

  test('a stop says what is left, and the next start takes up the tables', async () => {
    const { stdout: tables } = await map('', '--export');
    const { holder } = (await statusOf(network)).dpdk ?? { holder: 0 };
    expect(await dpdk.end()).toBe(0);
    expect(dpdk.said).toContain(`Process ${holder} keeps the tables of eth0`);
    dpdk = await startInPlace(network);
    expect(dpdk.said).toContain(`whose tables process ${holder} keeps`);
    expect((await map('', '--export')).stdout).toBe(tables);
    expect((await statusOf(network)).dpdk?.holder).toBe(holder);
  });

  const several = Math.min(2, cpus().length);
  test(`with ${several} threads each has a queue, and counts its own`, async () => {
    const { stdout: before } = await network.l4lb('stats', '--once', '--json');
    expect(await dpdk.end()).toBe(0);
    dpdk = await startInPlace(network, `0-${several - 1}`);
    expect(dpdk.said).toContain(`with ${several} thread`);
    const clients = Array.from({ length: 12 }, () => new Client(network, VIP));
    const answers = await Promise.all(clients.map((client) => client.ask()));
    clients.forEach((client) => client.end());
    expect(new Set(answers)).toEqual(new Set(['destination1', 'destination2']));
    const { sent } = await framesOf(network, 'eth0', (frames) => frames.sent >= 12 * 3);
    const balanced = (text: string): number =>
      (JSON.parse(text) as { verdicts: { balanced: { packets: number } } }).verdicts
        .balanced.packets;
    const { stdout: after } = await network.l4lb('stats', '--once', '--json');
    expect(balanced(after) - balanced(before)).toBeGreaterThanOrEqual(sent);
  });

  test('if its holder is killed, the process keeps the tables', async () => {
    const { holder } = (await statusOf(network)).dpdk ?? {};
    const client = new Client(network, VIP);
    const answer = await client.ask();
    process.kill(holder ?? 0, 'SIGKILL');
    // A zombie has not let go of anything yet.
    for (const late = AbortSignal.timeout(20_000); !late.aborted;) {
      if ((await statusOf(network)).dpdk?.holder === null) break;
    }
    expect(await statusOf(network)).toMatchObject({
      dpdk: { process: dpdk.pid, holder: null },
      services: [{ destinations: 4 }],
    });
    expect(await client.ask()).toBe(answer);
    client.end();
    // The next one begins with new tables.
    expect(await dpdk.end()).toBe(0);
    expect(dpdk.said).toContain('so are the tables of eth0');
    dpdk = await startInPlace(network);
    await fill(ROWS);
    expect((await statusOf(network)).dpdk?.holder).toEqual(expect.any(Number));
  });

  test('there is one process for a device', async () => {
    const options = ['-l', '0', '--vdev=net_null0', '--', '--device', 'eth0'];
    const second = await network.runProcess('balancer', PROGRAM, options);
    expect(second.exitCode).toBe(1);
    expect(second.stderr).toContain(`process ${dpdk.pid} balances for eth0 already`);
  });

  test('of several that start at once, one runs', async () => {
    const mac = '02:70:63:61:70:00';
    const port = `--vdev=net_pcap0,rx_pcap=${emptyFile()}`;
    const start = `${PROGRAM} -l 0 ${port} -- --device twin0 --nap 200`;
    const printed = await network.shell(
      'balancer',
      `ip link add twin0 address ${mac} type veth peer twin1
       for i in 1 2 3; do timeout -s TERM 5 ${start} >${folder}/twin$i 2>&1 & done
       wait
       ip link del twin0
       cat ${folder}/twin?`,
    );
    expect(printed.match(/balances on port/g)).toHaveLength(1);
    expect(
      printed.match(/balances for twin0 already|about to balance for twin0/g),
    ).toHaveLength(2);
    // Nobody holds tables that no one can find.
    const [, holder] = /Process (\d+) keeps/.exec(printed) ?? [];
    const { stdout } = await network.run('balancer', 'bash', [
      '-c',
      `for pid in $(pgrep l4lb-tables); do
         [ /proc/$pid/ns/net -ef /proc/self/ns/net ] && echo $pid; done`,
    ]);
    expect(stdout.split('\n')).toContain(holder);
    expect(stdout.split('\n')).toHaveLength(2); // and the one of eth0
    process.kill(Number(holder));
  });

  test.each([
    [['--off']],
    [['--replace']],
    [[]],
    [['-f', 'destination_samples/32_destinations.csv']],
  ])('l4lb-load %j says what to do', async (args) => {
    const loaded = await network.l4lb('load', ...args);
    expect(loaded.exitCode).toBe(1);
    expect(loaded.stderr).toContain('l4lb-dpdk runs the program of eth0, not the kernel');
    expect(loaded.stderr).toContain(`kill ${dpdk.pid} ends it`);
    expect(await statusOf(network)).toMatchObject({ dpdk: { process: dpdk.pid } });
  });

  test('a destination behind another device is refused, since there is one port', async () => {
    await network.shell('balancer', 'ip link add other up type veth peer name others');
    const toml = join(folder, 'other.toml');
    writeFileSync(
      toml,
      `[[service]]
name = "web"
address = "${VIP}"
ports = 80
destinations = [{ address = "10.9.0.1", mac = "02:00:00:00:00:99", device = "other" }]
`,
    );
    const filled = await map('', '-c', toml);
    await network.shell('balancer', 'ip link del other');
    expect(filled.exitCode).toBe(1);
    expect(filled.stderr).toContain('a card and l4lb-dpdk send by their own port');
  });
});

/** Many connections of one process, which all ask at once. */
class Many {
  readonly #child: ChildProcess;
  readonly #lines;

  private constructor(child: ChildProcess) {
    this.#child = child;
    if (!child.stdout) throw new Error('no output');
    this.#lines = createInterface({ input: child.stdout });
  }

  static async open(network: Network, service: string, count: number): Promise<Many> {
    const script = `const [host, count] = process.argv.slice(1);
      const all = Array.from({ length: +count }, () => require('net').connect(80, host));
      const answers = [];
      const tell = () => {
        if (answers.filter((one) => one !== undefined).length < all.length) return;
        console.log(JSON.stringify(answers));
      };
      all.forEach((one, i) => {
        const say = (what) => { answers[i] = what; tell(); };
        one.on('data', (text) => say(String(text).trim()));
        one.on('error', (error) => say(error.code));
        one.on('close', () => say('closed'));
      });
      process.stdin.on('data', () => { answers.length = 0; all.forEach((one) => one.write('who?')); });`;
    const args = [network.namespaceOf('client'), 'node', '-e', script, service];
    const child = spawn('nsenter', [...args, String(count)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(child, 'spawn');
    return new Many(child);
  }

  /** Who answers each of them. */
  async ask(): Promise<string[]> {
    const answer = once(this.#lines, 'line', { signal: AbortSignal.timeout(30_000) });
    this.#child.stdin?.write('\n');
    const [line] = (await answer) as [string];
    return JSON.parse(line) as string[];
  }

  end(): void {
    this.#child.kill();
  }
}

describeBuilt('from file to file', () => {
  let network: Network;
  beforeAll(async () => {
    network = await Network.up('--count', '1');
  });
  afterAll(() => network.down());

  /** Runs all frames of a file through a process, and returns what it sent. */
  const run = async (
    name: string,
    input: readonly Buffer[],
    device: string,
    ...options: string[]
  ): Promise<{ sent: Buffer[]; frames: Frames }> => {
    const [from, to] = [join(folder, `${name}.in`), join(folder, `${name}.out`)];
    writeFileSync(from, asPcap(input));
    const port = `--vdev=net_pcap0,rx_pcap=${from},tx_pcap=${to}`;
    const dpdk = await Dpdk.start(network, '0', port, ...options);
    const frames = await framesOf(
      network,
      device,
      ({ received }) => received >= input.length,
    );
    expect(await dpdk.end()).toBe(0);
    return { sent: frames.sent > 0 ? framesOfPcap(readFileSync(to)) : [], frames };
  };

  test('every frame becomes what the model says, byte for byte', async () => {
    // The MAC address that the driver gives its first port.
    const mac = '02:70:63:61:70:00';
    const there = await Dpdk.start(
      network,
      '0',
      `--vdev=net_pcap0,rx_pcap=${emptyFile()}`,
      ...['--exception', 'pcap0'],
    );
    const rows = [1, 2, 3, 4, 5].map((i) => `10.7.0.${i},02:00:00:00:07:0${i}`);
    const ways = ['--vip', VIP, '--vip', VIP6, '--source', '10.0.0.4', 'fd00::4'];
    const filled = await network.run(
      'balancer',
      'bin/l4lb-map.js',
      ['-i', 'pcap0', '-f', '-', ...ways],
      `address,mac\n${rows.join('\n')}\nfd00::7:1,02:00:00:00:07:11\n`,
    );
    expect(filled).toMatchObject({ exitCode: 0 });
    const input = someFrames(mac);
    const file = join(folder, 'explained.pcap');
    writeFileSync(file, asPcap(input));
    const explained = await network.run('balancer', 'bin/l4lb-explain.js', [
      ...['-i', 'pcap0', '--json', '--pcap', file],
    ]);
    expect(explained.exitCode).toBe(0);
    expect(await there.end()).toBe(0);
    const answers = explained.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Explained);
    expect(answers).toHaveLength(input.length);
    expect(answers.filter(({ agrees }) => !agrees)).toEqual([]);
    const expected = answers.flatMap(({ action, after }) =>
      action === 'TX' && after ? [after.frame] : [],
    );
    const verdicts = new Set(answers.map(({ verdict }) => verdict));
    expect([...verdicts].sort()).toEqual(
      expect.arrayContaining(['balanced', 'not ours', 'too big told', 'echo answered']),
    );

    const { sent, frames } = await run('model', input, 'pcap0', '--exception', 'pcap0');
    expect(sent.map((frame) => frame.toString('hex'))).toEqual(expected);
    expect(frames).toMatchObject({ received: input.length, sent: expected.length });
    // All that passes goes up, to the host.
    expect(frames.up).toBe(answers.filter(({ action }) => action === 'PASS').length);
  });

  test('without an exception it answers for its own addresses, and for no other', async () => {
    const own = '02:70:63:61:70:00';
    const asker = '02:00:00:00:00:01';
    const arp = (target: string): Buffer =>
      frames.ethernet(
        { to: 'ff:ff:ff:ff:ff:ff', from: asker, type: 0x0806 },
        Buffer.concat([
          Buffer.from('0001080006040001', 'hex'),
          frames.mac(asker),
          frames.ip('10.0.0.1'),
          Buffer.alloc(6),
          frames.ip(target),
        ]),
      );
    const solicitation = (from: string, target: string, option: Buffer): Buffer => {
      const to = 'ff02::1:ff00:10';
      const message = frames.icmp(
        135,
        0,
        Buffer.alloc(4),
        Buffer.concat([frames.ip(target), option]),
        { from, to },
      );
      return frames.ethernet(
        { to: '33:33:ff:00:00:10', from: asker },
        frames.ipv6({ from, to, next: frames.ICMPV6, hopLimit: 255 }, message),
      );
    };
    const source = Buffer.concat([Buffer.from([1, 1]), frames.mac(asker)]);
    const input = [
      arp('10.0.0.10'),
      arp('10.0.0.11'),
      solicitation('fd00::1', 'fd00::10', source),
      solicitation('::', 'fd00::10', Buffer.alloc(0)),
      solicitation('fd00::1', 'fd00::11', source),
      // Cut off, at every byte.
      ...Array.from({ length: 27 }, (_, i) => arp('10.0.0.10').subarray(0, 14 + i)),
      ...Array.from({ length: 63 }, (_, i) =>
        solicitation('fd00::1', 'fd00::10', Buffer.alloc(0)).subarray(0, 14 + i),
      ),
    ];
    await network.shell(
      'balancer',
      `ip link add own0 address ${own} type veth peer own1`,
    );
    const { sent, frames: counted } = await run(
      ...(['own', input, 'own0', '--device', 'own0'] as const),
      ...['--ip', '10.0.0.10', '--ip', 'fd00::10'],
    );
    const option = Buffer.concat([Buffer.from([2, 1]), frames.mac(own)]);
    const advertisement = (to: string, toMac: string, flags: number): Buffer => {
      const between = { from: 'fd00::10', to };
      const rest = Buffer.from([flags, 0, 0, 0]);
      const message = frames.icmp(
        136,
        0,
        rest,
        Buffer.concat([frames.ip('fd00::10'), option]),
        between,
      );
      return frames.ethernet(
        { to: toMac, from: own },
        frames.ipv6({ ...between, next: frames.ICMPV6, hopLimit: 255 }, message),
      );
    };
    expect(sent.map((frame) => frame.toString('hex'))).toEqual(
      [
        frames.ethernet(
          { to: asker, from: own, type: 0x0806 },
          Buffer.concat([
            Buffer.from('0001080006040002', 'hex'),
            frames.mac(own),
            frames.ip('10.0.0.10'),
            frames.mac(asker),
            frames.ip('10.0.0.1'),
          ]),
        ),
        advertisement('fd00::1', asker, 0x60),
        advertisement('ff02::1', '33:33:00:00:00:01', 0x20),
      ].map((frame) => frame.toString('hex')),
    );
    expect(counted).toMatchObject({ answered: 3, dropped: input.length - 3 });
  });

  test('a flood of what is not ours leaves room for what is', async () => {
    const mac = '02:70:63:61:70:00';
    const stranger = frames.ethernet(
      { to: mac, from: '02:00:00:00:00:01' },
      frames.ipv4(
        { from: '10.9.9.9', to: '10.9.9.8', protocol: frames.UDP },
        frames.udp({ from: 1, to: 2 }),
      ),
    );
    const full = 32; // frames of a burst that may have more behind it
    const input = Array.from({ length: 10 * full }, () => stranger);
    const options = ['--exception', 'flood0'];
    const { frames: counted } = await run('flood', input, 'flood0', ...options);
    expect(counted).toMatchObject({ up: input.length, up_full: 10 * (full - 8) });
  });

  test('it touches no PCI device, unless one is named', async () => {
    const trace = join(folder, 'trace');
    const options = [`--vdev=net_pcap0,rx_pcap=${emptyFile()}`, '--', '--device', 'own0'];
    const script = `strace -f -qq -e trace=%file -o ${trace} ${PROGRAM} -l 0 ${options.join(' ')} 2>&1 &
      for i in $(seq 100); do grep -qs own0.dpdk ${trace} && break; sleep 0.1; done
      kill $(pgrep -P $!); wait $!`;
    const traced = await network.runProcess('balancer', 'bash', ['-c', script]);
    expect(traced.stdout).toContain('balances on port net_pcap0');
    const touched = readFileSync(trace, 'utf8').split('\n');
    expect(touched.length).toBeGreaterThan(100);
    // Where the kernel lists its cards, and what opens one.
    expect(touched.filter((line) => /\/pci|\/dev\/(?:vfio|uio|mem)/.test(line))).toEqual(
      [],
    );
  });

  test.each([
    [
      ['-l', '0', '--vdev=net_null0', '--', '--ip', '10.0.0'],
      2,
      '--ip: must be an address',
    ],
    [
      ['-l', '0', '--vdev=net_null0', '--', '--nap', '0'],
      2,
      '--nap: must be a whole number',
    ],
    [
      ['-l', '0', '--vdev=net_null0', '--', '--flows', '3'],
      2,
      '--flows: must be a power of two',
    ],
    [
      ['-l', '0', '--vdev=net_null0', '--', '--exception', 'a/b'],
      2,
      "a device's name has no",
    ],
    [['-l', '0', '--vdev=net_null0', '--', '--nonsense'], 2, 'unrecognized option'],
    [['-l', '0', '--vdev=net_null0', '--', 'more'], 2, 'is no option'],
    [
      ['-l', '0', '--', '--ip', '10.0.0.10'],
      1,
      'DPDK has 0 ports, but one process balances one',
    ],
    [['-l', '0', '--vdev=net_null0', '--vdev=net_null1'], 1, 'DPDK has 2 ports'],
    [
      ['-l', '0', '--vdev=net_null0'],
      1,
      'is no device of the kernel, so the tools have no name',
    ],
    [
      ['-l', '0', '--vdev=net_tap0,iface=eth0', '--', '--ip', '10.0.0.10'],
      1,
      'there is a device eth0 already',
    ],
    [
      ['-l', '0', '--vdev=net_null0', '--', '--exception', 'eth0'],
      1,
      'there is a device eth0 already',
    ],
    [['-l', 'x', '--vdev=net_null0'], 1, 'DPDK does not start'],
  ])('%j is refused', async (args, exitCode, why) => {
    const finished = await network.runProcess('balancer', PROGRAM, args);
    expect(finished.stderr).toContain(why);
    expect(finished.exitCode).toBe(exitCode);
  });
});

describeBuilt('for destinations that need no set-up', () => {
  const NAT = '198.51.100.20';
  const FULL_NAT = '198.51.100.21';
  const POOL = '10.0.0.5';
  let network: Network;

  beforeAll(async () => {
    const vips = [NAT, FULL_NAT].flatMap((vip) => ['--vip', vip]);
    network = await Network.up('--count', '2', '--ipv6', ...vips);
    await startInPlace(network);
    await network.shell(
      'balancer',
      `ip addr add ${POOL}/16 dev eth0
       sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.eth0.send_redirects=0 net.ipv4.conf.all.send_redirects=0`,
    );
    const server = `require('net').createServer((one) => {
      one.on('error', () => {});
      one.end(process.argv[1] + ' sees ' + one.remoteAddress);
    }).listen(80, '0.0.0.0');`;
    for (const role of ['destination1', 'destination2'] as const) {
      // By nat answers have to come back through the balancer.
      await network.shell(
        role,
        `ip addr flush dev lo; ip link set lo up; ip route add 10.0.255.1/32 via 10.0.0.4`,
      );
      network.start(role, 'node', '-e', server, role);
    }
    const toml = join(folder, 'nat.toml');
    writeFileSync(
      toml,
      [NAT, FULL_NAT]
        .map(
          (address) => `[[service]]
name = "${address === NAT ? 'nat' : 'full-nat'}"
address = "${address}"
ports = 80
protocol = "tcp"
slots = 64
forward = "${address === NAT ? 'nat' : 'full-nat'}"
${address === NAT ? '' : `source = "${POOL}/32"`}
destinations = ["10.0.1.1", "10.0.1.2"]
`,
        )
        .join('\n'),
    );
    await network.expectOk('balancer', 'bin/l4lb-map.js', '-i', 'eth0', '-c', toml);
  });
  afterAll(() => network.down()); // and with it the process

  test.each([
    ['nat', NAT, '10.0.255.1'],
    ['full-nat', FULL_NAT, POOL],
  ])('%s turns answers back, which the host forwards', async (_how, service, seen) => {
    const ask = `const one = require('net').connect(80, process.argv[1]);
      one.on('error', (error) => console.log(error.code));
      one.on('data', (text) => console.log(String(text)));`;
    const answers = new Set<string>();
    for (let tries = 0; tries < 40 && answers.size < 2; tries++) {
      const { stdout } = await network.run('client', 'node', ['-e', ask, service]);
      // Until the servers listen.
      if (stdout !== 'ECONNREFUSED') answers.add(stdout);
    }
    expect([...answers].sort()).toEqual([
      `destination1 sees ${seen}`,
      `destination2 sees ${seen}`,
    ]);
  });
});

describeBuilt('on the bridge testbed', () => {
  let network: Network;
  const prefix = `d${process.pid}-`;
  beforeAll(async () => {
    network = await Network.up();
  });
  afterAll(async () => {
    await network.shell('switch', `L4LB_BRIDGE_PREFIX=${prefix} testbed/bridge.sh down`);
    await network.down();
  });

  test('netcat reaches both servers, and the process answers ARP and ping', async () => {
    const log = join(folder, 'bridge.log');
    const printed = await network.shell(
      'switch',
      `export L4LB_BRIDGE_PREFIX=${prefix}
       testbed/bridge.sh up >/dev/null
       . testbed/bridge-aliases.sh
       for n in 2 3; do
         h$n ip address add 10.0.0.10/32 dev lo
         h$n sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2 net.ipv4.conf.all.accept_local=1
         h$n bin/l4lb-load.js -i veth$n --decap
         h$n nc -lk 8080 </dev/null >${folder}/h$n 2>&1 &
       done
       ${PROGRAM} -l 0 --vdev=net_tap0,iface=tapdpdk -- --ip 10.0.0.10 --nap 200 >${log} 2>&1 &
       process=$!
       for i in $(seq 300); do grep -q 'fill them' ${log} && break; sleep 0.1; done
       testbed/bridge.sh up dpdk >/dev/null
       bin/l4lb-map.js -i tapdpdk -c testbed/bridge/tunnel.toml
       arping -c 1 10.0.0.10
       ping -c 1 -W 5 10.0.0.10
       for i in $(seq 40); do
         [ -s ${folder}/h2 ] && [ -s ${folder}/h3 ] && break
         echo hello | nc -N -w 3 10.0.0.10 8080
         sleep 0.05
       done
       cat ${folder}/h2 ${folder}/h3 | sort -u
       for host in h2 h3; do [ -s ${folder}/$host ] && echo "$host has some"; done
       kill $process; wait $process; tail -1 ${log}`,
    );
    expect(printed).toContain('2 destinations in 65,536 slots');
    expect(printed).toContain('Received 1 response');
    expect(printed).toContain('1 received, 0% packet loss');
    expect(printed).toContain('hello\nh2 has some\nh3 has some');
    expect(printed).toContain('the port is gone with this process');
  });
});

interface Explained {
  verdict: string;
  action: string;
  agrees: boolean;
  after: { frame: string } | null;
}

function emptyFile(): string {
  const path = join(folder, 'empty.pcap');
  writeFileSync(path, asPcap([]));
  return path;
}

/** Right ones of every kind, and then the same with bytes changed and cut off. */
function someFrames(mac: string): Buffer[] {
  const random = new Random(19);
  const client = { ipv4: '10.0.255.1', ipv6: 'fd00::ff:1' };
  const right = Array.from({ length: 24 }, (_, i) => {
    const isIpv6 = i % 3 === 2;
    const [from, to] = isIpv6
      ? [client.ipv6, VIP6]
      : [client.ipv4, i % 7 ? VIP : '10.0.0.4'];
    const ports = { from: 1024 + i, to: 80 };
    // Too long for one buffer, or for four.
    const data = Buffer.alloc(i % 8 === 0 ? (i % 16 === 0 ? 3000 : 7500) : i * 3);
    const ping = Buffer.from([0, i, 0, i]);
    const content =
      i % 4 === 0
        ? frames.udp(ports, data)
        : i % 4 === 1
          ? frames.icmp(
              isIpv6 ? 128 : 8,
              0,
              ping,
              data,
              isIpv6 ? { from, to } : undefined,
            )
          : frames.tcp(ports, 0x10);
    const protocol =
      [frames.UDP, isIpv6 ? frames.ICMPV6 : frames.ICMP][i % 4] ?? frames.TCP;
    const tags: [number, number][] = i % 5 === 0 ? [[0x8100, 7]] : [];
    return frames.ethernet(
      { to: mac, from: '02:00:00:00:00:01', tags },
      frames.packet({ from, to, protocol }, content),
    );
  });
  const wrong = Array.from({ length: 76 }, () => mutate(random, random.pick(right)));
  return [...right, ...wrong.filter(({ length }) => length >= 14)];
}

/** A capture in the classic pcap format, little-endian. */
function asPcap(all: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(65_535, 16);
  head.writeUInt32LE(1, 20);
  return Buffer.concat([
    head,
    ...all.flatMap((frame) => {
      const record = Buffer.alloc(16);
      record.writeUInt32LE(frame.length, 8);
      record.writeUInt32LE(frame.length, 12);
      return [record, frame];
    }),
  ]);
}
