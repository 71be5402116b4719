// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * l4lb-doctor: each row breaks one thing. The doctor then finds just that, and finds
 * nothing once the command that it names has run.
 */
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { Role } from './network.js';
import { Network, ROOT } from './network.js';

const VIP = '10.0.100.1';
const WAY = `${VIP}:80/udp`;
const PASS = 'testbed/pass.o';
const GOOD = '10.0.1.1, 02:00:0a:00:01:01\n10.0.1.2, 02:00:0a:00:01:02\n';
/** Long enough for a hundred packets. */
const INTERVAL = '0.4';

interface Finding {
  check: string;
  severity: 'finding' | 'remark';
  finding: string;
  evidence: string;
  fix: string;
}
interface Answer {
  exitCode: number;
  findings: Finding[];
  well: { check: string; text: string }[];
}

let network: Network;
let folder: string;
let file: string;

beforeAll(async () => {
  network = await Network.up('--count', '2', '--vip', VIP);
  folder = mkdtempSync(join(tmpdir(), 'l4lb-doctor-'));
  file = join(folder, 'web.csv');
  writeFileSync(file, GOOD);
  writeFileSync(
    join(folder, 'web.toml'),
    `[[service]]\nname = "web"\naddress = "${VIP}"\nports = 80\nprotocol = "udp"\nslots = 256\nfile = "web.csv"\n`,
  );
  for (const name of ['l4lb-load', 'l4lb-map', 'l4lb-doctor']) {
    symlinkSync(`${ROOT}bin/${name}.js`, join(folder, name));
  }
  for (const role of ['destination1', 'destination2'] as const) {
    await shell(role, 'l4lb-load -i eth0 --decap');
  }
  await shell('balancer', reload());
});
afterAll(async () => {
  await network.down();
  rmSync(folder, { recursive: true });
});

/** One of our commands, maybe with rows piped into it, in words that no shell changes. */
const OWN =
  /^(?:printf '(?<rows>[^']*)' \| )?l4lb-(?<tool>load|map) (?<args>[^'"<>|$&]*?)(?: >\/dev\/null)?$/;

/**
 * Runs a command that the doctor names, with few slots, which are read quickly. A command
 * that needs a shell runs in one; our other commands run in a node that runs already.
 */
async function shell(role: Role, command: string): Promise<void> {
  const line = command.replaceAll('-f FILE', `-f ${file} --slots 256`);
  for (const part of line.split(/; | && /)) {
    const { rows = '', tool, args } = OWN.exec(part)?.groups ?? {};
    if (tool === undefined || args === undefined || args.includes('.toml')) {
      const inFolder = `PATH=${folder}:$PATH; cd ${folder}; ${part}`;
      await network.shell(role, inFolder);
      continue;
    }
    const input = rows.replaceAll('\\n', '\n');
    const words = args.split(' ').filter(Boolean);
    const done = await network.run(role, `bin/l4lb-${tool}.js`, words, input);
    expect([part, done.exitCode, done.exitCode === 0 ? '' : done.stderr]).toEqual([
      part,
      0,
      '',
    ]);
  }
}

function reload(way = WAY, rows = GOOD, more = ''): string {
  return (
    'l4lb-load -i eth0 --off >/dev/null; ' +
    `printf '${rows.replaceAll('\n', '\\n')}' | ` +
    `l4lb-load -i eth0 -f - --vip ${way} --slots 256 ${more}`
  );
}

/** Gives the tables one service only, whatever was there. */
const ALL_ANEW = 'l4lb-map -i eth0 -c web.toml';

/** Fills the tables anew, which takes a fraction of the time to load. */
function refill(rows = GOOD, more = ''): string {
  return (
    `printf '${rows.replaceAll('\n', '\\n')}' | ` +
    `l4lb-map -i eth0 -f - --vip ${WAY} ${more}`
  );
}

/**
 * Examines while packets of this size come to the service; none come if the size is 0.
 */
async function doctor(size?: number, ...args: string[]): Promise<Answer> {
  return doctorUnder({ size }, args);
}

interface Load {
  /** Bytes of data in the packets. */
  size?: number | undefined;
  /** Microseconds between two of them. */
  every?: number | undefined;
}

async function doctorUnder(
  { size = 100, every = 2000 }: Load,
  args: readonly string[],
): Promise<Answer> {
  const udp = ['-2', '-p', '80', '-d', String(size), '--rand-source', '-q'];
  const pace = ['-i', `u${every}`, '-c', '5000'];
  const flood =
    size === 0 ? undefined : network.start('client', 'hping3', VIP, ...udp, ...pace);
  try {
    const all = ['-i', 'eth0', '--json', '--interval', INTERVAL, ...args];
    const finished = await network.run('balancer', 'bin/l4lb-doctor.js', all);
    if (finished.stdout === '') throw new Error(finished.stderr);
    const { findings, well } = JSON.parse(finished.stdout) as Answer;
    return { exitCode: finished.exitCode, findings, well };
  } finally {
    flood?.kill('SIGKILL');
  }
}

const HEALTHY = { exitCode: 0, findings: [] };

/** Words after the command say when it is right. */
function commandOf({ fix }: Finding): string {
  return fix.split(', ')[0] ?? '';
}

test('a network that works is healthy, and everything was looked at', async () => {
  const answer = await doctor();
  expect(answer).toMatchObject(HEALTHY);
  expect(answer.well.map(({ check }) => check)).toEqual(
    expect.arrayContaining([
      ...['tunnel', 'rp_filter', 'service address'],
      ...['veth peer', 'veth offloads', 'drops'],
    ]),
  );
});

interface Row {
  what: string;
  /** The only check that finds something. */
  check: string;
  role: Role;
  broken: string;
  evidence: string | RegExp;
  /** The beginning of the fix. */
  fix: string;
  severity?: 'remark';
  /** Where the command of the fix runs, after which all is well. */
  fixIn?: Role;
  /** Brings the network back to its first state, if the fix does not. */
  undo?: string;
  args?: string[];
  /** Bytes of data in the packets. */
  size?: number;
  /** Microseconds between two packets. */
  every?: number;
}

async function judge(row: Row): Promise<void> {
  await shell(row.role, row.broken);
  const { exitCode, findings } = await doctorUnder(row, row.args ?? []);
  expect(findings.map(({ check, severity }) => [severity, check])).toEqual([
    [row.severity ?? 'finding', row.check],
  ]);
  expect(exitCode).toBe(row.severity === 'remark' ? 0 : 1);
  const [finding] = findings as [Finding];
  if (typeof row.evidence === 'string') expect(finding.evidence).toContain(row.evidence);
  else expect(finding.evidence).toMatch(row.evidence);
  expect(finding.fix.startsWith(row.fix)).toBe(true);
  if (row.fixIn) {
    await shell(row.fixIn, commandOf(finding));
    expect(await doctor()).toMatchObject(HEALTHY);
  }
  if (row.undo) await shell(row.role, row.undo);
}

/**
 * Repairs the network after a row that failed midway, so that the next rows do not
 * suffer.
 */
async function heal(): Promise<void> {
  const pass = `ip -force link set dev balancer xdpdrv obj ${ROOT}${PASS} sec xdp`;
  await shell(
    'switch',
    `ip link set dev balancer up mtu 1500; ethtool -K balancer tx off gro off; ${pass}`,
  );
  await shell(
    'destination2',
    'sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0 net.ipv4.conf.all.arp_ignore=1; ' +
      'ip addr replace 10.0.1.2/16 dev eth0; ' +
      `ip addr flush dev eth0 to ${VIP}; ip addr replace ${VIP}/32 dev lo; ` +
      'l4lb-load -i eth0 --decap --replace',
  );
  const device = 'address 02:00:00:00:00:04 mtu 1500 up';
  await shell(
    'balancer',
    `ip link set dev eth0 ${device}; ip link set dev eth0 xdpdrv off; ${reload()}`,
  );
}

describe('finds', () => {
  test.each<Row>([
    // None of the first rows needs the program, so it is loaded only when one does.
    {
      what: 'no program',
      check: 'program',
      role: 'balancer',
      broken: 'l4lb-load -i eth0 --off',
      evidence: 'lists none',
      fix: 'l4lb-load -i eth0 -f FILE',
    },
    {
      what: 'a program of another release',
      check: 'program',
      role: 'balancer',
      broken:
        `clang -O2 -g -target bpf -I/usr/include/$(uname -m)-linux-gnu -Dpass=l4lb_9 -c ${ROOT}testbed/pass.c -o old.o; ` +
        'l4lb-load -i eth0 --off; ip link set dev eth0 xdpdrv obj old.o sec xdp',
      evidence: 'its ABI version is 9, and the tools have 2',
      fix: 'l4lb-load -i eth0 --replace',
      undo: 'ip link set dev eth0 xdpdrv off',
    },
    {
      what: 'the decapsulation program in place of the balancer',
      check: 'program',
      role: 'balancer',
      broken: 'l4lb-load -i eth0 --off; l4lb-load -i eth0 --decap',
      evidence: 'l4lb_decap_1, which removes the outer header',
      fix: 'l4lb-load -i eth0 --off && l4lb-load -i eth0 -f FILE',
    },
    {
      what: "another tool's program",
      check: 'program',
      role: 'balancer',
      broken: `l4lb-load -i eth0 --off; ip link set dev eth0 xdpdrv obj ${ROOT}${PASS} sec xdp`,
      evidence: /program \d+ in mode xdpdrv is pass/,
      fix: 'ip link set dev eth0 xdpdrv off && l4lb-load -i eth0 -f FILE',
      fixIn: 'balancer',
      undo: ALL_ANEW,
    },
    {
      what: 'an empty table',
      check: 'table',
      role: 'balancer',
      broken: 'l4lb-load -i eth0 --off; l4lb-load -i eth0',
      evidence: 'lists no service',
      fix: 'l4lb-map -i eth0 -f FILE',
      fixIn: 'balancer',
      undo: ALL_ANEW,
    },
    {
      what: 'weights that are all 0',
      check: 'table',
      role: 'balancer',
      broken: `printf '${GOOD.replaceAll('\n', ',0\\n')}' | l4lb-map -i eth0 -f -`,
      evidence: '256 of 256 slots are empty',
      fix: 'l4lb-map -i eth0 -f FILE, with a row whose weight is not 0',
      fixIn: 'balancer',
    },
    {
      what: 'packets that match no service',
      check: 'matches',
      role: 'balancer',
      // It is the same service as long as one of its ways stays.
      broken: [`${WAY} ${VIP}:81/udp`, `${VIP}:81/udp`]
        .map((ways) => `l4lb-map -i eth0 -f FILE --vip ${ways}`)
        .join('; '),
      evidence: /packets to 10\.0\.100\.1:80\/udp.*\([\d,]+ "not ours"/,
      fix: `l4lb-map -i eth0 -f FILE --vip ${VIP}:81/udp ${WAY}`,
      fixIn: 'balancer',
      undo: refill(),
    },
    {
      what: 'a veth whose other end has no program',
      check: 'veth peer',
      role: 'switch',
      broken: 'ip link set dev balancer xdpdrv off',
      evidence: /lists none in driver mode; \d+ frames could not be handed over/,
      fix: 'ip -n l4lb-',
      fixIn: 'balancer',
    },
    {
      what: 'a veth whose other end has GRO alone',
      check: 'veth peer',
      role: 'switch',
      broken: 'ip link set dev balancer xdpdrv off; ethtool -K balancer gro on',
      // What XDP sends fills the ring of the other end, and then ARP is lost as well.
      every: 50_000,
      evidence: 'it has GRO, which is not enough',
      fix: 'ip -n l4lb-',
      fixIn: 'balancer',
      undo: 'ethtool -K balancer gro off',
    },
    {
      what: 'a veth whose other end leaves checksums out',
      check: 'veth offloads',
      severity: 'remark',
      role: 'switch',
      broken: 'ethtool -K balancer tx on',
      evidence: 'ethtool -k balancer says that tx-checksumming is on',
      fix: 'ip netns exec l4lb-',
      fixIn: 'balancer',
    },
    {
      what: 'a device that drops',
      check: 'drops',
      role: 'switch',
      broken: 'ip link set dev balancer mtu 1310',
      // It fits, and with an outer header no longer does.
      size: 1280,
      evidence:
        /rx_queue_\d+_xdp_tx_errors rose by \d+.*; the other end, balancer, has an MTU of 1310, and eth0 one of 1500$/,
      fix: 'ip -n l4lb-',
      fixIn: 'balancer',
    },
    {
      what: 'an MTU that is smaller than in the table',
      check: 'mtu',
      role: 'balancer',
      broken: 'ip link set dev eth0 mtu 1400',
      evidence: 'the device has 1400, the table was filled for 1500',
      fix: 'l4lb-map -i eth0 -f FILE',
      fixIn: 'balancer',
      undo: 'ip link set dev eth0 mtu 1500; l4lb-map -i eth0 -f FILE',
    },
    {
      what: 'an MTU that is too small for the packets that come',
      check: 'mtu',
      role: 'balancer',
      broken: 'ip link set dev eth0 mtu 1300; l4lb-map -i eth0 -f FILE',
      size: 1262,
      evidence: 'packets of more than 1280 bytes came',
      fix: 'ip link set dev eth0 mtu 1520 && l4lb-map -i eth0 -f FILE',
      fixIn: 'balancer',
      undo: refill(),
    },
    {
      what: "a destination's wrong MAC",
      check: 'mac',
      role: 'balancer',
      broken: refill(GOOD.replace('01:02\n', '01:99\n')),
      evidence:
        'it has 02:00:0a:00:01:99; ip neigh show dev eth0 has 10.0.1.2 at 02:00:0a:00:01:02',
      fix: 'l4lb-map -i eth0 -f FILE, with the row 10.0.1.2, 02:00:0a:00:01:02',
      fixIn: 'balancer',
    },
    {
      what: 'a destination that does not answer',
      check: 'answers',
      role: 'destination2',
      broken: 'ip addr del 10.0.1.2/16 dev eth0',
      evidence: 'asked for its MAC on eth0, and nobody answered',
      fix: 'start 10.0.1.2, or give it weight 0',
      undo: 'ip addr add 10.0.1.2/16 dev eth0',
    },
    {
      what: 'a source that is not on this host',
      check: 'source',
      role: 'balancer',
      broken: 'l4lb-map -i eth0 -f FILE -s 10.0.0.99',
      evidence: 'packets to 10.0.1.1, 10.0.1.2 carry it',
      fix: 'l4lb-map -i eth0 -f FILE -s 10.0.0.4',
      fixIn: 'balancer',
    },
    {
      what: 'a destination without a tunnel',
      check: 'tunnel',
      role: 'destination2',
      broken: 'l4lb-load -i eth0 --off',
      evidence:
        /no tunnel device is up, and eth0 has no l4lb_decap; \d+ packets? of ICMP "protocol 4 unreachable"/,
      // A host sends one such answer a second.
      args: ['--interval', '1.5'],
      fix: 'nsenter --net=/run/netns/l4lb-',
      fixIn: 'balancer',
    },
    {
      what: 'rp_filter at a destination',
      check: 'rp_filter',
      role: 'destination2',
      broken: 'sysctl -qw net.ipv4.conf.eth0.rp_filter=1',
      evidence: 'rp_filter is strict on eth0',
      fix: 'ip netns exec l4lb-',
      fixIn: 'balancer',
    },
    {
      what: "a destination without the service's address",
      check: 'service address',
      role: 'destination2',
      broken: `ip addr del ${VIP}/32 dev lo`,
      evidence: 'does not list it',
      fix: 'ip -n l4lb-',
      fixIn: 'balancer',
    },
    {
      what: 'counters that stand still',
      check: 'counters',
      role: 'balancer',
      broken: 'true',
      size: 0,
      evidence: /^no packet came to eth0 in 0\.\d s$/,
      fix: `at a client: ip route get ${VIP}`,
      undo: 'true',
    },
    {
      what: 'an offload that is refused',
      check: 'offload',
      role: 'balancer',
      broken: 'true',
      args: ['-m', 'xdpoffload'],
      evidence:
        /the kernel does not take l4lb_xdp\.o: .*; its driver veth does not support eBPF offload/,
      fix: 'none needed: it runs in driver mode',
      undo: 'true',
    },
    {
      what: 'a device that is down',
      check: 'device',
      role: 'balancer',
      broken: 'ip link set dev eth0 down',
      evidence: 'does not say UP',
      fix: 'ip link set dev eth0 up',
      fixIn: 'balancer',
    },
    {
      what: 'a device without carrier',
      check: 'device',
      role: 'switch',
      broken: 'ip link set dev balancer down',
      evidence: 'does not say LOWER_UP',
      fix: 'ip -n l4lb-',
      fixIn: 'balancer',
    },
    {
      what: 'another MAC of the device than in the table',
      check: 'device mac',
      role: 'balancer',
      broken: 'ip link set dev eth0 address 02:00:00:00:00:44',
      evidence: 'the device has 02:00:00:00:00:44 and the table 02:00:00:00:00:04',
      fix: 'l4lb-map -i eth0 -f FILE',
      undo: 'ip link set dev eth0 address 02:00:00:00:00:04',
    },
  ])(
    '$what',
    async (row) => {
      try {
        await judge(row);
      } catch (error) {
        await heal();
        throw error;
      }
    },
    60_000,
  );

  test('generic mode where driver mode would do, and TSO at the other end of the veth then', async () => {
    await shell('balancer', reload(WAY, GOOD, '-m xdpgeneric'));
    await judge({
      what: 'generic mode',
      check: 'mode',
      role: 'balancer',
      broken: 'true',
      evidence: 'the driver veth supports XDP',
      fix: 'l4lb-map -i eth0 --export > l4lb.toml',
    });
    await shell('switch', 'ethtool -K balancer tx on tso on');
    const { findings } = await doctor();
    const [mode, tso, checksums] = findings;
    expect(findings.map(({ check, severity }) => [severity, check])).toEqual([
      ['finding', 'mode'],
      ['finding', 'veth offloads'],
      ['remark', 'veth offloads'],
    ]);
    expect(tso?.evidence).toContain('says that tx-tcp-segmentation is on');
    await shell('balancer', `${tso?.fix ?? ''}; ${checksums?.fix ?? ''}`);
    await shell('balancer', mode?.fix ?? '');
    expect(await doctor()).toMatchObject(HEALTHY);
  });

  test('tags that are taken off, which is a remark and no finding', async () => {
    await shell('balancer', 'ethtool -K eth0 rxvlan on');
    const { exitCode, findings } = await doctor();
    expect(exitCode).toBe(0);
    expect(findings).toMatchObject([
      { check: 'vlan', severity: 'remark', fix: 'ethtool -K eth0 rxvlan off' },
    ]);
    await shell('balancer', findings[0]?.fix ?? '');
    expect((await doctor()).findings).toEqual([]);
  });
});

describe('of a service without a tunnel finds', () => {
  const LINK = refill(GOOD, '--forward link');
  const ADDR = `ip addr del ${VIP}/32 dev`;

  beforeAll(async () => {
    await shell('destination2', 'l4lb-load -i eth0 --off');
    await shell('balancer', LINK);
  });
  afterAll(async () => {
    await heal();
  });

  test('nothing where all is well, although no program decapsulates', async () => {
    const answer = await doctor();
    expect(answer).toMatchObject(HEALTHY);
    const checks = answer.well.map(({ check }) => check);
    expect(checks).toEqual(
      expect.arrayContaining(['link', 'rp_filter', 'service address', 'mtu']),
    );
    expect(checks).not.toContain('tunnel');
    expect(checks).not.toContain('source');
  });

  test.each<Row>([
    {
      what: 'a router on the way',
      check: 'link',
      role: 'balancer',
      broken:
        'ip route add 10.0.1.2/32 via 10.0.1.1 dev eth0; ' +
        refill(GOOD.replace('01:02\n', '01:01\n'), '--forward link'),
      evidence: 'ip route get 10.0.1.2 oif eth0 names the router 10.0.1.1',
      fix: 'l4lb-map -i eth0 -f FILE --forward tunnel, or put 10.0.1.2 on the link of eth0',
      undo: `ip route del 10.0.1.2/32; ${LINK}`,
    },
    {
      what: 'a destination that answers ARP for the service',
      check: 'link',
      severity: 'remark',
      role: 'destination2',
      broken: 'sysctl -qw net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.eth0.arp_ignore=0',
      evidence: 'arp_ignore is 0 for eth0',
      fix: 'ip netns exec l4lb-',
      fixIn: 'balancer',
    },
    {
      what: "the service's address on the device itself",
      check: 'link',
      severity: 'remark',
      role: 'destination2',
      broken: `${ADDR} lo; ip addr add ${VIP}/32 dev eth0`,
      evidence: 'eth0 has the address itself',
      fix: 'ip -n l4lb-',
      fixIn: 'balancer',
    },
    {
      what: 'rp_filter at the device',
      check: 'rp_filter',
      role: 'destination2',
      broken: 'sysctl -qw net.ipv4.conf.eth0.rp_filter=1',
      evidence: 'rp_filter is strict on eth0',
      fix: 'ip netns exec l4lb-',
      fixIn: 'balancer',
    },
  ])(
    '$what',
    async (row) => {
      try {
        await judge(row);
      } catch (error) {
        await heal();
        await shell('balancer', LINK);
        throw error;
      }
    },
    60_000,
  );
});

test('for people it says what was found, how one sees it, and what fixes it', async () => {
  await shell('balancer', 'l4lb-load -i eth0 --off');
  const found = await network.runProcess('balancer', 'bin/l4lb.js', [
    'doctor',
    '-i',
    'eth0',
  ]);
  expect(found.exitCode).toBe(1);
  expect(found.stdout.split('\n').slice(0, 5)).toEqual([
    'eth0: 1 finding',
    '',
    'finding (program): no XDP program on eth0',
    '  evidence: ip link show dev eth0 lists none',
    '  fix: l4lb-load -i eth0 -f FILE',
  ]);
  expect(found.stdout).toContain('Checked, and well:\n  device ');
});

test('a device that is not there is a failure, and no finding', async () => {
  const args = ['-i', 'eth9', '--json'];
  const answer = await network.runProcess('balancer', 'bin/l4lb-doctor.js', args);
  expect(answer).toMatchObject({ exitCode: 1, stdout: '' });
  expect(answer.stderr).toContain('l4lb-doctor: no device eth9');
});
