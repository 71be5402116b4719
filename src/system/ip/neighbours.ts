// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What `ip` knows of next hops and of the neighbours there, and how the kernel asks for them. */
import { release } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

import { formatAddress, parseAddress } from '../../wire/address.js';
import type { Run } from '../run.js';
import { askIpJson, askIpLines, ipFailure } from './ask.js';

/** Where frames to an address go. */
export interface Hop {
  /** Undefined without a route over the device. */
  next: string | undefined;
  /** Whether the address is one of this host's own. */
  isLocal: boolean;
}

/** A next hop that answers. */
export interface Answering {
  mac: string;
  /** The router that has this MAC; undefined if the address is on the link itself. */
  router: string | undefined;
}

/** What the kernel knows of a neighbour. Without a MAC it may still be asking. */
export interface Neighbour {
  mac: string | undefined;
  /**
   * The states as `ip neigh` prints them: REACHABLE, STALE, FAILED and so on; and MANAGED
   * if the kernel asks for it again and again by itself.
   */
  states: string[];
}

interface RouteJson {
  dst: string;
  dev?: string;
  gateway?: string;
  /** A gateway of the other address family. */
  via?: { host: string };
  type?: string;
}

interface NeighbourJson {
  dst: string;
  /** Missing where the question was about one device. */
  dev?: string;
  lladdr?: string;
  state?: string[];
  managed?: null;
}

const MANAGED = 'MANAGED';
const BY_HAND = ['PERMANENT', 'NOARP'];
/** It answered within some 30 seconds, or somebody set it by hand. */
const SURE = ['REACHABLE', ...BY_HAND];
const ASKING = ['INCOMPLETE', 'DELAY', 'PROBE'];
/** The state after a question. A neighbour that was just asked is stale if its MAC came from elsewhere. */
const ANSWERED = [...SURE, 'STALE'];

/** The kernel asks three times, a second apart, before it gives up. */
const LONGEST_QUESTION = 3500;
const PAUSE = 50;

export class Neighbours {
  readonly #run: Run;

  constructor(run: Run) {
    this.#run = run;
  }

  /** Where packets to addresses go if they leave by a device. */
  async hops(device: string, addresses: readonly string[]): Promise<Map<string, Hop>> {
    const lines = addresses.map((address) => `route get ${address} oif ${device}`);
    const routes = new Map(
      ((await this.#lines(lines)) as RouteJson[]).map((route) => [
        canonical(route.dst),
        route,
      ]),
    );
    return new Map(
      addresses.map((address) => {
        const route = routes.get(canonical(address));
        const isLocal = route?.type === 'local';
        const next = isLocal
          ? undefined
          : (route?.gateway ?? route?.via?.host ?? route?.dst);
        return [address, { next, isLocal }];
      }),
    );
  }

  /** The device that the kernel would send by; an address without a route is missing. */
  async devices(addresses: readonly string[]): Promise<Map<string, string>> {
    const lines = addresses.map((address) => `route get ${address}`);
    const routes = new Map(
      ((await this.#lines(lines)) as RouteJson[]).map((route) => [
        canonical(route.dst),
        route,
      ]),
    );
    return new Map(
      addresses.flatMap((address) => {
        const route = routes.get(canonical(address));
        // An own address is found out later, when its next hop is asked for.
        const isUsable = route?.dev !== undefined && route.type !== 'local';
        return isUsable ? [[address, route.dev as string] as const] : [];
      }),
    );
  }

  /**
   * The next hops towards addresses, without those that do not answer. If the
   * kernel has not heard from a neighbour lately, that host may be dead or have another
   * MAC by now, so it is asked again.
   */
  async resolve(
    device: string,
    addresses: readonly string[],
  ): Promise<Map<string, Answering>> {
    const hops = await this.hops(device, addresses);
    const wanted = [...new Set([...hops.values()].flatMap(({ next }) => next ?? []))];
    let known = await this.#neighbours(device);
    const macs = new Map<string, string>();
    const takeKnown = (states: readonly string[]): void => {
      for (const hop of wanted) {
        const neighbour = known.get(hop);
        if (neighbour?.mac !== undefined && isIn(neighbour, states)) {
          macs.set(hop, neighbour.mac);
        }
      }
    };
    const open = (): string[] => wanted.filter((hop) => !macs.has(hop));
    takeKnown(SURE);

    // First asks the neighbours that the kernel remembers, each by its MAC; then asks by
    // broadcast.
    const remembered = open().filter((hop) => {
      const neighbour = known.get(hop);
      return neighbour?.mac !== undefined && !isIn(neighbour, ['FAILED']);
    });
    if (remembered.length > 0) {
      // If an entry is gone meanwhile, that is no fault: the broadcast follows.
      await this.#lines(remembered.map((hop) => probeLine(device, hop)));
      known = await this.#settled(device, remembered);
      takeKnown(ANSWERED);
    }
    const unknown = open();
    if (unknown.length > 0) {
      const lines = unknown.map((hop) => useLine(device, hop));
      const { result } = await askIpLines(this.#run, lines);
      if (result.exitCode !== 0) throw ipFailure('neigh replace', result);
      known = await this.#settled(device, unknown);
      takeKnown(ANSWERED);
    }
    return new Map(
      [...hops].flatMap(([address, { next }]) => {
        const mac = next === undefined ? undefined : macs.get(next);
        if (mac === undefined) return [];
        const router = canonical(next ?? '') === canonical(address) ? undefined : next;
        return [[address, { mac, router }] as const];
      }),
    );
  }

  /** The next hops towards addresses, with their MACs as far as the kernel knows them now. */
  async towards(
    device: string,
    addresses: readonly string[],
  ): Promise<Map<string, { next: string | undefined; mac: string | undefined }>> {
    const hops = await this.hops(device, addresses);
    const neighbours = await this.#neighbours(device);
    return new Map(
      [...hops].map(([address, { next }]) => [
        address,
        { next, mac: neighbours.get(next ?? '')?.mac },
      ]),
    );
  }

  /** The MACs of the next hops towards addresses, as far as the kernel knows them now. */
  async known(
    device: string,
    addresses: readonly string[],
  ): Promise<Map<string, string>> {
    if (addresses.length === 0) return new Map();
    return new Map(
      [...(await this.towards(device, addresses))].flatMap(([address, { mac }]) =>
        mac === undefined ? [] : [[address, mac] as const],
      ),
    );
  }

  /**
   * Makes the kernel ask for the next hops towards addresses again and again, so that it
   * finds one whose MAC changes. Returns the hops for which it does not, because kernel or
   * ip is too old. Entries that somebody set by hand stay as they are.
   */
  async manage(
    device: string,
    addresses: readonly string[],
    kernel = release(),
  ): Promise<string[]> {
    const hops = await this.hops(device, addresses);
    const next = [...new Set([...hops.values()].flatMap((hop) => hop.next ?? []))];
    const isLeft = (known: ReadonlyMap<string, Neighbour>, hop: string): boolean => {
      const there = known.get(hop);
      return !there || !isIn(there, [MANAGED, ...BY_HAND]);
    };
    const before = await this.#neighbours(device);
    const open = next.filter((hop) => isLeft(before, hop));
    // An older kernel takes the line, but ignores the word, and forgets the MAC.
    if (open.length === 0 || !canManage(kernel)) return open;
    await this.#lines(open.map((hop) => manageLine(device, hop)));
    const after = await this.#neighbours(device);
    return open.filter((hop) => isLeft(after, hop));
  }

  /**
   * Makes the kernel ask whether neighbours are there, and does not wait. Those that it is
   * asking already are left alone; or, if they have had their time, they are looked for by
   * broadcast, since a host that has another MAC by now hears no question to the old one.
   */
  async ask(
    device: string,
    addresses: readonly string[],
    hadTime: boolean,
  ): Promise<void> {
    const before = await this.#neighbours(device);
    const lines = addresses.flatMap((address) => {
      const neighbour = before.get(address);
      const asked = questions(device, address, neighbour, hadTime);
      // Any of these changes ends the management, unless it is said again.
      const isKept = asked.length > 0 && neighbour && isIn(neighbour, [MANAGED]);
      return isKept ? [...asked, manageLine(device, address)] : asked;
    });
    await this.#lines(lines);
  }

  /**
   * Makes the kernel ask whether neighbours are there, and waits for the answers. Entries
   * that somebody set by hand stay as they are.
   */
  async probe(
    device: string,
    addresses: readonly string[],
  ): Promise<Map<string, Neighbour>> {
    await this.ask(device, addresses, false);
    const known = await this.#settled(device, addresses);
    return new Map([...known].filter(([address]) => addresses.includes(address)));
  }

  /** Waits until the kernel asks for none of them any more. */
  async #settled(
    device: string,
    hops: readonly string[],
  ): Promise<Map<string, Neighbour>> {
    let known = await this.#neighbours(device);
    const isAsked = (hop: string): boolean => {
      const neighbour = known.get(hop);
      return neighbour !== undefined && isIn(neighbour, ASKING);
    };
    for (
      let waited = 0;
      waited < LONGEST_QUESTION && hops.some(isAsked);
      waited += PAUSE
    ) {
      await sleep(PAUSE);
      known = await this.#neighbours(device);
    }
    return known;
  }

  async #neighbours(device: string): Promise<Map<string, Neighbour>> {
    const args = ['-j', 'neigh', 'show', 'dev', device];
    const entries = (await askIpJson(this.#run, args)) as NeighbourJson[];
    return new Map(
      entries.map(({ dst, lladdr: mac, state: states = [], managed }) => [
        dst,
        { mac, states: managed === undefined ? states : [...states, MANAGED] },
      ]),
    );
  }

  async #lines(lines: readonly string[]): Promise<unknown[]> {
    return lines.length === 0 ? [] : (await askIpLines(this.#run, lines)).answers;
  }
}

/** Neighbours whose MAC the kernel knows, on all devices. It prints none for others. */
export async function knownNeighbours(
  run: Run,
): Promise<{ address: string; device: string; mac: string }[]> {
  const entries = (await askIpJson(run, ['-j', 'neigh', 'show'])) as NeighbourJson[];
  return entries.flatMap(({ dst, dev: device, lladdr: mac }) =>
    device === undefined || mac === undefined
      ? []
      : [{ address: canonical(dst), device, mac }],
  );
}

/** The lines that make the kernel ask for a neighbour. */
function questions(
  device: string,
  hop: string,
  there: Neighbour | undefined,
  hadTime: boolean,
): string[] {
  // Only an entry with a MAC can be probed.
  if (there?.mac === undefined) return [useLine(device, hop)];
  if (isSetByHand(there)) return [];
  if (!isIn(there, ASKING)) return [probeLine(device, hop)];
  return hadTime ? [failLine(device, hop), useLine(device, hop)] : [];
}

/** Makes the kernel look for a neighbour, by broadcast. */
function useLine(device: string, hop: string): string {
  return `neigh replace ${hop} dev ${device} use`;
}

/** Makes the kernel ask the neighbour at the MAC that it remembers. */
function probeLine(device: string, hop: string): string {
  return `neigh change ${hop} dev ${device} nud probe`;
}

/** Makes the kernel forget the MAC of a neighbour. */
function failLine(device: string, hop: string): string {
  return `neigh change ${hop} dev ${device} nud failed`;
}

/** Makes the kernel ask for a neighbour again and again; its state stays. */
function manageLine(device: string, hop: string): string {
  return `neigh replace ${hop} dev ${device} managed`;
}

/** Linux 5.16 brought managed neighbours. */
function canManage(kernel: string): boolean {
  const [major = 0, minor = 0] = kernel.split(/[.-]/).map(Number);
  return major > 5 || (major === 5 && minor >= 16);
}

/** The form that is the same for two texts of one address. */
function canonical(text: string): string {
  const address = parseAddress(text);
  return address ? formatAddress(address) : text;
}

function isIn({ states }: Neighbour, some: readonly string[]): boolean {
  return states.some((state) => some.includes(state));
}

export function isManaged(neighbour: Neighbour): boolean {
  return isIn(neighbour, [MANAGED]);
}

export function isSetByHand(neighbour: Neighbour): boolean {
  return isIn(neighbour, BY_HAND);
}
