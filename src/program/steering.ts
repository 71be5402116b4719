// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The program that hands packets to servers on this host: l4lb_steer.o. It belongs to the
 * network namespace, reads the tables of one balancer, and is there as long as that has a
 * destination on this host. A pinned link keeps it attached.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';

import { encodeKey } from '../abi/bytes.js';
import { STEER_PROGRAM_NAME } from '../abi/steer.js';
import type { LocalServer } from '../plan/local-servers.js';
import { formatServer, localServersIn } from '../plan/local-servers.js';
import type { Tables } from '../plan/state.js';
import { ownAddresses } from '../system/ip/own.js';
import { BpftoolFailure } from '../system/bpftool-text.js';
import type { MapInfo } from '../system/bpftool-text.js';
import type { Sender } from '../system/ip/links.js';
import { deviceLock } from '../system/lock.js';
import { packaged } from '../system/package.js';
import { Steer } from '../system/steer.js';
import type { Listening } from '../system/steer.js';
import { Failure } from '../text/failure.js';
import { at } from '../text/must.js';
import { shareable } from './exit-devices.js';
import { mapNamed } from './find.js';
import { noObject } from './objects.js';
import { withPins } from './pins.js';
import type { Pins } from './pins.js';
import type { Context } from './tools.js';
import { update } from '../system/entries.js';

const USUAL_ROOT = '/sys/fs/bpf';
/**
 * `ip netns exec` mounts a BPF file system that ends with its command, and the link would
 * end with it. That of the first process stays; but not everybody may look into that.
 */
const LINKS = [`/proc/1/root${USUAL_ROOT}`].find(existsSync) ?? USUAL_ROOT;
const PREFIX = 'l4lb-steer-';

type Device = Pick<Sender, 'name' | 'ifindex'>;

export interface Steering {
  program: number;
  maps: MapInfo[];
}

/** A server on this host, whether it listens, and which of its packets do not come here. */
export interface ServerSeen {
  server: LocalServer;
  listening: Listening;
  /** Addresses of its services that are not of this host. */
  foreign: string[];
}

function linkOf(device: Device): string {
  return `${LINKS}/${PREFIX}${deviceLock(device)}`;
}

/** The program that serves this device's balancer, if there is one. */
export async function findSteering(
  { bpftool }: Pick<Context, 'bpftool'>,
  device: Device,
): Promise<Steering | undefined> {
  const path = linkOf(device);
  if (!existsSync(path)) return undefined;
  const { program } = await bpftool.link(path);
  const { name, maps } = await bpftool.programWithMaps('id', program);
  return name === STEER_PROGRAM_NAME ? { program, maps } : undefined;
}

export interface SteerRequest {
  device: Device;
  /** Those of the balancer, all of them. */
  maps: readonly MapInfo[];
  servers: readonly LocalServer[];
  lock: number | undefined;
  /** Loads the program anew, even if it reads these maps already. */
  isNew?: boolean;
}

/**
 * Keeps the program in step with tables: it is there while one of them has a server, and
 * gone otherwise. Before tables are written, they are given as they are and as they will be.
 */
export async function keepSteering(
  tools: Context,
  tables: readonly Tables[],
  request: Omit<SteerRequest, 'servers'>,
): Promise<ServerSeen[]> {
  const all = tables.flatMap(localServersIn);
  const servers = [...new Map(all.map((one) => [formatServer(one), one])).values()];
  if (servers.length > 0) return steerTo(tools, { ...request, servers });
  stopSteering(request.device);
  return [];
}

/**
 * Sees to it that packets reach these servers: attaches the program if it is not there or
 * reads the maps of another balancer, and puts the servers' sockets into its map. Packets
 * reach the sockets that it had until its successor has them too.
 */
export async function steerTo(
  tools: Context,
  request: SteerRequest,
): Promise<ServerSeen[]> {
  const there = request.isNew ? undefined : await findSteering(tools, request.device);
  if (there && readsMaps(there, request.maps)) {
    await fillArrivals(tools, there.maps, request);
    return fillServers(tools, there.maps, request);
  }
  return withPins(async (pins) => {
    const { pin, maps } = await loadSteering(tools, pins, request);
    await fillArrivals(tools, maps, request);
    const seen = await fillServers(tools, maps, request);
    await new Steer(tools.run).attach(pin, linkOf(request.device), request.lock);
    return seen;
  });
}

/** Looks for the servers' sockets again. */
export async function fillServers(
  { run }: Pick<Context, 'run'>,
  maps: readonly MapInfo[],
  { servers, lock }: Pick<SteerRequest, 'servers' | 'lock'>,
): Promise<ServerSeen[]> {
  const { id } = mapNamed(maps, 'servers');
  const all = await new Steer(run).fill(id, servers, lock);
  return withForeign(run, servers, all);
}

/** The keys of the servers whose sockets the program has, in hexadecimal. */
export async function readKnown(
  { bpftool }: Pick<Context, 'bpftool'>,
  { maps }: Steering,
): Promise<Set<string>> {
  const entries = await bpftool.dump(mapNamed(maps, 'servers').id);
  return new Set(entries.map(({ key }) => key.toString('hex')));
}

/** Looks who listens, and changes nothing. */
export async function lookAtServers(
  { run }: Pick<Context, 'run'>,
  servers: readonly LocalServer[],
): Promise<ServerSeen[]> {
  return withForeign(run, servers, await new Steer(run).look(servers));
}

async function withForeign(
  run: Context['run'],
  servers: readonly LocalServer[],
  all: readonly Listening[],
): Promise<ServerSeen[]> {
  const own = await ownAddresses(
    run,
    servers.flatMap(({ addresses }) => addresses),
  );
  return servers.map((server, index) => ({
    server,
    listening: at(all, index),
    foreign: server.addresses.filter((address) => !own.has(address)),
  }));
}

/** Takes the program off. Returns whether there was one. */
export function stopSteering(device: Device): boolean {
  const path = linkOf(device);
  const isThere = existsSync(path);
  rmSync(path, { force: true });
  return isThere;
}

/** Takes programs off whose network namespace is gone, and others of devices that are. */
export async function sweepSteering({ bpftool, ip }: Context): Promise<void> {
  const own = deviceLock({ ifindex: 0 }).replace(/0$/, '');
  const indexes = (await ip.senders()).map(({ ifindex }) => String(ifindex));
  for (const name of existsSync(LINKS) ? readdirSync(LINKS) : []) {
    if (!name.startsWith(PREFIX)) continue;
    const path = `${LINKS}/${name}`;
    const key = name.slice(PREFIX.length);
    const isOurs = key.startsWith(own);
    const isGone = isOurs
      ? !indexes.includes(key.slice(own.length))
      : (await bpftool.link(path)).namespace === 0;
    if (isGone) rmSync(path, { force: true });
  }
}

/** A balancer that was loaded anew has other maps. */
function readsMaps({ maps }: Steering, wanted: readonly MapInfo[]): boolean {
  const own = new Map(maps.map(({ name, id }) => [name, id]));
  const read = ['device', 'services', 'slots', 'destinations', 'memories'];
  return read.every((name) => own.get(name) === mapNamed(wanted, name).id);
}

async function loadSteering(
  { bpftool }: Context,
  pins: Pins,
  { maps, lock }: SteerRequest,
): Promise<{ pin: string; maps: MapInfo[] }> {
  const object = packaged('l4lb_steer.o');
  if (!existsSync(object)) throw noObject(object);
  const pin = pins.next();
  try {
    const reuse = shareable(maps);
    await bpftool.load(object, pin, { reuse, lock, type: 'sk_lookup' });
  } catch (error) {
    if (!(error instanceof BpftoolFailure)) throw error;
    throw new Failure(`the kernel does not take l4lb_steer.o: ${error.reason}`, {
      cause: 'destinations on this host need Linux 5.17 with CONFIG_BPF_STREAM_PARSER',
      next: `bpftool prog load ${object} /sys/fs/bpf/try type sk_lookup, to see all that it says`,
    });
  }
  return { pin, maps: (await bpftool.programWithMaps('pinned', pin)).maps };
}

/** Packets of a VLAN reach the kernel by the device of that VLAN. */
async function fillArrivals(
  { bpftool, ip }: Context,
  maps: readonly MapInfo[],
  { device, lock }: SteerRequest,
): Promise<void> {
  const arrivals = mapNamed(maps, 'arrivals');
  const above = (await ip.senders()).filter(({ parent }) => parent === device.name);
  const changes = [device, ...above].map(({ ifindex }) =>
    update(arrivals, encodeKey(ifindex), Buffer.of(1)),
  );
  await bpftool.write(changes, lock);
}
