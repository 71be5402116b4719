// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What is measured: how each is set up at the far end of its wire. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { makeAnswers, makePorts } from './nat.js';
import { dnatRules, forwardRules } from './nftables.js';
import { ROOT } from './started.js';
import type { Wire } from './wire.js';
import { CLIENT, CLIENT_PORT, NAMES, SIBLING } from './traffic.js';
import { Bpftool } from '../src/system/bpftool.js';
import type { MapInfo } from '../src/system/bpftool-text.js';
import { run } from '../src/system/run.js';
import { must } from '../src/text/must.js';
import type { Forward } from '../src/wire/forward.js';
import {
  DEVICE,
  FAR_ADDRESS,
  FAR_MAC,
  GATEWAY,
  NEAR_MAC,
  OTHER_DEVICE,
  SERVICE,
} from './wire.js';

/** Connections that a destination holds; some cases have packets of fewer. */
export const MOST_HELD = 16_384;

/** Sets one up; in the folder it may write files. */
type Subject = (wire: Wire, folder: string) => Promise<void>;

type Family = 'ipv4' | 'ipv6';

interface Balancer {
  object: string;
  slots: number;
  destinations: number;
  services: number;
  outside: Family;
  inside: Family;
  /** Its destinations are drained into others, so that all slots have a memory. */
  isHot: boolean;
  /** Who knows the connections of hot slots. */
  remember: 'balancer' | 'destinations';
  forward: Forward;
  /** Its destinations are behind another device. */
  isElsewhere: boolean;
}

const USUAL: Balancer = {
  object: 'l4lb_xdp_host.o',
  slots: 65_536,
  destinations: 32,
  services: 1,
  outside: 'ipv4',
  inside: 'ipv4',
  isHot: false,
  remember: 'balancer',
  forward: 'tunnel',
  isElsewhere: false,
};

async function tool(wire: Wire, name: string, ...args: string[]): Promise<void> {
  const path = join(ROOT, `bin/l4lb-${name}.js`);
  await wire.far(process.execPath, [path, '-i', DEVICE, ...args]);
}

async function attach(wire: Wire, object: string): Promise<void> {
  const args = ['link', 'set', 'dev', DEVICE, 'xdpdrv', 'obj', join(ROOT, object)];
  await wire.far('ip', [...args, 'sec', 'xdp']);
}

/** What full-nat sends from. */
const POOL = '10.9.9.0/30';

/** Where destinations are makes no difference here: all lie behind one MAC. */
function destinations(
  count: number,
  family: Family,
  network: number,
  weight: number,
): string {
  const rows = Array.from({ length: count }, (_, i) => {
    const address =
      family === 'ipv4'
        ? `10.${network}.${(i + 1) >> 8}.${(i + 1) & 255}`
        : `fd00:${network}::${(i + 1).toString(16)}`;
    return `${address},${NEAR_MAC},${weight}\n`;
  });
  return rows.join('');
}

/** The same rows with the device that leads to them, which a CSV file cannot name. */
function elsewhere(csv: string): string {
  const rows = csv
    .trimEnd()
    .split('\n')
    .map((row) => {
      const [address, mac] = row.split(',');
      return `  { address = "${address}", mac = "${mac}", device = "${OTHER_DEVICE}" },\n`;
    });
  return `destinations = [\n${rows.join('')}]`;
}

function config(wanted: Balancer, file: string, rows: string): string {
  const address = wanted.outside === 'ipv4' ? SERVICE.ipv4 : `[${SERVICE.ipv6}]`;
  const services = Array.from({ length: wanted.services }, (_, i) => {
    const port = SERVICE.port + i;
    return `[[service]]
name = "port-${port}"
ways = ["${address}:${port}/udp", "${address}:${port}/tcp"]
slots = ${wanted.slots / wanted.services}
remember = "${wanted.remember}"
forward = "${wanted.forward}"
${wanted.forward === 'full-nat' ? `source = "${POOL}"` : ''}
${wanted.isElsewhere ? elsewhere(rows) : `file = "${file}"`}
`;
  });
  const names = wanted.remember === 'destinations' ? [`names = "${NAMES}"\n`] : [];
  return [...names, ...services].join('\n');
}

/** `change` is for what no file can say. */
function balancer(
  different: Partial<Balancer> = {},
  change?: (bpftool: Bpftool, maps: readonly MapInfo[]) => Promise<void>,
): Subject {
  const wanted = { ...USUAL, ...different };
  return async (wire, folder) => {
    await tool(wire, 'load', '-m', 'xdpdrv', '--obj', join(ROOT, wanted.object));
    const [csv, toml] = [join(folder, 'destinations.csv'), join(folder, 'config.toml')];
    const rows = (network: number, weight: number): string =>
      destinations(wanted.destinations, wanted.inside, network, weight);
    writeFileSync(toml, config(wanted, csv, rows(1, 100)));
    writeFileSync(csv, rows(1, 100));
    await tool(wire, 'map', '--config', toml);
    if (change) {
      const bpftool = new Bpftool(run);
      const { mapIds } = must(await wire.program('far'), 'the program');
      await change(bpftool, await bpftool.maps(mapIds));
    }
    if (!wanted.isHot) return;
    writeFileSync(csv, rows(1, 0) + rows(2, 100));
    await tool(wire, 'map', '--config', toml);
  };
}

function program(object: string): Subject {
  return (wire) => attach(wire, object);
}

/** The kernel sends what it forwards to a neighbour that it knows, as it would in use. */
async function route(wire: Wire): Promise<void> {
  for (const address of [GATEWAY, SERVICE.ipv4]) {
    const neighbour = ['neigh', 'replace', address, 'lladdr', NEAR_MAC];
    await wire.far('ip', [...neighbour, 'dev', DEVICE, 'nud', 'permanent']);
  }
  // Sources are any address: they lie behind the wire, too.
  await wire.far('ip', ['route', 'add', 'default', 'via', GATEWAY]);
  for (const setting of [
    'all.rp_filter=0',
    `${DEVICE}.rp_filter=0`,
    'all.forwarding=1',
  ]) {
    await wire.far('sysctl', ['-qw', `net.ipv4.conf.${setting}`]);
  }
}

async function rules(wire: Wire, folder: string, text: string): Promise<void> {
  const file = join(folder, 'rules.nft');
  writeFileSync(file, text);
  await wire.far('nft', ['-f', file]);
}

/** It decides about packets that name its sibling, and has connections of its own. */
async function deciding(wire: Wire, folder: string): Promise<void> {
  const siblings = join(folder, 'siblings.csv');
  writeFileSync(siblings, `${FAR_ADDRESS},${FAR_MAC},1\n${SIBLING},${NEAR_MAC},1\n`);
  const known = ['--names', NAMES, '--siblings', siblings];
  await tool(wire, 'load', '-m', 'xdpdrv', '--decap', ...known);
  await wire.far('ip', ['link', 'set', 'lo', 'up']);
  for (const address of [SERVICE.ipv4, CLIENT]) {
    await wire.far('ip', ['address', 'add', `${address}/32`, 'dev', 'lo']);
  }
  const service = [SERVICE.ipv4, SERVICE.port, CLIENT, CLIENT_PORT];
  await wire.keepFar('bench/sockets.mjs', [...service, MOST_HELD].map(String));
}

/** Counted and dropped at the first place that the kernel offers. */
const DROP_ALL = `table netdev bench {
  counter came { }
  chain ingress {
    type filter hook ingress device ${DEVICE} priority 0; policy accept;
    counter name came drop
  }
}
`;

function passing(load: Subject): Subject {
  return async (wire, folder) => {
    await rules(wire, folder, DROP_ALL);
    await load(wire, folder);
  };
}

function answering(how: Parameters<typeof makeAnswers>[2]): Subject {
  return balancer({}, (bpftool, maps) => makeAnswers(bpftool, maps, how));
}

export const SUBJECTS = {
  floor: program('.make/floor.o'),
  portable: balancer({ object: 'l4lb_xdp.o', slots: 512 }),
  host: balancer(),
  hot: balancer({ isHot: true }),
  /** Apart, since who is to be on record must not come behind a flood. */
  'hot, flooded': balancer({ isHot: true }),
  'hot, named': balancer({ isHot: true, remember: 'destinations' }),
  'portable, hot': balancer({
    object: 'l4lb_xdp.o',
    slots: 512,
    isHot: true,
    remember: 'destinations',
  }),
  'the link': balancer({ forward: 'link' }),
  'portable, the link': balancer({
    object: 'l4lb_xdp.o',
    slots: 512,
    forward: 'link',
  }),
  nat: balancer({ forward: 'nat' }),
  'nat, answers': async (wire, folder) => {
    await route(wire);
    await answering({ isSent: true })(wire, folder);
  },
  'nat, answers passed': passing(answering({ isSent: false })),
  'the link, answers': async (wire, folder) => {
    await route(wire);
    await answering({ isSent: true, isByLink: true })(wire, folder);
  },
  'the link, answers passed': passing(answering({ isSent: false, isByLink: true })),
  'full-nat': balancer({ forward: 'full-nat' }),
  /** Apart, since its ports are those of a flood. */
  'full-nat, flooded': balancer({ forward: 'full-nat' }),
  'full-nat, answers passed': passing(balancer({}, makePorts)),
  'another device': balancer({ isElsewhere: true }),
  'another device, nat': balancer({ isElsewhere: true, forward: 'nat' }),
  'another device, the link': balancer({ isElsewhere: true, forward: 'link' }),
  'one destination': balancer({ destinations: 1 }),
  '512 destinations': balancer({ destinations: 512 }),
  '4,096 destinations': balancer({ destinations: 4096 }),
  '64 services': balancer({ services: 64 }),
  'ipv6 in ipv6': balancer({ outside: 'ipv6', inside: 'ipv6' }),
  'ipv4 in ipv6': balancer({ inside: 'ipv6' }),
  passing: passing(program('testbed/pass.o')),
  decapsulating: passing((wire) => tool(wire, 'load', '-m', 'xdpdrv', '--decap')),
  deciding: passing(deciding),
  'nftables, forward': (wire, folder) =>
    rules(wire, folder, forwardRules(USUAL.destinations)),
  'nftables, DNAT': async (wire, folder) => {
    await route(wire);
    await rules(wire, folder, dnatRules(USUAL.destinations));
  },
} satisfies Record<string, Subject>;

/** What counts at the first place of the kernel: no packet comes back. */
const TAKES: ReadonlySet<string> = new Set<keyof typeof SUBJECTS>([
  'nat, answers passed',
  'the link, answers passed',
  'full-nat, answers passed',
  'passing',
  'decapsulating',
  'deciding',
]);

export type SubjectName = keyof typeof SUBJECTS;

/** How many packets have come through what is at the far end. */
export async function came(name: SubjectName, wire: Wire): Promise<number> {
  if (!TAKES.has(name)) return wire.came();
  const text = await wire.far('nft', ['-j', 'list', 'counters']);
  const { nftables } = JSON.parse(text) as {
    nftables: { counter?: { packets: number } }[];
  };
  return nftables.find(({ counter }) => counter)?.counter?.packets ?? 0;
}
