// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads and reports what is attached to a device, for l4lb-load --status. */
import type { PoolUse, Ports } from '../plan/port-use.js';
import { usedPools } from '../plan/pools.js';
import { describePool, poolsJson } from '../plan/port-use.js';
import { reachable } from '../plan/cells.js';
import { CELL_NAMES } from '../abi/cell.js';
import type { Remember } from '../abi/cell.js';
import type { Build } from '../abi/maps.js';
import type { Counter } from '../abi/counter.js';
import type { Mode } from '../text/mode.js';
import { MODE_NAMES } from '../text/mode.js';
import type { Context } from '../program/tools.js';
import { kernelSeconds } from '../system/clock.js';
import { asMaps, buildOf, isDecap } from '../program/find.js';
import { readDecap } from '../program/decap.js';
import { formatCount, many } from '../text/format.js';
import type { DpdkProcess } from '../system/dpdk.js';
import { TRAFFIC, dpdkOf } from '../system/dpdk.js';
import { Unseen } from '../text/unseen.js';
import { printableLine } from '../text/printable.js';
import type { AttachedProgram, Sender } from '../system/ip/links.js';
import { senderOf } from '../system/ip/links.js';
import { Neighbours } from '../system/ip/neighbours.js';
import type { Service } from '../plan/services.js';
import { keepsSsh, servicesIn } from '../plan/services.js';
import type { Tables } from '../plan/state.js';
import { ownedBy } from '../plan/state.js';
import { isLocal } from '../plan/local-servers.js';
import { countHot } from '../plan/still-hot.js';
import { readPorts } from '../program/port-use.js';
import { readAllSlots, readTables } from '../program/read.js';
import { formatAddress } from '../wire/address.js';
import { formatEndpoint } from '../wire/endpoint.js';
import type { Forward } from '../wire/forward.js';
import { USUAL_FORWARD, forwardIn } from '../wire/forward.js';
import { formatNames } from '../wire/names.js';
import { formatWay } from '../wire/way.js';
import type { Moment, SiblingStatus } from './siblings.js';
import { describeSiblings, siblingsStatus } from './siblings.js';

export interface ServiceStatus {
  ways: string[];
  slots: number;
  destinations: number;
  forward: Forward;
  /**
   * Other devices that packets leave by than the one that they came in on; null if it is
   * gone.
   */
  exits: { device: string | null; destinations: string[] }[];
  /** Destinations on this host. */
  local: string[];
  /** How many ports are taken that it sends from; only by full-nat. */
  pools?: PoolUse[] | Unseen;
  /** Who knows the connections of hot slots; null in a build that remembers none. */
  remember: Remember | null;
  slots_hot: number;
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
  /** Other devices that run this program. */
  shared_with?: string[];
  /** Who runs it, if it is not the kernel. */
  dpdk?: DpdkProcess | undefined;
  services?: ServiceStatus[];
  addresses?: number | 'all';
  verdicts?: Record<string, Counter>;
  /** Prefixes by which a balancer names destinations, or a destination its siblings. */
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
  const others = (await tools.ip.running(id)).filter((one) => one.name !== device);
  const shared = others.map((one) => one.name);
  const head = {
    ...{ id, name, mode, loadedAt: program.loadedAt },
    ...(shared.length > 0 && { shared_with: shared }),
    ...(mode === 'dpdk' && { dpdk: dpdkOf(device) }),
  };
  if (isDecap(name)) {
    const { addresses, verdicts, ...decap } = await readDecap(tools, all);
    const siblings = decap.siblings.map(({ address }) => formatAddress(address));
    const known = await new Neighbours(tools.run).known(device, siblings);
    const status = siblingsStatus(decap, known, now);
    return { ...head, build: 'decap', addresses, verdicts, ...status };
  }
  const maps = asMaps(all, name);
  if (!maps) return { ...head, build: 'not l4lb' };
  const tables = await readTables(tools.bpftool, maps);
  const services = [...servicesIn(reachable(tables)).values()];
  const slots = await readAllSlots(tools.bpftool, maps, services);
  const pools = usedPools(tables.destinations.values());
  const ports = await readPorts(tools.bpftool, maps, pools);
  const senders = tables.exits?.size ? await tools.ip.senders() : [];
  return {
    ...head,
    build: buildOf(maps),
    ...tablesStatus({ ...tables, slots }, senders, ports),
  };
}

/** What the tables of a balancer say, the slots of all services among them. */
export function tablesStatus(
  tables: Tables,
  senders: readonly Sender[] = [],
  ports?: Ports,
): Pick<ProgramStatus, 'services' | 'names'> {
  const services = [...servicesIn(reachable(tables)).values()].map((service) => ({
    ways: service.ways.map(formatWay),
    slots: 1 << service.log2Slots,
    slots_hot: countHot(tables, service),
    remember: remembers(tables, service),
    keeps_ssh: keepsSsh(tables, service) ?? null,
    destinations: ownedBy(tables, service.id).size,
    forward: forwardIn(ownedBy(tables, service.id).values()),
    exits: exitsOf(tables, service, senders),
    local: [...ownedBy(tables, service.id).values()].filter(isLocal).map(formatEndpoint),
    ...poolsOf(tables, service, ports),
  }));
  const names = Object.values(tables.device.names).map(formatNames);
  return { services, ...(names.length > 0 && { names }) };
}

/** What is known of the ports that a service sends from. */
function poolsOf(
  tables: Tables,
  { id }: Service,
  ports: Ports,
): Pick<ServiceStatus, 'pools'> {
  if (ports instanceof Unseen) {
    const own = usedPools(ownedBy(tables, id).values());
    return own.length > 0 ? { pools: ports } : {};
  }
  const pools = (ports?.pools ?? []).filter(({ services }) => services.includes(id));
  return pools.length > 0 ? { pools } : {};
}

function exitsOf(
  tables: Tables,
  { id }: Service,
  senders: readonly Sender[],
): ServiceStatus['exits'] {
  const exits = new Map<string | null, string[]>();
  for (const entry of ownedBy(tables, id).values()) {
    const { exit: number } = entry;
    if (number === 0) continue;
    const exit = tables.exits?.get(number);
    const isThere = exit && tables.lostExits?.has(number) !== true;
    const device = (isThere && senderOf(senders, exit)?.name) || null;
    exits.set(device, [...(exits.get(device) ?? []), formatEndpoint(entry)]);
  }
  return [...exits].map(([device, destinations]) => ({ device, destinations }));
}

/** Only a build with sets of records can remember by itself. */
function remembers({ sizes }: Tables, { flags }: Service): Remember | null {
  if ((flags & CELL_NAMES) !== 0) return 'destinations';
  return sizes.sets === undefined ? null : 'balancer';
}

export function statusJson(device: string, { time, programs }: DeviceStatus): unknown {
  return {
    time: new Date(time).toISOString(),
    interface: device,
    programs: programs.map(({ mode, loadedAt, dpdk, ...rest }) => ({
      mode: MODE_NAMES[mode],
      loaded_at: new Date(loadedAt * 1000).toISOString(),
      ...rest,
      ...(dpdk && { dpdk: dpdkJson(dpdk) }),
      ...(rest.services && { services: rest.services.map(serviceJson) }),
    })),
  };
}

function serviceJson({ pools, ...rest }: ServiceStatus): unknown {
  return { ...rest, ...poolsJson(pools) };
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
      ...(program.shared_with ? [`  shared with ${program.shared_with.join(', ')}`] : []),
      ...describeDpdk(program),
      ...describeTables(program),
    ];
  });
}

function describeDpdk({ dpdk }: ProgramStatus): string[] {
  if (!dpdk) return [];
  const { port, process, holder, traffic } = dpdk;
  const counts = TRAFFIC.filter((key) => traffic[key] > 0n).map(
    (key) => `${key.replace('_', ' ')} ${formatCount(traffic[key])}`,
  );
  const kept =
    holder === undefined
      ? 'nobody keeps the tables when it ends'
      : `process ${holder} keeps the tables`;
  return [
    process === undefined
      ? `  no process runs it now, so no packet is balanced; ${kept}, for the next start of l4lb-dpdk`
      : `  run by process ${process} on port ${printableLine(port)}; ${kept}`,
    ...(counts.length > 0 ? [`  frames: ${counts.join(', ')}`] : []),
  ];
}

function dpdkJson({ port, process, holder, traffic }: DpdkProcess): unknown {
  return { process: process ?? null, holder: holder ?? null, port, frames: traffic };
}

function describeTables(program: ProgramStatus): string[] {
  const { services, addresses, verdicts, names } = program;
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
  const lines = services.flatMap((service) => {
    const { ways, slots, destinations, forward, keeps_ssh: keeps, remember } = service;
    const how = forward === USUAL_FORWARD ? '' : `, forward ${forward}`;
    const ssh = keeps === null ? '' : keeps ? ', ssh kept' : ', ssh taken';
    const who =
      remember === 'balancer' ? 'the balancer remembers' : 'destinations remember';
    const hot =
      remember === null ? '' : `, ${formatCount(service.slots_hot)} hot; ${who}`;
    return [
      `  ${ways.join(', ')}: ${many(destinations, 'destination')} in ${many(slots, 'slot')}${how}${ssh}${hot}`,
      ...service.exits.map(describeExit),
      ...describePools(service),
      ...describeLocal(service),
    ];
  });
  return names ? [...lines, `  names destinations by ${names.join(', ')}`] : lines;
}

function describePools({ pools = [] }: ServiceStatus): string[] {
  return pools instanceof Unseen
    ? [`    ${pools.why}`]
    : pools.map((pool) => `    from ${describePool(pool)}`);
}

function describeLocal({ local }: ServiceStatus): string[] {
  if (local.length === 0) return [];
  return [
    `    packets for ${many(local.length, 'destination')} pass to servers on this host`,
  ];
}

function describeExit({ device, destinations }: ServiceStatus['exits'][number]): string {
  const packets = `    packets for ${many(destinations.length, 'destination')}`;
  return device === null
    ? `${packets} are dropped: the device that they leave by is gone; fill again`
    : `${packets} leave by ${printableLine(device)}`;
}
