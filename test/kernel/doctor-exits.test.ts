// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * l4lb-doctor where destinations are behind other devices: each row breaks one thing. The
 * doctor then finds just that. Once the command that it names has run, it finds nothing,
 * or where answers were lost, all come.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { Role } from './network.js';
import { Network } from './network.js';

const VIP = '10.0.0.1';
const ECHO =
  `const s = require('dgram').createSocket('udp4');` +
  `s.on('message', (text, { port, address }) => s.send(text, port, address));` +
  `s.bind(80, '${VIP}');`;
const PASS = 'ip link set dev eth0 xdpdrv obj testbed/pass.o sec xdp';

/** What the network has at eth2, for a row that makes it anew. */
const IN = 'at=$(ip netns identify | sed s/-balancer$//)';
const OWN = 'ip link set dev eth2 up; ip addr add 10.2.1.1/24 dev eth2';
const THEIRS =
  'there="ip -n $at-destination2"; $there link set dev eth0 up; ' +
  '$there addr add 10.2.1.2/24 dev eth0; $there route add default via 10.2.1.1; ' +
  'ip netns exec $at-destination2 ethtool -K eth0 gro on >/dev/null';

interface Finding {
  check: string;
  severity: 'finding' | 'remark';
  finding: string;
  evidence: string;
  fix: string;
}
interface Answer {
  findings: Finding[];
  well: { check: string; text: string }[];
}

let network: Network;
let folder: string;
let file: string;

beforeAll(async () => {
  network = await Network.up('--gateway', '--count', '2');
  folder = mkdtempSync(join(tmpdir(), 'l4lb-doctor-exits-'));
  file = join(folder, 'web.csv');
  writeFileSync(file, '10.2.0.2\n10.2.1.2\n');
  for (const role of ['destination1', 'destination2'] as const) {
    network.start(role, 'node', '-e', ECHO);
  }
  await shell('client', PASS);
  const more = ['--vip', `${VIP}:80/udp`, '--slots', '256', '--forward', 'link'];
  const loaded = await network.l4lb('load', '-f', file, ...more);
  expect(loaded).toMatchObject({ exitCode: 0 });
});
afterAll(async () => {
  await network.down();
  rmSync(folder, { recursive: true });
});

/** Runs a command that the doctor names, or that breaks something. */
async function shell(role: Role, command: string): Promise<string> {
  const fill = /^(?<before>.*?)l4lb-map -i eth0 -f FILE$/.exec(command);
  const plain = fill ? (fill.groups?.before ?? '').replace(/; $/, '') : command;
  const stdout = await network.shell(role, plain || 'true');
  if (fill) expect(await network.l4lb('map', '-f', file)).toMatchObject({ exitCode: 0 });
  return stdout;
}

/** Examines while packets of this size come. Nobody watches here, of which one test speaks. */
async function doctor(size?: number): Promise<Answer> {
  const { findings, well } = await doctorWhole(size);
  return { findings: findings.filter(({ check }) => check !== 'neighbours'), well };
}

async function doctorWhole(size = 100): Promise<Answer> {
  const udp = ['-2', '-p', '80', '-d', String(size), '-q', '-i', 'u2000', '-c', '5000'];
  const flood = network.start('client', 'hping3', VIP, ...udp);
  try {
    const { stdout, stderr } = await network.l4lb(
      'doctor',
      '--json',
      '--interval',
      '0.4',
    );
    if (stdout === '') throw new Error(stderr);
    return JSON.parse(stdout) as Answer;
  } finally {
    flood.kill('SIGKILL');
  }
}

const ASKED = 12;

/** How many of some questions the client gets an answer to. */
async function answered(): Promise<number> {
  const ask = `exec 3<>/dev/udp/${VIP}/80; echo x >&3; timeout 0.4 head -c 1 <&3`;
  const all = `for i in {1..${ASKED}}; do (${ask}) & done; wait`;
  return (await shell('client', all)).replaceAll('\n', '').length;
}

test('a gateway that works is healthy, and everything was looked at', async () => {
  const { findings, well } = await doctor();
  expect(findings).toEqual([]);
  const said = new Map(well.map(({ check, text }) => [check, text]));
  expect(said.get('answers')).toBe('a neighbour answers on the way to 2 destinations');
  expect(said.get('mac')).toBe('table and neighbour table agree on 2 MACs');
  expect(said.get('exits')).toBe('packets leave by eth1, eth2, as the table says');
  expect(said.get('exit veth')).toBe('the other end of eth1, eth2 takes what XDP sends');
  expect(said.get('exit drops')).toBe('eth1, eth2 dropped nothing');
  expect(said.get('way back')).toMatch(/^\d+ answers came in by eth1, eth2, and/);
});

interface Row {
  what: string;
  check: string;
  role: Role;
  broken: string;
  severity?: 'remark';
  evidence: RegExp;
  /** The command that fixes it, and runs at the balancer. */
  fix: RegExp;
  /** Whether answers are lost meanwhile. */
  isSilent?: true;
  size?: number;
  /** Where the fix leaves something as it was not before. */
  undo?: string;
}

describe('finds', () => {
  test.each<Row>([
    {
      what: 'a device that is down',
      check: 'exits',
      role: 'balancer',
      broken: 'ip link set dev eth1 down',
      evidence: /^ip link show dev eth1 does not say UP$/,
      fix: /^ip link set dev eth1 up$/,
      isSilent: true,
    },
    {
      what: 'a device without a carrier',
      check: 'exits',
      role: 'destination2',
      broken: 'ip link set dev eth0 down',
      evidence: /^ip link show dev eth2 does not say LOWER_UP/,
      fix: /^ip -n l4lb-\S+-destination2 link set dev eth0 up$/,
      undo: 'ip route add default via 10.2.1.1',
    },
    {
      what: 'a MAC that is not in the table',
      check: 'exits',
      role: 'balancer',
      broken: 'ip link set dev eth1 address 02:00:00:00:02:77',
      severity: 'remark',
      evidence: /^the device has 02:00:00:00:02:77 and the table 02:00:00:00:02:01,/,
      fix: /^l4lb-map -i eth0 -f FILE$/,
      undo: 'ip link set dev eth1 address 02:00:00:00:02:01; l4lb-map -i eth0 -f FILE',
    },
    {
      what: 'an MTU that is smaller than in the table',
      check: 'exits',
      role: 'balancer',
      broken: 'ip link set dev eth1 mtu 1400',
      evidence: /^the device has 1400, the table was filled for 1500$/,
      fix: /^l4lb-map -i eth0 -f FILE$/,
      undo: 'ip link set dev eth1 mtu 1500; l4lb-map -i eth0 -f FILE',
    },
    {
      what: 'a veth whose other end has neither XDP nor GRO',
      check: 'exit veth',
      role: 'destination1',
      broken: 'ethtool -K eth0 gro off',
      evidence:
        /lists no program in driver mode, and ethtool -k says that GRO is off; \d+ packets were balanced to it during the check, and it sent \d+$/,
      fix: /^ip netns exec l4lb-\S+-destination1 ethtool -K eth0 gro on$/,
      isSilent: true,
    },
    {
      what: 'a device that drops',
      check: 'exit drops',
      role: 'destination1',
      broken: 'ip link set dev eth0 mtu 1300',
      size: 1400,
      evidence: /tx_queue_\d+_xdp_xmit_errors rose by \d+.*has an MTU of 1300/,
      fix: /^ip -n l4lb-\S+-destination1 link set dev eth0 mtu 1500$/,
    },
    {
      what: 'answers whose source is an own address',
      check: 'way back',
      role: 'balancer',
      broken: 'sysctl -qw net.ipv4.conf.all.accept_local=0',
      evidence: /accept_local is 0 on eth1, eth2,.*; \d+ answers came in/,
      fix: /^sysctl -w net.ipv4.conf.eth1.accept_local=1 net.ipv4.conf.eth2.accept_local=1$/,
      isSilent: true,
      undo: 'sysctl -qw net.ipv4.conf.all.accept_local=1',
    },
    {
      what: 'a strict rp_filter',
      check: 'way back',
      role: 'balancer',
      broken: 'sysctl -qw net.ipv4.conf.eth1.rp_filter=1',
      evidence: /^rp_filter is strict on eth1,.*; \d+ answers came in/,
      fix: /^sysctl -w net.ipv4.conf.eth1.rp_filter=2$/,
      isSilent: true,
    },
    {
      what: 'a kernel that does not forward',
      check: 'way back',
      role: 'balancer',
      broken: 'sysctl -qw net.ipv4.ip_forward=0',
      evidence: /^forwarding of IPv4 is off on eth1, eth2; \d+ answers came in/,
      fix: /^sysctl -w net.ipv4.ip_forward=1$/,
      isSilent: true,
    },
    {
      what: 'a client that does not get what the gateway answers itself',
      check: 'veth peer',
      role: 'client',
      broken: 'ip link set dev eth0 xdpdrv off',
      severity: 'remark',
      evidence: /all destinations are behind other devices/,
      fix: /^ip -n l4lb-\S+-client link set dev eth0 xdpdrv obj \S+pass.o sec xdp$/,
    },
    {
      what: 'a device that went to another namespace and came back',
      check: 'exits',
      role: 'balancer',
      broken: `${IN}; ip link set dev eth2 netns $at-client; ip -n $at-client link set dev eth2 netns $at-balancer; ${OWN}`,
      evidence:
        /^eth2 is there, but it was removed, or moved.*; \d+ packets were dropped/,
      fix: /^l4lb-map -i eth0 -f FILE$/,
      isSilent: true,
    },
    {
      what: 'a device that was made anew',
      check: 'exits',
      role: 'balancer',
      broken: `${IN}; ip link del dev eth2; ip link add name eth2 type veth peer name eth0 netns $at-destination2; ${OWN}; ${THEIRS}`,
      evidence:
        /and ip link does not list it; the kernel reaches them by eth2 now; \d+ packets were dropped/,
      fix: /^l4lb-map -i eth0 -f FILE$/,
      isSilent: true,
    },
  ])('$what', async ({ check, role, broken, evidence, fix, severity, ...row }) => {
    await shell(role, broken);
    const { findings } = await doctor(row.size);
    expect(findings).toEqual([
      expect.objectContaining({
        check,
        severity: severity ?? 'finding',
        evidence: expect.stringMatching(evidence),
        fix: expect.stringMatching(fix),
      }),
    ]);
    if (row.isSilent) expect(await answered()).toBeLessThan(ASKED);
    await shell('balancer', findings[0]?.fix ?? '');
    if (row.isSilent) expect(await answered()).toBe(ASKED);
    else expect((await doctor()).findings).toEqual([]);
    if (row.undo) await shell(role, row.undo);
  });

  test('a neighbour that neither the kernel nor l4lb watch keeps', async () => {
    const { findings } = await doctorWhole();
    expect(findings).toEqual([
      expect.objectContaining({
        check: 'neighbours',
        severity: 'remark',
        finding: 'nobody notices when one of 10.2.0.2, 10.2.1.2 gets another MAC',
        fix: expect.stringContaining('ip neigh replace 10.2.0.2 dev eth1 managed'),
      }),
    ]);
    const keep = 'ip neigh replace 10.2.0.2 dev eth1 managed; ';
    await shell('balancer', `${keep}ip neigh replace 10.2.1.2 dev eth2 managed`);
    const after = await doctorWhole();
    expect(after.findings).toEqual([]);
    expect(after.well.map(({ check }) => check)).toContain('neighbours');
    // The kernel forgets it with the entry.
    await shell('balancer', 'ip neigh del 10.2.1.2 dev eth2');
    const alone = { finding: 'nobody notices when 10.2.1.2 gets another MAC' };
    expect((await doctorWhole()).findings).toMatchObject([alone]);
  });

  test('nothing once all of that is mended', async () => {
    expect((await doctor()).findings).toEqual([]);
  });

  test('addresses of full-nat that nobody finds here, and two services that share them', async () => {
    network.start('destination1', 'node', '-e', ECHO.replace(`80, '${VIP}'`, '81'));
    const one = join(folder, 'full-nat.csv');
    writeFileSync(one, '10.2.0.2:81\n');
    for (const port of [81, 82]) {
      const way = ['--vip', `${VIP}:${port}/udp`, '--slots', '16'];
      const from = ['--forward', 'full-nat', '--source', '10.2.0.8/31'];
      const filled = await network.l4lb('map', '-f', one, ...way, ...from);
      expect(filled).toMatchObject({ exitCode: 0 });
    }
    const share = ['-i', 'eth1', '--share', 'eth0'];
    await network.expectOk('balancer', 'bin/l4lb-load.js', ...share);
    const ask = `exec 3<>/dev/udp/${VIP}/81; echo x >&3; timeout 0.4 head -c 1 <&3`;
    expect(await shell('client', `${ask} || true`)).toBe('');
    const shared = expect.objectContaining({ check: 'ports', severity: 'remark' });
    const { findings } = await doctor();
    expect(findings).toEqual([
      expect.objectContaining({
        ...{ check: 'pools', severity: 'finding' },
        evidence: expect.stringMatching(/^eth1 has 10\.2\.0\.1\/24,.* 2 addresses of/),
        fix: 'for one in 10.2.0.8 10.2.0.9; do ip addr add $one/24 dev eth1; done',
      }),
      shared,
    ]);
    await shell('balancer', findings[0]?.fix ?? '');
    // The destination asks for the address once a second, and keeps its answer until then.
    const again = `for try in {1..10}; do (${ask}) && break; done`;
    expect(await shell('client', again)).toMatch(/^x/);
    // Addresses that the kernel does not choose for what this host sends stay a pool.
    const refill = ['map', '-f', one, '--vip', `${VIP}:81/udp`] as const;
    expect((await network.l4lb(...refill)).stderr).toBe('');
    const after = await doctor();
    expect(after.findings).toEqual([shared]);
    expect(after.well).toContainEqual({
      ...{ check: 'pools', text: 'answers to 10.2.0.8/31 find this host' },
    });
    const { stdout } = await network.l4lb('load', '--status');
    expect(
      stdout.match(/ {4}from 10\.2\.0\.8\/31: .* of 65,536 ports are taken/g),
    ).toHaveLength(2);
    const sample = await network.sample();
    const back = sample.destinations.filter(({ answers }) => (answers?.packets ?? 0) > 0);
    // What comes by the link meets the program now, too.
    expect(back.map(({ address }) => address)).toEqual(['10.2.0.2', '10.2.0.2:81']);
    expect(sample).toMatchObject({ pools: [{ source: '10.2.0.8/31', ports: 65_536 }] });
    // One that it chooses is none any more, though the service has the pool already.
    await shell('balancer', 'ip addr add 10.2.0.9/30 dev lo');
    expect((await network.l4lb(...refill)).stderr).toContain(
      "10.2.0.8/31 has 10.2.0.9 of lo, which is the host's own",
    );
  });
});
