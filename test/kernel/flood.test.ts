// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb-flood: tcpdump, tshark and l4lb-stats see what it says that it sends. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';

import { UDP } from '../../src/wire/protocols.js';
import { addMacs, planFrame } from '../../src/flood/frame.js';
import type { Pace } from '../../src/flood/send.js';
import { senderArguments } from '../../src/flood/send.js';
import { dissectFile } from '../tshark.js';
import { ip, mac } from '../unit/wire/names.js';
import type { Finished, Role } from './network.js';
import { Network, ROOT, sumOfVerdicts } from './network.js';

const SAMPLE = 'destination_samples/32_destinations.csv';
const BALANCER = '10.0.0.4';
const BALANCER_MAC = '02:00:00:00:00:04';
const SINK = '10.0.1.1';
const SINK_MAC = '02:00:0a:00:01:01';
const SINK_6 = '2001:db8::15';

interface FloodJson {
  sent: number;
  lost: number;
  seconds: number;
  pps: number;
  frame_bytes: number;
}

const scratch = mkdtempSync(join(tmpdir(), 'flood-test-'));
let network: Network;

beforeAll(async () => {
  network = await Network.up('--count', '1');
  const few = ['--slots', '1024'];
  await network.l4lb('load', '-m', 'xdpdrv', '-f', SAMPLE, ...few);
});

afterAll(async () => {
  await network.down();
  rmSync(scratch, { recursive: true });
});

async function flood(role: Role, device: string, ...args: string[]): Promise<Finished> {
  return network.run(role, 'bin/l4lb-flood.js', ['-i', device, ...args]);
}

/** Sends from the client. Anything but success is a fault of the test. */
async function send(...args: string[]): Promise<FloodJson> {
  const options = ['-i', 'eth0', '--json', ...args];
  const { stdout } = await network.expectOk('client', 'bin/l4lb-flood.js', ...options);
  return JSON.parse(stdout) as FloodJson;
}

interface Arrived {
  /** Source, source port, TCP flags and length of each packet. */
  packets: { from: string; port: number; flags: number; length: number }[];
  faults: string[];
}

/**
 * Captures what comes to the sink until there are so many packets. The returned function
 * waits for them; what is still missing after some seconds never comes.
 */
async function startDump(
  path: string,
  count: number,
  filter: string,
): Promise<() => Promise<void>> {
  const dump = execa('nsenter', [
    `--net=/run/netns/l4lb-${network.name}-destination1`,
    ...['tcpdump', '-n', '-i', 'eth0', '-Q', 'in', '-B', '65536', '-Z', 'root'],
    ...['--immediate-mode', '-s', '1600', '-c', String(count), '-w', path, filter],
  ]);
  await once(dump.stderr, 'data');
  return async () => {
    const late = setTimeout(() => dump.kill('SIGINT'), 5000);
    await dump;
    clearTimeout(late);
  };
}

/**
 * Captures what comes to the sink while it is flooded. The sink's device has no XDP
 * program.
 */
async function capture(count: number, ...args: string[]): Promise<Arrived> {
  const path = join(scratch, 'arrived.pcap');
  const dumped = await startDump(path, count, 'udp or tcp');
  await send('--count', String(count), '--rate', '20000', '--dst-mac', SINK_MAC, ...args);
  await dumped();

  const fields = ['ip.src', 'ipv6.src', 'udp.srcport', 'tcp.srcport', 'tcp.flags'];
  const { stdout } = await execa('tshark', [
    ...['-n', '-r', path, '-T', 'fields'],
    ...[...fields, 'frame.len'].flatMap((field) => ['-e', field]),
  ]);
  const packets = stdout.split('\n').map((line) => {
    const [ipv4, ipv6, udp, tcp, flags, length] = line.split('\t');
    return {
      from: (ipv4 || ipv6) ?? '',
      port: Number(udp || tcp),
      flags: Number(flags),
      length: Number(length),
    };
  });
  const dissected = await dissectFile(path);
  return { packets, faults: dissected.flatMap(({ faults }) => faults) };
}

const different = (values: readonly unknown[]): number => new Set(values).size;

describe('through the balancer', () => {
  // From the switch's own port, since the bridge before it would lose some of so many
  // packets.
  test.each([
    { what: 'UDP', args: ['--count', '1000000'], packets: 1_000_000 },
    {
      what: 'SYNs of two threads',
      args: ['--count', '400001', '--flows', '1000', '--threads', '2', '--syn'],
      packets: 400_001,
    },
  ])('each packet of $what has a verdict', async ({ args, packets }) => {
    const before = await network.sample();
    const to = ['--dst', BALANCER, '--random-source', '--dst-mac', BALANCER_MAC];
    const { exitCode, stdout } = await flood(
      'switch',
      'balancer',
      ...to,
      ...args,
      '--json',
    );
    const after = await network.sample();
    expect(exitCode).toBe(0);
    const { sent, lost } = JSON.parse(stdout) as FloodJson;
    expect(sent + lost).toBe(packets);
    expect(sumOfVerdicts(after) - sumOfVerdicts(before)).toBe(sent);
    expect(after.totals.packets - before.totals.packets).toBe(sent);
  });
});

describe('the packets', () => {
  test.each([
    {
      what: 'UDP from a prefix',
      args: ['--dst', `${SINK}:53/udp`, '--src', '10.64.0.0/10'],
      from: /^10\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./,
      sources: 4900,
      flags: 0,
      length: 60,
    },
    {
      what: 'full frames from the own address',
      args: ['--dst', SINK, '--size', '1514'],
      from: /^10\.0\.255\.1$/,
      sources: 1,
      flags: 0,
      length: 1514,
    },
    {
      what: 'SYNs from anywhere',
      args: ['--dst', `${SINK}:80`, '--syn', '--random-source'],
      from: /^\d/,
      sources: 4990,
      flags: 0x02,
      length: 60,
    },
    {
      what: 'ACKs over IPv6',
      args: ['--dst', `[${SINK_6}]:80/tcp`, '--src', '2001:db8:7::/48'],
      from: /^2001:db8:7:/,
      sources: 4990,
      flags: 0x10,
      length: 74,
    },
    {
      what: 'UDP over IPv6 from anywhere',
      args: ['--dst', `[${SINK_6}]:53/udp`, '--random-source'],
      from: /^[23]/,
      sources: 4990,
      flags: 0,
      length: 62,
    },
  ])('$what: all arrive, and tshark finds no fault', async (row) => {
    const { packets, faults } = await capture(5000, ...row.args);
    expect(packets).toHaveLength(5000);
    expect(faults).toEqual([]);
    expect(packets.filter(({ from }) => !row.from.test(from))).toEqual([]);
    expect(packets.filter(({ port }) => port < 32768)).toEqual([]);
    expect(different(packets.map(({ from }) => from))).toBeGreaterThanOrEqual(
      row.sources,
    );
    expect(different(packets.map(({ port }) => port))).toBeGreaterThan(4000);
    const shapes = packets.map(({ flags, length }) => `${flags || 0} ${length}`);
    expect([...new Set(shapes)]).toEqual([`${row.flags} ${row.length}`]);
  });

  test.each([
    { flows: 1, source: '10.9.0.0/16' },
    { flows: 777, source: '10.9.0.0/16' },
    { flows: 2000, source: '10.9.9.9' },
    { flows: 1024, source: '2001:db8:7::/64' },
  ])('of $flows flows from $source have that many senders', async ({ flows, source }) => {
    const to = source.includes(':') ? `[${SINK_6}]:53/udp` : SINK;
    const more = ['--flows', String(flows), '--src', source];
    const { packets, faults } = await capture(4000, '--dst', to, ...more);
    expect(packets).toHaveLength(4000);
    expect(faults).toEqual([]);
    expect(different(packets.map(({ from, port }) => `${from} ${port}`))).toBe(flows);
  });
});

describe('flood/flood', () => {
  const args = (varied: string[], pace: Pace): string[] => {
    const way = { address: ip(SINK), port: 53, protocol: UDP };
    const source = { address: ip('10.7.0.0'), length: 32 };
    const bare = planFrame({ way, source, size: 60, isSyn: false });
    const plan = addMacs(bare, mac(SINK_MAC), mac('02:00:00:00:00:01'));
    return senderArguments('eth0', { ...plan, varied }, pace);
  };

  // One of all 65,536 sources makes the sum 0, which would say that there is no sum.
  test('sends 0xffff where the sum of UDP is 0', async () => {
    const path = join(scratch, 'zero.pcap');
    const dumped = await startDump(path, 1, 'udp[6:2] = 0 or udp[6:2] = 0xffff');
    const pace = { threads: 1, flows: 65_536, count: 65_536, rate: 60_000 };
    await network.expectOk('client', 'flood/flood', ...args(['224+16@24,40u'], pace));
    await dumped();
    const fields = ['-T', 'fields', '-e', 'udp.checksum'];
    const { stdout } = await execa('tshark', ['-n', '-r', path, ...fields]);
    expect(stdout).toBe('0xffff');
  });

  test.each([
    { varied: ['224'], says: '--vary 224: must be FIRST+BITS[@SUM,...]' },
    { varied: ['224+16@'], says: '--vary 224+16@: must be FIRST+BITS[@SUM,...]' },
    { varied: ['224+16@24,'], says: '--vary 224+16@24,: must be FIRST' },
    { varied: ['224+16@23'], says: 'no checksum begins at byte 23' },
    {
      varied: ['208+32@4294967294'],
      says: 'no checksum begins at byte 4294967294',
    },
    {
      varied: ['208+32@4294967320'],
      says: 'no checksum begins at byte 4294967320',
    },
    {
      varied: ['4294967290+16'],
      says: '--vary 4294967290+16: the headers have no such bits',
    },
    {
      varied: ['18446744073709551610+16'],
      says: '--vary 18446744073709551610+16: the headers have no such bits',
    },
    {
      varied: ['4294967504+32'],
      says: '--vary 4294967504+32: the headers have no such bits',
    },
    { varied: ['208+'], says: '--vary 208+: must be FIRST+BITS[@SUM,...]' },
    { varied: ['+32'], says: '--vary +32: must be FIRST+BITS[@SUM,...]' },
    { varied: ['330+10'], says: '--vary 330+10: the headers have no such bits' },
    { varied: ['208+8', '224+8'], says: 'give bits that touch as one run' },
    { varied: ['208+3'], says: '--flows 9: with 3 bits there are fewer' },
  ])('does not take --vary $varied', async ({ varied, says }) => {
    const pace = { threads: 1, flows: 9, count: 9 };
    const all = args(varied, pace);
    const { exitCode, stdout, stderr } = await network.run('client', 'flood/flood', all);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain(says);
  });
});

describe('a flood', () => {
  test('is not faster than its rate', async () => {
    const to = ['--dst', BALANCER, '--rate', '5000', '--duration', '2s'];
    const result = await send(...to);
    expect(result.sent).toBeGreaterThan(7000);
    expect(result.sent).toBeLessThan(10_500);
    expect(result.seconds).toBeGreaterThan(1.9);
    expect(result.seconds).toBeLessThan(3);
  });

  test('ends by Ctrl-C, and says what was sent until then', async () => {
    const before = await network.sample();
    const running = execa(
      'nsenter',
      [
        `--net=/run/netns/l4lb-${network.name}-client`,
        ...['bin/l4lb-flood.js', '-i', 'eth0', '--dst', BALANCER, '--duration', '1m'],
      ],
      { cwd: ROOT, reject: false, timeout: 30_000 },
    );
    let said = '';
    running.stderr.on('data', (text: Buffer) => {
      said += String(text);
      if (/ 2 s .* lost/.test(said)) running.kill('SIGINT');
    });
    const { exitCode, stdout, stderr } = await running;
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    expect(stderr).toMatch(
      /^eth0: 10\.0\.0\.4:9\/udp from 10\.0\.255\.1, frames of 60 bytes$/m,
    );
    expect(stderr).toMatch(/^ +1 s +[\d,]+ pkts\/s +[\d,]+ bits\/s +[\d,]+ lost$/m);
    const [, sent = ''] = /^sent ([\d,]+) packets in /m.exec(stdout) ?? [];
    const after = await network.sample();
    expect(sumOfVerdicts(after) - sumOfVerdicts(before)).toBe(
      Number(sent.replaceAll(',', '')),
    );
  });

  test('does not leave by the device of the default route, unless told to', async () => {
    const few = ['--dst', BALANCER, '--count', '10'];
    await network.expectOk('client', 'ip', 'route', 'add', 'default', 'via', BALANCER);
    try {
      const before = await network.packetsToBalancer();
      const refused = await flood('client', 'eth0', ...few);
      expect(refused).toMatchObject({ exitCode: 1, stdout: '' });
      expect(refused.stderr).toContain(
        'eth0 carries a default route, so nothing was sent',
      );
      expect(await network.packetsToBalancer()).toBe(before);
      const { exitCode, stdout } = await flood('client', 'eth0', ...few, '--yes');
      expect({ exitCode, stdout }).toMatchObject({ exitCode: 0 });
      expect(stdout).toMatch(/^sent 10 packets/);
    } finally {
      await network.expectOk('client', 'ip', 'route', 'del', 'default');
    }
  });

  test('says why a veth takes nothing', async () => {
    const to = ['--dst', SINK, '--src', '10.0.0.9', '--dst-mac', SINK_MAC];
    const { exitCode, stdout, stderr } = await flood(
      'switch',
      'destination1',
      ...[...to, '--count', '1000'],
    );
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toContain('destination1 accepted none of 1000 frames');
    expect(stderr).toContain('ethtool -K PEER gro on');
  });

  test.each([
    { args: ['--dst', SINK, '--size', '1515'], says: 'eth0 takes at most 1514', code: 2 },
    { args: ['--dst', '10.0.0.77'], says: 'no MAC address towards 10.0.0.77', code: 1 },
    { args: ['--dst', SINK_6], says: 'eth0 has no address that could be', code: 1 },
    { args: ['--dst', SINK, '--flows', '40000'], says: 'make only 32,768', code: 2 },
    { args: ['--dst', SINK, '--threads', '1000'], says: 'there are', code: 2 },
    { args: ['--dst', SINK, '--src', '::1'], says: '--src is IPv6', code: 2 },
    {
      args: ['--dst', SINK, '--count', '5', '--duration', '5s'],
      says: 'cannot be used with',
      code: 2,
    },
  ])('$args is refused', async ({ args, says, code }) => {
    const { exitCode, stdout, stderr } = await flood('client', 'eth0', ...args);
    expect({ exitCode, stdout }).toEqual({ exitCode: code, stdout: '' });
    expect(stderr).toContain(says);
  });
});
