// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The bridge testbed: its page, command for command, and that it leaves nothing and takes
 * nothing that is not its own. A namespace without addresses stands in for the machine.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { execa } from 'execa';

import { install, runPages } from './guide-pages.js';
import type { Finished } from './network.js';
import { Network, ROOT } from './network.js';

const PREFIX = `t${process.pid}-`;
/** `make test-all` kills it at each change that it makes. */
const isWhole = process.env.L4LB_TEST === 'all';

let network: Network;
const scratch = mkdtempSync(join(tmpdir(), 'l4lb-bridge-'));

beforeAll(async () => {
  network = await Network.up();
  await install();
});
afterAll(async () => {
  await bridge('down');
  await network.down();
  rmSync(scratch, { recursive: true });
});

runPages([
  {
    page: 'docs/guide/bridge.md',
    words: ['testbed/bridge.sh', 'ping', 'arping', 'h2', 'h3', 'lb', 'xdp_lb', 'until'],
    machine: {
      namespace: () => network.namespaceOf('switch'),
      env: { L4LB_BRIDGE_PREFIX: PREFIX },
      before: '. testbed/bridge-aliases.sh',
      prefix: PREFIX,
    },
  },
]);

/** Runs lines of shell on the machine, and returns what they print. */
async function machine(lines: string): Promise<string> {
  return (await network.expectOk('switch', 'bash', '-ec', lines)).stdout;
}

async function bridge(words: string, prefix = PREFIX, path = ''): Promise<Finished> {
  return network.run('switch', 'env', [
    `L4LB_BRIDGE_PREFIX=${prefix}`,
    `PATH=${path}${process.env.PATH ?? ''}`,
    'testbed/bridge.sh',
    ...words.split(' '),
  ]);
}

async function expectUp(words = 'up'): Promise<string> {
  const { exitCode, stdout, stderr } = await bridge(words);
  expect([stderr, exitCode]).toEqual(['', 0]);
  return stdout;
}

/** All that the testbed makes: devices of the machine, and names of namespaces. */
async function made(prefix = PREFIX): Promise<string> {
  return machine(`ip -brief link show; ls /run/netns | grep -e '${prefix}' || true`);
}

/** What h2, h3 and lb have: the devices that are up, each with its first addresses. */
async function addresses(): Promise<string[][]> {
  interface Row {
    ifname: string;
    address: string;
    flags: string[];
    addr_info: { local: string }[];
  }
  const told = await machine(
    `for host in h2 h3 lb; do ip -n ${PREFIX}$host -j address show | tr -d '\\n'; echo; done`,
  );
  return told
    .split('\n')
    .map((line) =>
      (JSON.parse(line) as Row[])
        .filter(({ flags }) => flags.includes('UP'))
        .map(({ ifname, address, addr_info: [first] }) =>
          ifname === 'lo' ? ifname : `${ifname} ${address} ${first?.local ?? ''}`,
        ),
    );
}

/** Puts a command before those of the system, and returns its folder for PATH. */
function inFrontOf(name: string, script: string): string {
  const folder = mkdtempSync(join(scratch, 'path-'));
  writeFileSync(join(folder, name), `#!/bin/bash\n${script}\n`);
  chmodSync(join(folder, name), 0o755);
  return `${folder}:`;
}

describe('testbed/bridge.sh', () => {
  let before = '';
  beforeAll(async () => {
    await bridge('down'); // if the page has not done so
    before = await made();
  });
  afterEach(async () => {
    expect(await bridge('down')).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    expect(await made()).toBe(before);
  });

  test('up again leaves all as it is, with what runs there, and makes what is missing', async () => {
    const first = await expectUp('up ebpf');
    expect(await addresses()).toEqual([
      ['lo', 'veth2 de:ad:be:ef:00:02 10.0.0.2'],
      ['lo', 'veth3 de:ad:be:ef:00:03 10.0.0.3'],
      ['lo', 'veth6 de:ad:be:ef:00:10 10.0.0.10'],
    ]);
    const h2 = `${PREFIX}h2`;
    await machine(`nsenter --net=/run/netns/${h2} sleep 100 >/dev/null 2>&1 &`);
    const look = `stat -Lc %i /run/netns/${h2}; ip netns pids ${h2}; ip -j link show dev l4lb-h2
      ip -n ${h2} -4 -j address show dev veth2`;
    const there = await machine(look);
    expect(there).toMatch(/^\d+\n\d+\n\[/); // the namespace, and who runs in it
    expect(await expectUp('up')).toBe(first);
    expect(await machine(look)).toBe(there);

    await machine(`ip netns del ${PREFIX}h3; ip link del dev l4lb-lb`);
    expect(await expectUp('up ebpf')).toBe(first);
    expect(await machine(look)).toBe(there);
    expect((await bridge('down ebpf')).exitCode).toBe(0);
    expect(await made()).not.toContain(`${PREFIX}lb`);
    expect(await made()).toContain(`${PREFIX}h3`);
  });

  // These are the calls of ip that change something.
  const points = Array.from({ length: 14 }, (_, i) => i + 1);
  test.each(points.filter((point) => isWhole || [2, 7, 13].includes(point)))(
    'killed before its change %i, it can be taken down, or built',
    async (point) => {
      const count = join(scratch, `calls-${point}`);
      const killer = inFrontOf(
        'ip',
        `PATH=\${PATH#*:}
         case " $* " in *" show "*|*" flush "*|*" -o "*) exec ip "$@" ;; esac
         echo >>${count}
         (($(wc -l <${count}) < ${point})) || kill -KILL 0
         exec ip "$@"`,
      );
      const killed = await network.run('switch', 'env', [
        `L4LB_BRIDGE_PREFIX=${PREFIX}`,
        `PATH=${killer}${process.env.PATH ?? ''}`,
        ...['setsid', '--wait', 'testbed/bridge.sh', 'up', 'ebpf'],
      ]);
      expect(killed.exitCode).not.toBe(0);
      expect(readFileSync(count, 'utf8')).toHaveLength(point);
      if (point % 2 === 0) return; // what follows each test takes it down
      await expectUp('up ebpf');
    },
  );

  test('a run that is ended removes what it has begun, and no more', async () => {
    await expectUp('up');
    const there = await made();
    const failing = inFrontOf('sysctl', 'exit 1');
    const { exitCode, stderr } = await bridge('up ebpf', PREFIX, failing);
    expect([exitCode, stderr]).toEqual([
      1,
      'testbed/bridge.sh: could not make lb forward answers\n  Is /proc/sys read-only here?',
    ]);
    expect(await made()).toBe(there);
  });

  test('hosts whose bridge has gone with its namespace are removed', async () => {
    const up = `L4LB_BRIDGE_PREFIX=${PREFIX} unshare --net testbed/bridge.sh up`;
    await machine(up);
    expect(await made()).toContain(`${PREFIX}h2`);
    await expectUp();
  });

  test('it works where "ip netns exec" has made mounts of its own', async () => {
    const name = network.namespaceOf('switch').replace(/.*\//, '');
    await machine(
      `L4LB_BRIDGE_PREFIX=${PREFIX} ip netns exec ${name} testbed/bridge.sh up`,
    );
    await machine(`nsenter --net=/run/netns/${PREFIX}h2 ping -c 1 10.0.0.1`);
  });

  test('a network around its own is warned of', async () => {
    await machine('ip addr add 10.0.5.1/8 dev client');
    try {
      const { exitCode, stderr } = await bridge('up');
      expect(exitCode).toBe(0);
      expect(stderr).toContain('does not lead where it did: 10.0.0.0/8 dev client');
    } finally {
      await machine('ip addr del 10.0.5.1/8 dev client');
    }
  });

  test('it says why a host does not reach another', async () => {
    await expectUp();
    await machine(`ip -n ${PREFIX}h2 route add unreachable 10.0.0.3/32`);
    const iptables = inFrontOf('iptables', 'echo "-P $2 DROP"');
    const { exitCode, stderr } = await bridge('up', PREFIX, iptables);
    expect(exitCode).toBe(1);
    const lines = stderr.split('\n');
    expect(lines.slice(0, 2)).toEqual([
      'testbed/bridge.sh: the testbed is up, but 10.0.0.2 does not reach 10.0.0.3',
      '  the policy of the chain FORWARD (iptables, ip filter) is to drop',
    ]);
    expect(lines).toContain(
      '  Let the bridge through: iptables -I FORWARD -i l4lb-bridge -j ACCEPT',
    );
    expect(lines.at(-1)).toBe('  Then look again: testbed/bridge.sh up');
  });

  test('a tap of DPDK becomes a port, in place of lb', async () => {
    const { exitCode, stderr } = await bridge('up dpdk');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('there is no device tapdpdk: no l4lb-dpdk runs here');
    expect(stderr).toContain('--vdev=net_tap0,iface=tapdpdk -- --ip 10.0.0.10');
    expect(await made()).toBe(before);

    await machine('ip tuntap add dev tapdpdk mode tap');
    try {
      const tap = await made();
      expect(await expectUp('up dpdk')).toContain('l4lb-dpdk     10.0.0.10');
      await expectUp('up dpdk');
      expect(await machine('bridge fdb show dev tapdpdk')).toMatch(
        /^(\S+) master l4lb-bridge static/m,
      );
      expect((await bridge('up ebpf')).stderr).toContain('l4lb-dpdk has 10.0.0.10');
      expect((await bridge('down dpdk')).exitCode).toBe(0);
      await expectUp('up ebpf');
      expect((await bridge('up dpdk')).stderr).toContain('lb has 10.0.0.10');
      await bridge('down');
      // The process's own device is there still, though up now.
      expect((await made()).split('\n')).toHaveLength(tap.split('\n').length);
    } finally {
      await machine('ip link del dev tapdpdk');
    }
  });
});

// None of it touches a testbed of this prefix, since none is up.
describe('what testbed/bridge.sh did not make', () => {
  test.each([
    {
      what: 'a namespace of another',
      make: `ip netns add ${PREFIX}h3`,
      remove: `ip netns del ${PREFIX}h3`,
      says: `there is a network namespace ${PREFIX}h3 that this testbed did not make`,
      down: 0,
    },
    {
      what: 'a bridge of another',
      make: 'ip link add l4lb-bridge type bridge',
      remove: 'ip link del l4lb-bridge',
      says: 'there is a device l4lb-bridge that this testbed did not make',
      down: 0,
    },
    {
      what: 'a device of another',
      make: 'ip link add l4lb-h2 type veth peer name other',
      remove: 'ip link del l4lb-h2',
      says: 'there is a device l4lb-h2 that this testbed did not make',
    },
    {
      what: 'an address of its network',
      make: 'ip addr add 10.0.0.77/8 dev client',
      remove: 'ip addr del 10.0.0.77/8 dev client',
      says: '10.0.0.0/24 is in use here',
    },
    {
      what: 'a router in its network',
      make: 'ip addr add 10.0.5.1/8 dev client; ip route add default via 10.0.0.9',
      remove: 'ip addr del 10.0.5.1/8 dev client',
      says: '10.0.0.0/24 is in use here\n  default via 10.0.0.9 dev client',
    },
    {
      what: 'a testbed of other names',
      make: `L4LB_BRIDGE_PREFIX=${PREFIX}b- testbed/bridge.sh up`,
      remove: `L4LB_BRIDGE_PREFIX=${PREFIX}b- testbed/bridge.sh down`,
      says: `the testbed of this network namespace has hosts ${PREFIX}b-h2 and ${PREFIX}b-h3, not ${PREFIX}h2`,
      down: 1,
    },
    {
      what: 'a testbed of these names elsewhere',
      make: `L4LB_BRIDGE_PREFIX=${PREFIX} nsenter --net=/run/netns/NETWORK-client testbed/bridge.sh up`,
      remove: `L4LB_BRIDGE_PREFIX=${PREFIX} nsenter --net=/run/netns/NETWORK-client testbed/bridge.sh down`,
      says: `${PREFIX}h2 belongs to the testbed of another network namespace`,
      down: 1,
    },
  ])('$what is in the way, and stays', async ({ make, remove, says, down }) => {
    const named = (lines: string): string =>
      lines.replace('NETWORK', `l4lb-${network.name}`);
    await machine(named(make));
    const there = await made();
    try {
      const { exitCode, stdout, stderr } = await bridge('up');
      expect([exitCode, stdout]).toEqual([1, '']);
      expect(stderr).toContain(`testbed/bridge.sh: ${says}`);
      if (down !== undefined) expect((await bridge('down')).exitCode).toBe(down);
      expect(await made()).toBe(there);
    } finally {
      await machine(named(remove));
    }
  });
});

test.each(['full-nat', 'tunnel'])('the page shows %s.toml', (name) => {
  const page = readFileSync(join(ROOT, 'docs/guide/bridge.md'), 'utf8');
  const file = readFileSync(join(ROOT, `testbed/bridge/${name}.toml`), 'utf8');
  expect(page).toContain(`\`\`\`toml\n${file.replace(/^#.*\n/gm, '')}\`\`\``);
});

test.each([
  [[], 'name a command: up or down'],
  [['run'], "there is no command 'run'"],
  [['up', 'both'], "up takes ebpf, dpdk or nothing, not 'both'"],
  [['\u001b[31m'], "there is no command $'\\E[31m'"],
])('bridge.sh %j is wrong usage', async (words, says) => {
  const { exitCode, stderr } = await execa('testbed/bridge.sh', words, {
    cwd: ROOT,
    reject: false,
  });
  expect([exitCode, stderr]).toEqual([
    2,
    `testbed/bridge.sh: ${says}\n  See: testbed/bridge.sh --help`,
  ]);
});
