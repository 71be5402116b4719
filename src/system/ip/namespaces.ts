// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What `ip` knows of everything around a device: namespaces, routes, neighbours. */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { Failure } from '../../text/failure.js';
import { parseIpJson } from './json.js';
import type { AttachedProgram, LinkJson } from './links.js';
import { attachedPrograms } from './links.js';
import type { Run } from '../run.js';
import { withScratch } from '../scratch.js';
import { append } from '../../text/lists.js';

export interface Device {
  name: string;
  ifindex: number;
  mac: string;
  mtu: number;
  up: boolean;
  /** Whether something is at the other end. */
  carrier: boolean;
  /** `veth`, `ipip`, `bridge` and so on; empty for a real device. */
  kind: string;
  addresses: string[];
  programs: AttachedProgram[];
  /** For a veth: the index of its other end, and the number of the namespace it is in. */
  peer: { ifindex: number; namespaceId: number | undefined } | undefined;
}

/** A network namespace, as seen from within. */
export interface Namespace {
  /** The name under /run/netns; undefined for the namespace that this process runs in. */
  name: string | undefined;
  devices: Device[];
  /** Names of other namespaces, by the numbers that devices here know them by. */
  others: ReadonlyMap<number, string>;
}

export interface Hop {
  /** Undefined without a route over the device. */
  next: string | undefined;
  /** Whether the address is one of this host's own. */
  isLocal: boolean;
}

export interface Neighbour {
  mac: string | undefined;
  /** The states as `ip neigh` prints them: REACHABLE, STALE, FAILED and so on. */
  states: string[];
}

/** Strict accepts a packet only if an answer would leave by the same device. */
export type RpFilter = 'off' | 'strict' | 'loose';

interface DeviceJson extends LinkJson {
  link_index?: number;
  link_netnsid?: number;
  linkinfo?: { info_kind?: string };
  addr_info?: { local?: string }[];
}

/** A route with several ways has no `dev`. */
interface RouteJson {
  dev?: string;
  nexthops?: { dev: string }[];
}

interface StackedJson {
  ifname: string;
  master?: string;
  link?: string;
}

export class Surroundings {
  readonly #run: Run;

  constructor(run: Run) {
    this.#run = run;
  }

  async #json(args: string[]): Promise<unknown[]> {
    const result = await this.#run('ip', args);
    if (result.exitCode !== 0) {
      throw new Failure(`ip ${args.join(' ')}: ${result.stderr.trim()}`);
    }
    return parseIpJson(result.stdout, args.join(' '));
  }

  async namespace(name?: string): Promise<Namespace> {
    const where = inNamespace(name);
    const devices = await this.#json([...where, '-j', '-d', 'addr', 'show']);
    const names = await this.#json([...where, '-j', 'netns', 'list']);
    return {
      name,
      devices: (devices as DeviceJson[]).map(readDevice),
      others: new Map(
        (names as { name: string; id?: number }[]).flatMap(({ name: other, id }) =>
          id === undefined ? [] : [[id, other] as const],
        ),
      ),
    };
  }

  /**
   * The namespaces that veth pairs lead to from here, this one first. An address can only
   * mean one of these; elsewhere on the host others may have the same address.
   */
  async connected(most: number): Promise<Namespace[]> {
    const found = [await this.namespace()];
    const { stdout } = await this.#run('ip', ['netns', 'identify']);
    const names = new Set(stdout.trim().split('\n'));
    for (const { devices, others } of found) {
      for (const { peer } of devices) {
        const name = others.get(peer?.namespaceId ?? -1);
        if (name === undefined || names.has(name) || found.length > most) continue;
        names.add(name);
        const other = await this.#ifThere(this.namespace(name));
        if (other) found.push(other);
      }
    }
    return found;
  }

  /** A namespace may disappear while it is being examined. */
  async #ifThere<T>(asked: Promise<T>): Promise<T | undefined> {
    try {
      return await asked;
    } catch (error) {
      if (error instanceof Failure) return undefined;
      throw error;
    }
  }

  /** The filters by device, with `all`, which counts for each of them. */
  async rpFilters(name: string | undefined): Promise<Map<string, RpFilter>> {
    const settings = (await this.#json([
      ...inNamespace(name),
      '-j',
      'netconf',
      'show',
    ])) as { interface: string; rp_filter?: RpFilter }[];
    return new Map(
      settings.flatMap(({ interface: device, rp_filter: filter }) =>
        filter === undefined ? [] : [[device, filter] as const],
      ),
    );
  }

  /** The devices that default routes lead over. */
  async defaultDevices(name: string | undefined): Promise<string[]> {
    const where = [...inNamespace(name), '-j'];
    const routes: unknown[] = [];
    for (const family of ['-4', '-6']) {
      // A kernel may lack IPv6, and then ip fails.
      if (family === '-6' && !existsSync('/proc/net/if_inet6')) continue;
      const more = await this.#json([...where, family, 'route', 'show', 'default']);
      append(routes, more);
    }
    return (routes as RouteJson[])
      .flatMap(({ dev, nexthops = [] }) => [dev, ...nexthops.map((hop) => hop.dev)])
      .filter((dev) => dev !== undefined);
  }

  /**
   * The devices of default routes and those beneath: the ports of a bridge or bond, and
   * the device that a VLAN is on.
   */
  async defaultCarriers(): Promise<Set<string>> {
    const links = (await this.#json(['-j', 'link', 'show'])) as StackedJson[];
    const carriers = new Set(await this.defaultDevices(undefined));
    // The loop also visits what is added to the set meanwhile.
    for (const carrier of carriers) {
      for (const { ifname, master, link } of links) {
        if (master === carrier) carriers.add(ifname);
        if (ifname === carrier && link !== undefined) carriers.add(link);
      }
    }
    return carriers;
  }

  /** Packets that the device has received, by its own counter. */
  async received(device: string): Promise<number> {
    const [link] = (await this.#json(['-j', '-s', 'link', 'show', 'dev', device])) as {
      stats64?: { rx: { packets: number } };
    }[];
    if (link?.stats64) return link.stats64.rx.packets;
    throw new Failure(`ip -s link show dev ${device} does not say how much it received`);
  }

  /** Where packets to addresses go if they leave by a device. */
  async hops(device: string, addresses: readonly string[]): Promise<Map<string, Hop>> {
    const lines = addresses.map((address) => `route get ${address} oif ${device}`);
    const routes = (await this.#batch(lines)) as {
      dst?: string;
      gateway?: string;
      via?: { host: string };
      type?: string;
    }[];
    const hops = new Map<string, Hop>();
    for (const address of addresses)
      hops.set(address, { next: undefined, isLocal: false });
    for (const { dst = '', gateway, via, type } of routes) {
      const isLocal = type === 'local';
      const next = isLocal ? undefined : (gateway ?? via?.host ?? dst);
      hops.set(dst, { next, isLocal });
    }
    return hops;
  }

  /**
   * Makes the kernel ask whether neighbours are there, and waits for the answers. Entries
   * that somebody set by hand stay as they are.
   */
  async probe(
    device: string,
    addresses: readonly string[],
  ): Promise<Map<string, Neighbour>> {
    const before = await this.#neighbours(device);
    const lines = addresses.flatMap((address) => {
      const neighbour = before.get(address);
      if (neighbour && isSetByHand(neighbour)) return [];
      // Only an entry with a MAC can be probed.
      return neighbour?.mac === undefined
        ? [`neigh replace ${address} dev ${device} use`]
        : [`neigh change ${address} dev ${device} nud probe`];
    });
    await this.#batch(lines);
    let known = await this.#neighbours(device);
    // The kernel asks three times, a second apart, before it gives up.
    const isAsking = (address: string): boolean =>
      known.get(address)?.states.some((state) => ASKING.includes(state)) ?? false;
    for (let tries = 0; tries < 70 && addresses.some(isAsking); tries++) {
      await sleep(50);
      known = await this.#neighbours(device);
    }
    return new Map([...known].filter(([address]) => addresses.includes(address)));
  }

  async #neighbours(device: string): Promise<Map<string, Neighbour>> {
    const entries = (await this.#json(['-j', 'neigh', 'show', 'dev', device])) as {
      dst: string;
      lladdr?: string;
      state?: string[];
    }[];
    return new Map(
      entries.map(({ dst, lladdr, state }) => [
        dst,
        { mac: lladdr, states: state ?? [] } satisfies Neighbour,
      ]),
    );
  }

  /** Returns one array for each line; a line that fails does not affect the others. */
  async #batch(lines: string[]): Promise<unknown[]> {
    if (lines.length === 0) return [];
    return withScratch(async (scratch) => {
      const path = scratch.writeLines('batch', lines);
      const { stdout } = await this.#run('ip', ['-force', '-j', '-batch', path]);
      return stdout
        .split('\n')
        .filter((line) => line.startsWith('['))
        .flatMap((line) => parseIpJson(line, '-batch'));
    });
  }
}

const ASKING = ['PROBE', 'INCOMPLETE', 'DELAY'];

export function isSetByHand({ states }: Neighbour): boolean {
  return states.includes('PERMANENT') || states.includes('NOARP');
}

function inNamespace(name: string | undefined): string[] {
  return name === undefined ? [] : ['-n', name];
}

function readDevice(json: DeviceJson): Device {
  const kind = json.linkinfo?.info_kind ?? '';
  return {
    name: json.ifname,
    ifindex: json.ifindex,
    mac: json.address ?? '',
    mtu: json.mtu,
    up: json.flags.includes('UP'),
    carrier: json.flags.includes('LOWER_UP'),
    kind,
    addresses: (json.addr_info ?? []).flatMap(({ local }) =>
      local === undefined ? [] : [local],
    ),
    programs: attachedPrograms(json.xdp),
    peer:
      kind === 'veth' && json.link_index !== undefined
        ? { ifindex: json.link_index, namespaceId: json.link_netnsid }
        : undefined,
  };
}

/** The other end of a veth and the namespace it is in, if that can be seen. */
export function peerOf(
  device: Device,
  here: Namespace,
  all: readonly Namespace[],
): { device: Device; namespace: Namespace } | undefined {
  if (!device.peer) return undefined;
  const { ifindex, namespaceId } = device.peer;
  const name = namespaceId === undefined ? undefined : here.others.get(namespaceId);
  if (namespaceId !== undefined && name === undefined) return undefined;
  const namespace = all.find((one) => one.name === name);
  const peer = namespace?.devices.find((one) => one.ifindex === ifindex);
  return namespace && peer && { device: peer, namespace };
}
