// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What `ip` knows and does: devices, their XDP programs, routes and neighbours. */
import { setTimeout as sleep } from 'node:timers/promises';

import type { Mode } from '../../text/mode.js';
import { Failure } from '../../text/failure.js';
import { parseIpJson } from './json.js';
import type { Run } from '../run.js';
import type { Family } from '../../wire/outer-source.js';

/** The numbers that stand for the modes in `ip -j link` (iproute2 6.1). */
const MODES: Record<number, Mode> = { 1: 'xdpdrv', 2: 'xdpgeneric', 3: 'xdpoffload' };

export interface AttachedProgram {
  mode: Mode;
  id: number;
  name: string;
}

export interface Link {
  name: string;
  ifindex: number;
  mac: string;
  mtu: number;
  up: boolean;
  /** For each family the first global address that will stay. */
  addresses: Record<Family, string | undefined>;
  programs: AttachedProgram[];
}

export interface LinkJson {
  ifname: string;
  ifindex: number;
  address?: string;
  mtu: number;
  flags: string[];
  xdp?: XdpJson & { attached?: XdpJson[] };
  addr_info?: Partial<AddressJson>[];
}

interface XdpJson {
  mode: number;
  prog?: { id: number; name?: string };
}

/** States of IPv6 addresses that cannot be used as a source, or not for long. */
const PASSING = ['temporary', 'deprecated', 'tentative', 'dadfailed'] as const;

type AddressJson = { local: string; family: string; scope: string } & Partial<
  Record<(typeof PASSING)[number], boolean>
>;

export class Iproute {
  readonly #run: Run;

  constructor(run: Run) {
    this.#run = run;
  }

  async #ip(args: string[]): Promise<string> {
    const result = await this.#run('ip', args);
    if (result.exitCode !== 0) {
      throw new Failure(`ip ${args.join(' ')}: ${firstLine(result.stderr)}`);
    }
    return result.stdout;
  }

  async #json(args: string[]): Promise<unknown[]> {
    return parseIpJson(await this.#ip(args), args.join(' '));
  }

  /** The names of all devices, for a message. */
  async names(): Promise<string[]> {
    const links = (await this.#json(['-j', 'link', 'show'])) as LinkJson[];
    return links.map((link) => link.ifname);
  }

  async link(name: string): Promise<Link> {
    const args = ['-j', '-d', 'addr', 'show', 'dev', name];
    const result = await this.#run('ip', args);
    if (result.exitCode !== 0) {
      const names = await this.names();
      throw new Failure(`no device ${name}`, {
        cause: `the name is mistyped, or the device is in another network namespace`,
        next: `name one of: ${names.join(', ')}`,
      });
    }
    const [link] = parseIpJson(result.stdout, args.join(' ')) as LinkJson[];
    if (!link) throw new Failure(`ip does not list the device ${name}`);
    return {
      name: link.ifname,
      ifindex: link.ifindex,
      mac: link.address ?? '',
      mtu: link.mtu,
      up: link.flags.includes('UP'),
      addresses: {
        ipv4: lastingAddress(link, 'inet'),
        ipv6: lastingAddress(link, 'inet6'),
      },
      programs: attachedPrograms(link.xdp),
    };
  }

  /** All addresses of the host. */
  async hostAddresses(): Promise<string[]> {
    const links = (await this.#json(['-j', 'addr', 'show'])) as Partial<LinkJson>[];
    return links
      .flatMap((link) => link.addr_info ?? [])
      .flatMap(({ local }) => local ?? []);
  }

  async detach(device: string, mode: Mode): Promise<void> {
    await this.#ip(['link', 'set', 'dev', device, mode, 'off']);
  }

  /**
   * The MACs of the next hops towards addresses, without those that do not answer. If the
   * kernel has not heard from a neighbour lately, that host may be dead or have another
   * MAC by now, so it is asked again.
   */
  async resolve(device: string, addresses: string[]): Promise<Map<string, string>> {
    const hops = new Map<string, string>();
    for (const address of addresses) {
      const hop = await this.#nextHop(device, address);
      if (hop !== undefined) hops.set(address, hop);
    }
    let known = await this.#neighbours(device);
    const macs = new Map<string, string>();
    const takeKnown = (states: readonly string[]): void => {
      for (const hop of hops.values()) {
        const { state, mac } = known.get(hop) ?? {};
        if (mac !== undefined && state !== undefined && states.includes(state)) {
          macs.set(hop, mac);
        }
      }
    };
    const open = (): string[] =>
      [...new Set(hops.values())].filter((hop) => !macs.has(hop));
    takeKnown(SURE);

    // First asks the neighbours that the kernel remembers, each by its MAC; then asks by
    // broadcast.
    const remembered = open().filter((hop) => {
      const { mac, state } = known.get(hop) ?? {};
      return mac !== undefined && state !== 'FAILED';
    });
    for (const hop of remembered) {
      // If the entry is gone meanwhile, that is no fault: the broadcast follows.
      await this.#run('ip', ['neigh', 'change', hop, 'dev', device, 'nud', 'probe']);
    }
    if (remembered.length > 0) known = await this.#settled(device, remembered);
    takeKnown(ANSWERED);
    const unknown = open();
    for (const hop of unknown) {
      await this.#ip(['neigh', 'replace', hop, 'dev', device, 'use']);
    }
    if (unknown.length > 0) known = await this.#settled(device, unknown);
    takeKnown(ANSWERED);
    return new Map(
      [...hops].flatMap(([address, hop]) => {
        const mac = macs.get(hop);
        return mac === undefined ? [] : [[address, mac] as const];
      }),
    );
  }

  /**
   * Waits for answers. The kernel asks three times, a second apart, before it gives up.
   */
  async #settled(
    device: string,
    hops: readonly string[],
  ): Promise<Map<string, Neighbour>> {
    let known = await this.#neighbours(device);
    const isAsking = (hop: string): boolean => {
      const state = known.get(hop)?.state;
      return state === undefined || ASKING.includes(state);
    };
    for (let tries = 0; tries < 35 && hops.some(isAsking); tries++) {
      await sleep(100);
      known = await this.#neighbours(device);
    }
    return known;
  }

  async #nextHop(device: string, address: string): Promise<string | undefined> {
    const args = ['-j', 'route', 'get', address, 'oif', device];
    const result = await this.#run('ip', args);
    if (result.exitCode !== 0) return undefined;
    const [route] = parseIpJson(result.stdout, args.join(' ')) as {
      gateway?: string;
      /** A gateway of the other address family. */
      via?: { host: string };
      type?: string;
    }[];
    if (!route || route.type === 'local') return undefined;
    return route.gateway ?? route.via?.host ?? address;
  }

  async #neighbours(device: string): Promise<Map<string, Neighbour>> {
    const entries = (await this.#json(['-j', 'neigh', 'show', 'dev', device])) as {
      dst: string;
      lladdr?: string;
      state?: string[];
    }[];
    return new Map(
      entries.map(({ dst, lladdr, state }) => [dst, { mac: lladdr, state: state?.[0] }]),
    );
  }
}

/** What the kernel knows of a neighbour. Without a MAC it may still be asking. */
interface Neighbour {
  mac: string | undefined;
  /** The state as `ip neigh` prints it. */
  state: string | undefined;
}

/** The neighbour answered within some 30 seconds, or somebody set the entry by hand. */
const SURE = ['REACHABLE', 'PERMANENT', 'NOARP'];
const ASKING = ['INCOMPLETE', 'DELAY', 'PROBE'];
/**
 * If a neighbour was just asked, stale means that something else than the answer told the
 * MAC.
 */
const ANSWERED = [...SURE, 'STALE'];

function lastingAddress(
  { addr_info = [] }: LinkJson,
  family: string,
): string | undefined {
  const lasting = addr_info.find(
    (one) =>
      one.family === family &&
      one.scope === 'global' &&
      !PASSING.some((state) => one[state]),
  );
  return lasting?.local;
}

/** With one program `xdp.prog` says which; with several only `xdp.attached` does. */
export function attachedPrograms(xdp: LinkJson['xdp']): AttachedProgram[] {
  if (!xdp) return [];
  const all = xdp.attached?.length ? xdp.attached : [xdp];
  return all.flatMap(({ mode, prog }) => {
    const name = MODES[mode];
    return name && prog ? [{ mode: name, id: prog.id, name: prog.name ?? '' }] : [];
  });
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? '';
}
