// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A gateway that gives clients' packets its destinations' address, and takes it out of their
 * answers, which come in on another device. The tables are written as a fill would.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { encodeAnswer, encodeAnswerKey } from '../../src/abi/answer.js';
import { encodeKey } from '../../src/abi/bytes.js';
import { decodeDestination, encodeDestination } from '../../src/abi/destination.js';
import {
  DEVICE_ANSWERS,
  DEVICE_XDP_ANSWERS,
  decodeDevice,
  encodeDevice,
} from '../../src/abi/device.js';
import { encodeExit } from '../../src/abi/exit.js';
import { mapNamed } from '../../src/program/find.js';
import { Bpftool } from '../../src/system/bpftool.js';
import {
  decodeEntries,
  decodeEntry,
  lookupLine,
  updateLine,
  valueOf,
} from '../../src/system/bpftool-text.js';
import type { MapInfo } from '../../src/system/bpftool-text.js';
import { run } from '../../src/system/run.js';
import { mac } from '../frames.js';
import { must } from '../../src/text/must.js';
import { parseAddress } from '../../src/wire/address.js';
import { Network } from './network.js';
import { SERVER } from './talk.js';

const VIP = '10.0.0.1';
const VIP_6 = '2001:db8::1';
/** The device that answers come in on. */
const BACK = 'eth1';
const EXIT = 7;

const bpftool = new Bpftool(run);
let network: Network;
let folder: string;

interface LinkJson {
  ifindex: number;
  address: string;
  mtu: number;
  xdp?: { prog: { id: number } };
}

async function link(device: string): Promise<LinkJson> {
  const show = ['-j', 'link', 'show', 'dev', device];
  const { stdout } = await network.expectOk('balancer', 'ip', ...show);
  return must((JSON.parse(stdout) as LinkJson[])[0], device);
}

async function mapsOf(device: string): Promise<MapInfo[]> {
  const { xdp } = await link(device);
  const { mapIds } = await bpftool.program('id', must(xdp, 'program').prog.id);
  return bpftool.maps(mapIds);
}

/** All destinations of the link become those of nat. */
async function makeNat(): Promise<void> {
  const all = mapNamed(await mapsOf('eth0'), 'destinations');
  const [dumped] = await bpftool.queries([`map dump id ${all.id}`]);
  const lines = decodeEntries(dumped).flatMap((entry) => {
    const there = decodeDestination(valueOf(entry));
    if (there.service === 0) return [];
    const value = { ...there, forward: 'nat', port: 80 } as const;
    return [updateLine(all, entry.key, encodeDestination(value))];
  });
  await bpftool.write(lines, undefined);
}

/** `answers` of the device that they come in on, and how they go on. */
async function answersAre(
  flags: number,
  destinations: [string, string][],
): Promise<void> {
  const maps = await mapsOf(BACK);
  const [own, out] = [await link(BACK), await link('eth0')];
  const device = mapNamed(maps, 'device');
  const [entry] = await bpftool.queries([lookupLine(device, encodeKey(0))]);
  const settings = decodeDevice(valueOf(decodeEntry(entry)));
  const address = (text: string): Buffer => must(parseAddress(text), text);
  const key = encodeKey(EXIT);
  const exit = { mac: mac(out.address), vlan: 0, ifindex: out.ifindex, mtu: out.mtu };
  const lines = [
    ...destinations.map(([from, vip]) =>
      updateLine(
        mapNamed(maps, 'answers'),
        encodeAnswerKey({ address: address(from), port: 80, protocol: 6 }),
        encodeAnswer({ address: address(vip), port: 8000, isForFragments: false }),
      ),
    ),
    updateLine(mapNamed(maps, 'exits'), key, encodeExit(exit)),
    updateLine(mapNamed(maps, 'exit_numbers'), encodeKey(out.ifindex), key),
    updateLine(
      device,
      encodeKey(0),
      encodeDevice({ ...settings, mac: mac(own.address), flags }),
    ),
  ];
  await bpftool.write(lines, undefined);
  // The kernel looks the device up in the namespace of who writes.
  const devices = mapNamed(maps, 'exit_devices');
  const line = updateLine(devices, key, encodeKey(out.ifindex)).split(' ');
  await network.expectOk('balancer', 'bpftool', ...line);
}

beforeAll(async () => {
  network = await Network.up('--gateway', '--count', '1', '--ipv6');
  folder = mkdtempSync(join(tmpdir(), 'l4lb-nat-'));
  network.start('destination1', 'node', '-e', SERVER, '1');
  for (const device of ['eth0', BACK]) {
    await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', device);
  }
  const file = join(folder, 'l4lb.toml');
  const services = [
    [VIP, '10.2.0.2'],
    [`[${VIP_6}]`, '2001:db8::2:2'],
  ].map(
    ([vip, to]) =>
      `[[service]]\nname = "v${to}"\nslots = 64\nways = ["${vip}:8000/tcp"]\n` +
      `forward = "link"\ndestinations = ["${to}"]\n`,
  );
  writeFileSync(file, services.join(''));
  await network.expectOk('balancer', 'bin/l4lb-map.js', '-i', 'eth0', '-c', file);
  await makeNat();
});
afterAll(async () => {
  await network.down();
  rmSync(folder, { recursive: true });
});

/** What the server says when it is asked by this address. */
async function ask(address: string): Promise<string> {
  const talk = `exec 3<>/dev/tcp/${address}/8000; echo hello >&3; read -r line <&3; echo $line`;
  const { stdout } = await network.run('client', 'timeout', ['2', 'bash', '-c', talk]);
  return stdout;
}

async function verdictsOfAnswers(): Promise<Record<string, number>> {
  const { stdout } = await network.expectOk(
    ...(['balancer', 'bin/l4lb-stats.js', '-i', BACK] as const),
    ...['--json', '--once', '--interval', '0.1'],
  );
  const { verdicts } = JSON.parse(stdout) as {
    verdicts: Record<string, { packets: number }>;
  };
  return Object.fromEntries(
    ['answer passed', 'answer sent'].map((name) => [name, verdicts[name]?.packets ?? 0]),
  );
}

const BOTH: [string, string][] = [
  ['10.2.0.2', VIP],
  ['2001:db8::2:2', VIP_6],
];

test('answers pass to the host, and reach the client by its routes', async () => {
  await answersAre(DEVICE_ANSWERS, BOTH);
  expect(await ask(VIP)).toBe('1');
  expect(await ask(VIP_6)).toBe('1');
  const verdicts = await verdictsOfAnswers();
  expect(verdicts['answer passed']).toBeGreaterThanOrEqual(4);
  expect(verdicts['answer sent']).toBe(0);
});

test('XDP sends them where the tables say so', async () => {
  await answersAre(DEVICE_ANSWERS | DEVICE_XDP_ANSWERS, BOTH);
  const before = await verdictsOfAnswers();
  expect(await ask(VIP)).toBe('1');
  expect(await ask(VIP_6)).toBe('1');
  const verdicts = await verdictsOfAnswers();
  expect(verdicts['answer sent']).toBeGreaterThanOrEqual(4);
  expect(verdicts['answer passed']).toBe(before['answer passed']);
});
