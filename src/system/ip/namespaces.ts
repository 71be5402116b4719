// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What `ip` knows of network namespaces: their devices, filters and default routes. */
import { existsSync } from 'node:fs';

import { Failure } from '../../text/failure.js';
import { askIpJson, askIpTogether } from './ask.js';
import type { AttachedProgram, LinkJson } from './links.js';
import { attachedPrograms, mtuOf, programOfProcess } from './links.js';
import { dpdkDevices } from '../dpdk.js';
import type { DpdkProcess } from '../dpdk.js';
import type { Run } from '../run.js';
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

export class Namespaces {
  readonly #run: Run;

  constructor(run: Run) {
    this.#run = run;
  }

  async namespace(name?: string): Promise<Namespace> {
    const options = [...inNamespace(name), '-d'];
    const asked = ['addr show', 'netns list'];
    // Of another namespace they are not looked up.
    const processes = name === undefined ? dpdkDevices() : new Map<string, DpdkProcess>();
    const [devices = [], names = []] = await askIpTogether(this.#run, options, asked);
    return {
      name,
      devices: (devices as DeviceJson[]).map((json) => readDevice(json, processes)),
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
    const settings = (await askIpJson(this.#run, [
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

  /**
   * The arp_ignore that counts for a device: the larger of its own and that of `all`. `ip
   * netconf` does not list it, and a process sees the settings of the namespace it is in.
   */
  async arpIgnore(name: string, device: string): Promise<number> {
    const files = ['all', device].map(
      (one) => `/proc/sys/net/ipv4/conf/${one}/arp_ignore`,
    );
    const command = ['netns', 'exec', name, 'cat', ...files];
    const { exitCode, stdout, stderr } = await this.#run('ip', command);
    const [all = NaN, own = NaN] = stdout.trim().split('\n').map(Number);
    const larger = Math.max(all, own);
    if (exitCode === 0 && Number.isInteger(larger)) return larger;
    const why = stderr.trim().split('\n')[0] ?? '';
    throw new Failure(`arp_ignore of ${device} could not be read in ${name}: ${why}`);
  }

  /** The devices that default routes lead over. */
  async defaultDevices(name: string | undefined): Promise<string[]> {
    const where = [...inNamespace(name), '-j'];
    const routes: unknown[] = [];
    for (const family of ['-4', '-6']) {
      // A kernel may lack IPv6, and then ip fails.
      if (family === '-6' && !existsSync('/proc/net/if_inet6')) continue;
      const args = [...where, family, 'route', 'show', 'default'];
      append(routes, await askIpJson(this.#run, args));
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
    const links = (await askIpJson(this.#run, ['-j', 'link', 'show'])) as StackedJson[];
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
}

function inNamespace(name: string | undefined): string[] {
  return name === undefined ? [] : ['-n', name];
}

function readDevice(
  json: DeviceJson,
  processes: ReadonlyMap<string, DpdkProcess>,
): Device {
  const kind = json.linkinfo?.info_kind ?? '';
  return {
    name: json.ifname,
    ifindex: json.ifindex,
    mac: json.address ?? '',
    mtu: mtuOf(json),
    up: json.flags.includes('UP'),
    carrier: json.flags.includes('LOWER_UP'),
    kind,
    addresses: (json.addr_info ?? []).flatMap(({ local }) =>
      local === undefined ? [] : [local],
    ),
    programs: [
      ...attachedPrograms(json.xdp),
      ...programOfProcess(processes.get(json.ifname)),
    ],
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
