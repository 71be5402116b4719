// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A device that takes offloaded programs: Linux's netdevsim. It never runs them, so
 * counters grow only when a test writes them.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from '@jest/globals';
import { execa } from 'execa';

import { decodeEntries, hex } from '../../src/system/bpftool-text.js';
import { decodeCounter, encodeCounter } from '../../src/abi/counter.js';
import type { Counter } from '../../src/abi/counter.js';
import { decodeDestination } from '../../src/abi/destination.js';
import { decodeQuad } from '../../src/abi/slot.js';
import { decodeKey, encodeKey } from '../../src/abi/bytes.js';
import type { MapName } from '../../src/abi/maps.js';
import { formatAddress } from '../../src/wire/address.js';
import { attachedPrograms } from '../../src/system/ip/links.js';
import type { AttachedProgram, LinkJson } from '../../src/system/ip/links.js';
import { ROOT } from '../agent/agent.js';
import type { Vm } from './vm.js';
import { MOST_MS } from './vm.js';

export const DEBUGFS = '/sys/kernel/debug/netdevsim';
export const OFFLOADED = 'ip link set dev eth0 xdpoffload obj l4lb_xdp.o sec xdp';

/**
 * Gives each describe() that calls this its own card with two ports: eth0, which is up,
 * and eth1. Afterwards the machine is as before: no card, no pin, no file.
 */
export function useCard(vm: Vm): void {
  beforeAll(async () => {
    await vm.shell('modprobe netdevsim && echo "0 2" > /sys/bus/netdevsim/new_device');
    await vm.shell('ip link set eth0 up && ip address add 10.0.0.4/16 dev eth0');
  }, MOST_MS);
  afterAll(async () => {
    await vm.shell(
      'for number in /sys/bus/netdevsim/devices/netdevsim*; do ' +
        'echo "${number##*netdevsim}" > /sys/bus/netdevsim/del_device; done; ' +
        'find /sys/fs/bpf -type f -delete; rm -f /tmp/*.csv /tmp/*.toml',
    );
    await vm.shell('modprobe -r netdevsim'); // fails where something still holds it
  }, MOST_MS);
}

export async function programsOn(vm: Vm, device: string): Promise<AttachedProgram[]> {
  const shown = await vm.expectOk('ip', '-j', '-d', 'link', 'show', 'dev', device);
  const [link] = JSON.parse(shown) as LinkJson[];
  return attachedPrograms(link?.xdp);
}

/** The content of our map of this name; there must be only one in the machine. */
async function dump(vm: Vm, map: MapName): Promise<Map<number, Buffer>> {
  const answer = await vm.expectOk('bpftool', '-j', 'map', 'dump', 'name', map);
  return new Map(
    decodeEntries(JSON.parse(answer)).map(({ key, values }) => [
      decodeKey(key),
      values[0] ?? Buffer.alloc(0),
    ]),
  );
}

/** The address that each slot points to, or its id if no address has that id. */
export async function readTable(vm: Vm): Promise<string[]> {
  const standing = new Map<number, string>();
  for (const [id, value] of await dump(vm, 'destinations')) {
    const { service, address } = decodeDestination(value);
    if (service !== 0) standing.set(id, formatAddress(address));
  }
  return [...(await dump(vm, 'slots')).values()]
    .flatMap(decodeQuad)
    .map(({ current }) => standing.get(current) ?? `id ${current}`);
}

/** How many slots each address has. */
export function countSlots(table: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const address of table) counts.set(address, (counts.get(address) ?? 0) + 1);
  return counts;
}

export async function readCounters(vm: Vm): Promise<Map<number, Counter>> {
  const counters = await dump(vm, 'counters');
  return new Map([...counters].map(([id, value]) => [id, decodeCounter(value)]));
}

/** Writes a counter, as a card's own processors would. */
export function writeCounter(id: number, counter: Counter): string {
  return `bpftool map update name counters key hex ${hex(encodeKey(id))} value hex ${hex(encodeCounter(counter))}`;
}

/** The portable build in other sizes. */
export interface Built {
  object: string;
  remove: () => void;
}

/** Builds it as the documentation says, but in a copy of the tree. */
export async function buildOf(sizes: {
  slots?: number;
  destinations?: number;
  cells?: number;
}): Promise<Built> {
  const folder = mkdtempSync(join(tmpdir(), 'l4lb-offload-'));
  for (const name of ['Makefile', 'l4lb_xdp.c', 'datapath', 'src', 'package.json']) {
    cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  }
  const { slots = 512, destinations = 512, cells = 16 } = sizes;
  const wanted = [`SLOTS=${slots}`, `DESTINATIONS=${destinations}`, `CELLS=${cells}`];
  await execa('make', ['l4lb_xdp.o', ...wanted], { cwd: folder });
  return {
    object: join(folder, 'l4lb_xdp.o'),
    remove: () => rmSync(folder, { recursive: true }),
  };
}
