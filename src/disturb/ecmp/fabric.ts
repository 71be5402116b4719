// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The network of a run with --ecmp: a router with a link to each balancer and each
 * destination. With plain ECMP there is no balancer, and the router spreads the connections
 * over the destinations themselves.
 */
import type { LongRunning } from '../../system/long-running.js';
import type { Run } from '../../system/run.js';
import type { Row, Schedule, Step } from '../changes.js';
import { addressOf, toCsv } from '../changes.js';
import { Destinations, checkBuilt } from '../destinations.js';
import type { Flow, Settings } from '../protocol.js';
import { now } from '../protocol.js';
import { Roles } from '../roles.js';
import type { ToolOptions, Write } from '../tables.js';
import { Tables } from '../tables.js';
import type { Beside, Service, Testbed } from '../testbed.js';
import { Namespaces } from '../testbed.js';
import { RoutedBalancers } from './balancers.js';
import type { Shift } from './judge.js';
import { allBalancers } from './plan.js';
import type { Hop } from './router.js';
import { Router } from './router.js';
import type { Family, Sources } from './sources.js';
import { serviceOf } from './sources.js';

/** The MAC of all of the router's ports, as testbed/fabric.sh has it. */
const ROUTER_MAC = '02:00:00:00:00:02';

export interface FabricOptions extends ToolOptions {
  syncookies: string | undefined;
  family: Family;
  sources: Sources | undefined;
  /** No balancers: the router knows the destinations. */
  isPlain: boolean;
}

export class Fabric implements Testbed {
  readonly service: Service;
  readonly #run: Run;
  readonly #options: FabricOptions;
  readonly #schedule: Schedule;
  readonly #roles: Roles;
  readonly #namespaces: Namespaces;
  readonly #router: Router;
  readonly #destinations: Destinations;
  readonly #tables: Tables;
  readonly #balancers: RoutedBalancers;
  readonly #shifts: Shift[] = [];
  /** Of the change that is next. */
  #flows: readonly Flow[] = [];
  #before: string[] = [];
  /** What the router spreads over by hand. */
  #spread = '';

  /** After `stop` is aborted, nothing is started any more, except to take it down. */
  constructor(run: Run, schedule: Schedule, options: FabricOptions, stop: AbortSignal) {
    this.#run = run;
    this.#options = options;
    this.#schedule = schedule;
    this.service = serviceOf(options.family, options.sources);
    const name = `disturb-${process.pid}`;
    this.#roles = new Roles(run, name, stop);
    this.#namespaces = new Namespaces(run, this.#roles, name);
    const write: Write = (file, rows) =>
      this.#namespaces.write(file, toCsv(rows, ROUTER_MAC));
    const [roles, namespaces, { service }] = [this.#roles, this.#namespaces, this];
    this.#router = new Router(roles, namespaces, service);
    this.#tables = new Tables(
      roles,
      run,
      schedule,
      { ...options, isFleet: true },
      service,
      write,
    );
    const destinations = {
      ...options,
      hasTunnel: !options.isPlain,
      host: this.#isIpv6 ? '::' : undefined,
    };
    this.#destinations = new Destinations(roles, schedule, destinations, write);
    this.#balancers = new RoutedBalancers({
      ...{ roles, namespaces, schedule, service },
      ...{ tables: this.#tables, router: this.#router },
    });
  }

  async up(): Promise<void> {
    const { isPlain } = this.#options;
    const objects = ['testbed/pass.o', 'testbed/port.o', 'l4lb_decap.o'];
    checkBuilt(['testbed/network.sh', ...objects]);
    // Without it, this says what to install.
    if (!isPlain) await this.#run('bird', ['--version']);
    await this.#namespaces.up([
      ...['--balancers', String(isPlain ? 0 : allBalancers(this.#schedule))],
      ...['--count', String(this.#schedule.destinations), '--vip', this.service.vip],
      ...(this.#isIpv6 ? ['--ipv6'] : []),
    ]);
    await this.#addSources();
    this.#router.watch();
    await this.#destinations.start(() => Promise.resolve());
    if (isPlain) await this.#spreadOver(this.#schedule.first);
    else await this.#balancers.start();
  }

  async down(): Promise<void> {
    await this.#namespaces.down();
  }

  startClient(settings: Settings): LongRunning {
    return this.#roles.start('client', 'connections.mjs', [JSON.stringify(settings)]);
  }

  /** There is none behind a router. */
  startFlood(): Promise<void> {
    return Promise.resolve();
  }

  async beforeChange(_: number, flows: readonly Flow[]): Promise<void> {
    this.#flows = flows;
    this.#before = await this.#router.rolesOf(flows);
  }

  async change(step: Step): Promise<void> {
    const acted = this.#options.isPlain
      ? await this.#spreadOver(step.rows)
      : await this.#balancers.change(step);
    this.#shifts.push({
      acted,
      moved: acted === undefined ? undefined : this.#router.movedSince(acted),
      before: this.#before,
      after: await this.#router.rolesOf(this.#flows),
    });
  }

  finish(): Promise<Beside> {
    return Promise.resolve({ flood: undefined, halfOpen: [], shifts: this.#shifts });
  }

  async verdicts(): Promise<Record<string, number>> {
    return this.#tables.verdicts();
  }

  get #isIpv6(): boolean {
    return this.#options.family === '6';
  }

  /** The client has all addresses of a prefix, and the router knows the way to them. */
  async #addSources(): Promise<void> {
    const { sources, family } = this.#options;
    if (!sources) return;
    const what = 'could not give the client its addresses';
    const ip = `-${family}`;
    const client = this.#isIpv6 ? 'fd00:9::2' : '10.9.0.2';
    const local = [ip, 'route', 'add', 'local', sources.prefix, 'dev', 'lo'];
    await this.#roles.within('client', what, 'ip', local);
    const bind = ['-qw', `net.ipv${family}.ip_nonlocal_bind=1`];
    await this.#roles.within('client', what, 'sysctl', bind);
    const back = [ip, 'route', 'add', sources.prefix, 'via', client, 'dev', 'client'];
    await this.#roles.within('router', what, 'ip', back);
  }

  /** Spreads over destinations with a weight, all alike; returns when, if they changed. */
  async #spreadOver(rows: readonly Row[]): Promise<number | undefined> {
    const takers = rows.filter(({ weight }) => weight > 0);
    const roles = takers.map(({ number }) => `destination${number}`);
    if (roles.join() === this.#spread) return undefined;
    this.#spread = roles.join();
    const hops = takers.map(({ number }, i): Hop => ({
      role: roles[i] ?? '',
      address: this.#isIpv6 ? `fd00::1:${number.toString(16)}` : addressOf({ number }),
    }));
    const acted = now();
    await this.#router.spread(hops);
    await this.#router.until(roles);
    return acted;
  }
}
