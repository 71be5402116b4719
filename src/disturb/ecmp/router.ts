// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The router of a run. It learns from BIRD which balancers announce the service, or is told
 * by hand which destinations have it, and spreads connections over them by ECMP.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { birdOfRouter } from '../../fleet/announce/router.js';
import { askIpJson, askIpTogether } from '../../system/ip/ask.js';
import { Failure } from '../../text/failure.js';
import type { Flow } from '../protocol.js';
import { now } from '../protocol.js';
import type { Roles } from '../roles.js';
import type { Namespaces, Service } from '../testbed.js';

export const ROUTER_AS = 65_000;
export const BALANCERS_AS = 65_100;

/** How long the router may take to do what a change asks of it, in milliseconds. */
const PATIENCE = 10_000;

interface RouteJson {
  dev?: string;
  nexthops?: { dev?: string }[];
}

/** A way to the service: its port has the name of the role that is behind it. */
export interface Hop {
  role: string;
  address: string;
}

export class Router {
  readonly #roles: Roles;
  readonly #namespaces: Namespaces;
  readonly #service: Service;
  /** When the kernel's way to the service changed. */
  readonly #moves: number[] = [];

  constructor(roles: Roles, namespaces: Namespaces, service: Service) {
    this.#roles = roles;
    this.#namespaces = namespaces;
    this.#service = service;
  }

  /** From here on it notes when the way to the service changes. */
  watch(): void {
    const monitor = ['-o', this.#option, 'monitor', 'route'];
    this.#roles.startCommand('router', 'ip', monitor).onLine((line) => {
      const at = now();
      const [first, second] = line.split(/[\s/]+/);
      const { vip } = this.#service;
      if (first === vip || (first === 'Deleted' && second === vip)) this.#moves.push(at);
    });
  }

  /** Starts BIRD, which takes the service from these balancers. */
  startBird(balancers: readonly Hop[]): void {
    const text = birdOfRouter({
      routerId: '10.255.0.1',
      as: ROUTER_AS,
      devices: ['balancer*'],
      balancers: balancers.map(({ role, address }) => ({
        name: role,
        address,
        as: BALANCERS_AS,
      })),
      prefixes: [this.#service.vip],
      logFile: `${this.#namespaces.folder}/bird-router.log`,
    });
    startBird(this.#roles, this.#namespaces, 'router', text);
  }

  /** Spreads the service over these, by hand. */
  async spread(hops: readonly Hop[]): Promise<void> {
    const ways = hops.flatMap(({ role, address }) => [
      ...['nexthop', 'via', address, 'dev', role],
    ]);
    const route = [this.#option, 'route', 'replace', this.#service.vip, ...ways];
    await this.#roles.within('router', 'could not switch the route', 'ip', route);
  }

  /** Waits until it spreads over exactly these. */
  async until(roles: readonly string[]): Promise<void> {
    const deadline = now() + PATIENCE;
    const wanted = [...roles].sort().join(' ');
    for (;;) {
      const seen = (await this.#hops()).sort().join(' ');
      if (seen === wanted) return;
      if (now() > deadline) {
        throw new Failure(
          `after ${PATIENCE / 1000} s the router sends to ${seen || 'nobody'}, not to ${wanted}`,
          {
            cause: 'this machine is too slow for BFD, or BIRD does not run',
            next: 'run the same with fewer --connections',
          },
        );
      }
      await sleep(20);
    }
  }

  /** When the way changed last, if it has changed since then. */
  movedSince(time: number): number | undefined {
    return this.#moves.findLast((at) => at >= time);
  }

  /** The role that each of these connections goes to; empty where it does not know one. */
  async rolesOf(flows: readonly Flow[]): Promise<string[]> {
    if (flows.length === 0) return [];
    const { vip, port } = this.#service;
    const lines = flows.map(
      (flow) =>
        `route get ${vip} from ${flow.from} iif client ` +
        `ipproto tcp sport ${flow.port} dport ${port}`,
    );
    const run = this.#roles.inside('router');
    const answers = await askIpTogether(run, [this.#option], lines);
    return answers.flat().map((route) => (route as RouteJson).dev ?? '');
  }

  async #hops(): Promise<string[]> {
    const asked = [this.#option, '-j', 'route', 'show', this.#service.vip];
    const routes = await askIpJson(this.#roles.inside('router'), asked);
    return (routes as RouteJson[]).flatMap(({ dev, nexthops }) =>
      (nexthops ?? [{ dev }]).flatMap((hop) => hop.dev ?? []),
    );
  }

  get #option(): string {
    return this.#service.vip.includes(':') ? '-6' : '-4';
  }
}

/** Starts BIRD in a role; the file and the socket lie with the network. */
export function startBird(
  roles: Roles,
  namespaces: Namespaces,
  role: string,
  text: string,
): ReturnType<Roles['startCommand']> {
  const file = namespaces.write(`bird-${role}.conf`, text);
  const socket = socketOf(namespaces, role);
  return roles.startCommand(role, 'bird', ['-f', '-c', file, '-s', socket]);
}

export function socketOf(namespaces: Namespaces, role: string): string {
  return `${namespaces.folder}/bird-${role}.ctl`;
}
