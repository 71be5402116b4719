// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads and reports what is attached to a device, for l4lb-load --status. */
import { reachable } from '../plan/cells.js';
import type { Build } from '../abi/maps.js';
import type { Counter } from '../abi/counter.js';
import type { Mode } from '../text/mode.js';
import { MODE_NAMES } from '../text/mode.js';
import type { Context } from '../program/tools.js';
import { kernelSeconds } from '../system/clock.js';
import { asMaps, buildOf, isDecap } from '../program/find.js';
import { readDecap } from '../program/decap.js';
import { formatCount, many } from '../text/format.js';
import type { AttachedProgram } from '../system/ip/links.js';
import { Neighbours } from '../system/ip/neighbours.js';
import { keepsSsh, servicesIn } from '../plan/services.js';
import { readTables } from '../program/read.js';
import { formatAddress } from '../wire/address.js';
import { formatWay } from '../wire/way.js';
import type { Moment, SiblingStatus } from './siblings.js';
import { describeSiblings, siblingsStatus } from './siblings.js';

export interface ServiceStatus {
  ways: string[];
  slots: number;
  destinations: number;
  /** Whether ssh is left to the host; null without a way on all ports. */
  keeps_ssh: boolean | null;
}

export interface ProgramStatus {
  id: number;
  name: string;
  mode: Mode;
  /** Wall clock, in seconds. */
  loadedAt: number;
  build: Build | 'decap' | 'not l4lb';
  services?: ServiceStatus[];
  addresses?: number | 'all';
  verdicts?: Record<string, Counter>;
  /** Of a destination that sends on. */
  names?: string[];
  self?: string[];
  siblings?: SiblingStatus[];
}

/** What is attached to a device, and when this was read, as Date.now(). */
export interface DeviceStatus {
  time: number;
  programs: ProgramStatus[];
}

export async function readStatus(tools: Context, device: string): Promise<DeviceStatus> {
  const { programs } = await tools.ip.link(device);
  const now = { wall: Date.now(), kernel: kernelSeconds() };
  return {
    time: now.wall,
    programs: await Promise.all(
      programs.map((program) => readProgram(tools, device, program, now)),
    ),
  };
}

async function readProgram(
  tools: Context,
  device: string,
  there: AttachedProgram,
  now: Moment,
): Promise<ProgramStatus> {
  const { id, name, mode } = there;
  const program = await tools.bpftool.programWithMaps('id', id);
  const all = program.maps;
  const head = { id, name, mode, loadedAt: program.loadedAt };
  if (isDecap(name)) {
    const { addresses, verdicts, ...decap } = await readDecap(tools, all);
    const siblings = decap.siblings.map(({ address }) => formatAddress(address));
    const known = await new Neighbours(tools.run).known(device, siblings);
    const status = siblingsStatus(decap, known, now);
    return { ...head, build: 'decap', addresses, verdicts, ...status };
  }
  const maps = asMaps(all);
  if (!maps) return { ...head, build: 'not l4lb' };
  const tables = await readTables(tools.bpftool, maps);
  const services = [...servicesIn(reachable(tables)).values()].map((service) => ({
    ways: service.ways.map(formatWay),
    slots: 1 << service.log2Slots,
    keeps_ssh: keepsSsh(tables, service) ?? null,
    destinations: [...tables.destinations.values()].filter(
      (one) => one.service === service.id,
    ).length,
  }));
  return { ...head, build: buildOf(maps), services };
}

export function statusJson(device: string, { time, programs }: DeviceStatus): unknown {
  return {
    time: new Date(time).toISOString(),
    interface: device,
    programs: programs.map(({ mode, loadedAt, ...rest }) => ({
      mode: MODE_NAMES[mode],
      loaded_at: new Date(loadedAt * 1000).toISOString(),
      ...rest,
    })),
  };
}

export function describeStatus(
  device: string,
  { programs }: Pick<DeviceStatus, 'programs'>,
): string[] {
  if (programs.length === 0) return [`${device} has no XDP program`];
  return programs.flatMap((program) => {
    const since = new Date(program.loadedAt * 1000)
      .toISOString()
      .replace('T', ' ')
      .slice(0, 19);
    const { name, id, mode, build } = program;
    return [
      `${device} [${MODE_NAMES[mode]}] ${name || 'nameless'} (program ${id}, ${build}), loaded ${since} UTC`,
      ...describeTables(program),
    ];
  });
}

function describeTables(program: ProgramStatus): string[] {
  const { services, addresses, verdicts } = program;
  if (verdicts) {
    const counted = Object.entries(verdicts).filter(([, { packets }]) => packets > 0n);
    const whose =
      typeof addresses === 'number' ? many(addresses, 'address') : 'all addresses';
    return [
      `  removes the outer header for ${whose}`,
      ...counted.map(
        ([name, { packets }]) => `  ${name}: ${formatCount(packets)} packets`,
      ),
      ...describeSiblings(program),
    ];
  }
  // Of a program that is not ours, nothing is known.
  if (!services) return [];
  if (services.length === 0) return ['  no service yet: everything passes to the host'];
  return services.map(({ ways, slots, destinations, keeps_ssh: keeps }) => {
    const ssh = keeps === null ? '' : keeps ? ', ssh kept' : ', ssh taken';
    return `  ${ways.join(', ')}: ${many(destinations, 'destination')} in ${many(slots, 'slot')}${ssh}`;
  });
}
