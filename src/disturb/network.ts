// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The usual network of a run: namespaces on one switch, destinations, balancers that the
 * real tools load and fill, and the client. When down() returns, everything that was
 * started is gone.
 */
import type { LongRunning } from '../system/long-running.js';
import type { Run } from '../system/run.js';
import { Balancers, FIRST, needsSecond } from './balancers.js';
import type { Schedule, Step } from './changes.js';
import { addressOf, toCsv } from './changes.js';
import { Destinations, checkBuilt } from './destinations.js';
import { FLOOD_SOURCES, Flood } from './flood.js';
import { HalfOpens } from './half-open.js';
import type { Settings } from './protocol.js';
import { Roles } from './roles.js';
import type { ToolOptions, Write } from './tables.js';
import { Tables } from './tables.js';
import type { Beside, Testbed } from './testbed.js';
import { Namespaces, POOL, SERVICE } from './testbed.js';
import { USUAL_FORWARD, answersComeBack } from '../wire/forward.js';

/** The client's addresses, that of connections which are held half open too. */
const CLIENTS = '10.0.255.0/24';

export interface NetworkOptions extends ToolOptions {
  /** SYNs a second beside the measured connections. */
  flood: number | undefined;
  /** net.ipv4.tcp_syncookies of the destinations; undefined: as the kernel has it. */
  syncookies: string | undefined;
  /** Connections to hold half open over each change. */
  halfOpen: number | undefined;
}

export class Network implements Testbed {
  readonly service = SERVICE;
  readonly #options: NetworkOptions;
  readonly #namespaces: Namespaces;
  readonly #roles: Roles;
  readonly #tables: Tables;
  readonly #balancers: Balancers;
  readonly #destinations: Destinations;
  readonly #halfOpens: HalfOpens | undefined;
  readonly #schedule: Schedule;
  #flood: Flood | undefined;

  /** After `stop` is aborted, nothing is started any more, except to take it down. */
  constructor(run: Run, schedule: Schedule, options: NetworkOptions, stop: AbortSignal) {
    this.#options = options;
    this.#schedule = schedule;
    const name = `disturb-${process.pid}`;
    this.#roles = new Roles(run, name, stop);
    this.#namespaces = new Namespaces(run, this.#roles, name);
    const write: Write = (file, rows) => this.#namespaces.write(file, toCsv(rows));
    this.#tables = new Tables(this.#roles, run, schedule, options, SERVICE, write);
    this.#balancers = new Balancers(this.#roles, schedule, this.#tables);
    const kind = { ...options, hasTunnel: this.#hasTunnel };
    this.#destinations = new Destinations(this.#roles, schedule, kind, write);
    if (options.halfOpen !== undefined) {
      const { destinations } = schedule;
      this.#halfOpens = new HalfOpens(this.#roles, options.halfOpen, destinations);
    }
  }

  async up(): Promise<void> {
    checkBuilt([
      ...['testbed/network.sh', 'testbed/pass.o'],
      ...(this.#hasTunnel ? ['l4lb_decap.o'] : []),
      ...(this.#halfOpens ? ['testbed/hold.o'] : []),
    ]);
    const count = String(this.#count);
    await this.#namespaces.up(['--count', count, '--vip', SERVICE.vip]);
    await this.#halfOpens?.prepare();
    if (answersComeBack(this.#options.forward ?? USUAL_FORWARD)) await this.#makeRouter();
    await this.#destinations.start((role) => this.#configure(role));
    await this.#balancers.start();
  }

  async down(): Promise<void> {
    await this.#namespaces.down();
  }

  startClient(settings: Settings): LongRunning {
    return this.#roles.start('client', 'connections.mjs', [JSON.stringify(settings)]);
  }

  async startFlood(limit: number): Promise<void> {
    const { flood } = this.#options;
    if (flood === undefined) return;
    this.#flood = new Flood(this.#roles, this.#flooder.role, flood, limit);
    await this.#flood.aim(this.#balancers.carriers);
  }

  /** Opens what is to be half open over change `index`. */
  async beforeChange(index: number): Promise<void> {
    this.#flood?.check();
    await this.#halfOpens?.begin(index);
  }

  async change(step: Step): Promise<void> {
    const before = this.#balancers.carriers;
    await this.#balancers.change(step);
    const { carriers } = this.#balancers;
    if (carriers !== before) await this.#flood?.aim(carriers);
    await this.#halfOpens?.release();
  }

  /** Ends the flood, and waits for connections that were half open. */
  async finish(): Promise<Beside> {
    const halfOpen = await this.#halfOpens?.end();
    return { halfOpen: halfOpen ?? [], flood: await this.#flood?.end() };
  }

  async verdicts(): Promise<Record<string, number>> {
    return this.#tables.verdicts();
  }

  get #hasTunnel(): boolean {
    return (this.#options.forward ?? USUAL_FORWARD) === 'tunnel';
  }

  /** Behind the destinations are the second balancer, if any, and then the flooder. */
  get #flooder(): { role: string; address: string } {
    const number = this.#schedule.destinations + (needsSecond(this.#schedule) ? 2 : 1);
    return { role: `destination${number}`, address: addressOf({ number }) };
  }

  get #count(): number {
    const { flood } = this.#options;
    const others = [needsSecond(this.#schedule), flood !== undefined];
    return this.#schedule.destinations + others.filter(Boolean).length;
  }

  /** Answers by nat come back through the first balancer, which routes them. */
  async #makeRouter(): Promise<void> {
    await this.#roles.within(
      'balancer',
      'could not make the balancer a router',
      'sysctl',
      [
        ...['-qw', 'net.ipv4.ip_forward=1', 'net.ipv4.conf.all.send_redirects=0'],
        'net.ipv4.conf.eth0.send_redirects=0',
      ],
    );
  }

  async #configure(role: string): Promise<void> {
    const { flood, forward } = this.#options;
    const what = `could not add a route in ${role}`;
    if (forward !== undefined && answersComeBack(forward)) {
      const back = forward === 'nat' ? CLIENTS : POOL;
      const route = ['route', 'add', back, 'via', FIRST.address];
      await this.#roles.within(role, what, 'ip', route);
    }
    if (flood === undefined) return;
    // Without a way back, its kernel would not take the SYNs of the flood. The flooder
    // ignores the answers, as they are not for its own address.
    const route = ['route', 'add', FLOOD_SOURCES, 'via', this.#flooder.address];
    await this.#roles.within(role, what, 'ip', route);
  }
}
