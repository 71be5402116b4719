// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The balancers behind a router, each with BIRD beside it. What is announced is written as
 * a fleet does, and the tables by the real tools.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { birdOfBalancer } from '../../fleet/announce/bird.js';
import { ANNOUNCE_TABLE, announce } from '../../fleet/announce/routes.js';
import { Failure } from '../../text/failure.js';
import type { LongRunning } from '../../system/long-running.js';
import { packaged } from '../../system/package.js';
import type { Schedule, Step } from '../changes.js';
import { now } from '../protocol.js';
import type { Roles } from '../roles.js';
import type { Place, Tables } from '../tables.js';
import type { Namespaces, Service } from '../testbed.js';
import { allBalancers } from './plan.js';
import type { Router } from './router.js';
import { BALANCERS_AS, ROUTER_AS, socketOf, startBird } from './router.js';

/** How long a session with the router may take to come up, in milliseconds. */
const PATIENCE = 15_000;

interface Member extends Place {
  number: number;
}

/** What they work with. */
interface Parts {
  roles: Roles;
  namespaces: Namespaces;
  tables: Tables;
  router: Router;
  schedule: Schedule;
  service: Service;
}

export class RoutedBalancers {
  readonly #roles: Roles;
  readonly #namespaces: Namespaces;
  readonly #tables: Tables;
  readonly #router: Router;
  readonly #schedule: Schedule;
  readonly #service: Service;
  /** Those that can be reached, and BIRD beside each. */
  readonly #birds = new Map<number, LongRunning>();

  constructor(parts: Parts) {
    this.#roles = parts.roles;
    this.#namespaces = parts.namespaces;
    this.#tables = parts.tables;
    this.#router = parts.router;
    this.#schedule = parts.schedule;
    this.#service = parts.service;
  }

  /** Loads, fills and announces those that are there from the beginning. */
  async start(): Promise<void> {
    const count = allBalancers(this.#schedule);
    const all = Array.from({ length: count }, (_, i) => memberOf(i + 1));
    const first = all.slice(0, this.#schedule.balancers);
    this.#router.startBird(all);
    for (const member of first) this.#startBird(member);
    this.#tables.use(this.#schedule.first);
    await this.#together(first, async (member) => {
      await this.#tables.catchUp(member);
      await this.#awaitSession(member);
      await this.#announce(member, false);
    });
    await this.#router.until(first.map(({ role }) => role));
  }

  /**
   * Makes one change. Returns when that was done which the router has to notice; undefined:
   * it has nothing to notice.
   */
  async change(step: Step): Promise<number | undefined> {
    const running = [...this.#birds.keys()].map(memberOf);
    const { change, balancer } = step;
    if (change.kind === 'replace') {
      for (const member of running) await this.#tables.replace(member);
      return undefined;
    }
    this.#tables.use(step.rows);
    if (change.kind !== 'balancer' || balancer === undefined) {
      await this.#together(running, (member) => this.#tables.catchUp(member));
      return undefined;
    }
    const member = memberOf(balancer);
    if (change.act === 'start' || change.act === 'add') {
      this.#startBird(member);
      await this.#tables.catchUp(member);
      await this.#awaitSession(member);
    }
    const acted = now();
    switch (change.act) {
      case 'kill':
        await this.#kill(member);
        break;
      case 'cut':
        await this.#cut(member);
        break;
      case 'stop':
        await this.#announce(member, undefined);
        break;
      default:
        await this.#announce(member, change.act === 'drain');
    }
    await this.#router.until(step.takers.map((number) => memberOf(number).role));
    if (change.act === 'stop') this.#forget(member)?.interrupt();
    return acted;
  }

  async #kill(member: Member): Promise<void> {
    this.#forget(member)?.stop();
    const down = ['link', 'set', 'dev', 'eth0', 'down'];
    await this.#roles.within(member.role, 'could not kill a balancer', 'ip', down);
  }

  /** Drops all in both directions at the router's port; the link itself stays up. */
  async #cut(member: Member): Promise<void> {
    const object = packaged('testbed/port.o');
    const filter = ['bpf', 'direct-action', 'obj', object, 'sec', 'tc/cut'].join(' ');
    const at = `dev ${member.role}`;
    const file = this.#namespaces.write(
      'cut.tc',
      [
        `qdisc add ${at} clsact`,
        `filter add ${at} ingress ${filter}`,
        `filter add ${at} egress ${filter}`,
        '',
      ].join('\n'),
    );
    this.#forget(member);
    await this.#roles.within('router', 'could not cut a balancer', 'tc', [
      '-batch',
      file,
    ]);
  }

  /** Announces the service, drained or not, or nothing at all. */
  async #announce(member: Member, isDrained: boolean | undefined): Promise<void> {
    const run = this.#roles.inside(member.role);
    const address = this.#service.vip;
    const wanted = isDrained === undefined ? [] : [{ address, isDrained }];
    await announce({ run }, ANNOUNCE_TABLE, wanted);
  }

  #startBird(member: Member): void {
    const { number, role, address } = member;
    const text = birdOfBalancer({
      routerId: `10.255.1.${number}`,
      device: 'eth0',
      addresses: { ipv4: address, ipv6: `fd00:1:${number.toString(16)}::2` },
      as: BALANCERS_AS,
      routers: [{ address: `10.1.${number}.1`, as: ROUTER_AS }],
      prefixes: [this.#service.vip],
      logFile: `${this.#namespaces.folder}/bird-${role}.log`,
    });
    this.#birds.set(number, startBird(this.#roles, this.#namespaces, role, text));
  }

  /** From here on nothing is done with it. */
  #forget({ number }: Member): LongRunning | undefined {
    const bird = this.#birds.get(number);
    this.#birds.delete(number);
    return bird;
  }

  async #awaitSession({ number, role }: Member): Promise<void> {
    const deadline = now() + PATIENCE;
    const run = this.#roles.inside(role);
    const asked = ['-s', socketOf(this.#namespaces, role), 'show', 'protocols'];
    for (;;) {
      const { stdout } = await run('birdc', asked);
      if (/\bBGP\b.*\bEstablished\b/.test(stdout)) return;
      const bird = this.#birds.get(number);
      if (bird?.exitCode !== undefined) throw bird.failure(`BIRD in ${role}`);
      if (now() > deadline) {
        throw new Failure(`BIRD in ${role} has no session with the router`, {
          cause: 'this machine is too slow, or BIRD did not start',
          next: 'bird --version; it has to be version 2',
        });
      }
      await sleep(50);
    }
  }

  /** Waits for all even if one fails: what is started later would not be taken down. */
  async #together(
    members: readonly Member[],
    work: (member: Member) => Promise<void>,
  ): Promise<void> {
    for (const one of await Promise.allSettled(members.map(work))) {
      if (one.status === 'rejected') throw one.reason;
    }
  }
}

/** The same object for the same number: tables are kept by it. */
const MEMBERS = new Map<number, Member>();

/** Its addresses are those of testbed/fabric.sh. */
function memberOf(number: number): Member {
  const known = MEMBERS.get(number);
  if (known) return known;
  const mac = `02:00:0a:01:${number.toString(16).padStart(2, '0')}:02`;
  const member = {
    number,
    role: `balancer${number}`,
    address: `10.1.${number}.2`,
    mac,
  };
  MEMBERS.set(number, member);
  return member;
}
