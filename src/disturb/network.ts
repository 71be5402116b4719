// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The network of a run: namespaces by testbed/network.sh, destinations that echo, and
 * decapsulate if there is a tunnel, balancers that the real tools load and fill, and the client. When down()
 * returns, everything that was started is gone.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Failure } from '../text/failure.js';
import type { LongRunning } from '../system/long-running.js';
import { packaged } from '../system/package.js';
import type { Run } from '../system/run.js';
import type { ToolOptions } from './balancers.js';
import { Balancers, FIRST, NAMES, POOL, PORT, VIP, needsSecond } from './balancers.js';
import type { Change, Row, Schedule } from './changes.js';
import { addressOf, everyRow, toCsv } from './changes.js';
import type { FloodTotal } from './flood.js';
import { FLOOD_SOURCES, Flood } from './flood.js';
import { HalfOpens } from './half-open.js';
import type { HalfOpen } from './judge-half-open.js';
import type { Settings } from './protocol.js';
import { Roles } from './roles.js';
import { USUAL_FORWARD, answersComeBack } from '../wire/forward.js';

/** Where testbed/network.sh keeps a directory for each network while it is up. */
const NETWORKS = '/run/l4lb-testbed';
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

export class Network {
  readonly #run: Run;
  readonly #options: NetworkOptions;
  readonly #name = `disturb-${process.pid}`;
  readonly #roles: Roles;
  readonly #balancers: Balancers;
  readonly #halfOpens: HalfOpens | undefined;
  readonly #schedule: Schedule;
  #flood: Flood | undefined;
  #isMade = false;

  /** After `stop` is aborted, nothing is started any more, except to take it down. */
  constructor(run: Run, schedule: Schedule, options: NetworkOptions, stop: AbortSignal) {
    this.#run = run;
    this.#options = options;
    this.#schedule = schedule;
    this.#roles = new Roles(run, this.#name, stop);
    this.#balancers = new Balancers(this.#roles, run, schedule, options, (name, rows) =>
      this.#write(name, rows),
    );
    if (options.halfOpen !== undefined) {
      const { destinations } = schedule;
      this.#halfOpens = new HalfOpens(this.#roles, options.halfOpen, destinations);
    }
  }

  async up(): Promise<void> {
    this.#check();
    this.#isMade = true;
    const network = packaged('testbed/network.sh');
    await this.#roles.expect('could not build the network', network, [
      ...['up', this.#name, '--quiet', '--owner', String(process.pid)],
      ...['--count', String(this.#namespaces), '--vip', VIP],
    ]);
    await this.#halfOpens?.prepare();
    if (answersComeBack(this.#options.forward ?? USUAL_FORWARD)) await this.#makeRouter();
    await this.#startDestinations();
    await this.#balancers.start();
  }

  /** Stops everything that was started. */
  async down(): Promise<void> {
    await this.#roles.stop();
    if (!this.#isMade) return;
    // Ctrl-C in the terminal must not stop it half way.
    const args = ['down', this.#name];
    const network = packaged('testbed/network.sh');
    const { exitCode, stderr } = await this.#run(network, args, { detached: true });
    if (exitCode === 0 || stderr.includes('there is no network')) return;
    throw new Failure(`could not take the network down: ${stderr.trim()}`, {
      next: `${network} down ${this.#name}`,
    });
  }

  /** Starts the client, which opens connections at once. */
  startClient(settings: Settings): LongRunning {
    return this.#roles.start('client', 'connections.mjs', JSON.stringify(settings));
  }

  /** Starts the flood, if there is to be one. It ends by itself after `limit` ms. */
  async startFlood(limit: number): Promise<void> {
    const { flood } = this.#options;
    if (flood === undefined) return;
    this.#flood = new Flood(this.#roles, this.#flooder.role, flood, limit);
    await this.#flood.aim(this.#balancers.carriers);
  }

  /** Opens what is to be half open over change `index`, before it. */
  async beforeChange(index: number): Promise<void> {
    this.#flood?.check();
    await this.#halfOpens?.begin(index);
  }

  /** Makes one change with the tools that an operator would use. */
  async change(change: Change, rows: readonly Row[]): Promise<void> {
    const before = this.#balancers.carriers;
    await this.#balancers.change(change, rows);
    const { carriers } = this.#balancers;
    if (carriers !== before) await this.#flood?.aim(carriers);
    await this.#halfOpens?.release();
  }

  /** Ends the flood, and waits for connections that were half open. */
  async finish(): Promise<{ flood: FloodTotal | undefined; halfOpen: HalfOpen[] }> {
    const halfOpen = await this.#halfOpens?.end();
    return { halfOpen: halfOpen ?? [], flood: await this.#flood?.end() };
  }

  /** Returns packets by verdict, summed over all balancers that were used. */
  async verdicts(): Promise<Record<string, number>> {
    return this.#balancers.verdicts();
  }

  get #hasTunnel(): boolean {
    return (this.#options.forward ?? USUAL_FORWARD) === 'tunnel';
  }

  /** Behind the destinations are the second balancer, if any, and then the flooder. */
  get #flooder(): { role: string; address: string } {
    const number = this.#schedule.destinations + (needsSecond(this.#schedule) ? 2 : 1);
    return { role: `destination${number}`, address: addressOf({ number }) };
  }

  get #namespaces(): number {
    const { flood } = this.#options;
    const others = [needsSecond(this.#schedule), flood !== undefined];
    return this.#schedule.destinations + others.filter(Boolean).length;
  }

  #check(): void {
    const needed = ['testbed/network.sh', 'testbed/pass.o'];
    if (this.#hasTunnel) needed.push('l4lb_decap.o');
    if (this.#halfOpens) needed.push('testbed/hold.o');
    const missing = needed.map(packaged).filter((path) => !existsSync(path));
    if (missing.length === 0) return;
    throw new Failure(`missing: ${missing.join(' and ')}`, {
      cause: 'the objects were not compiled',
      next: 'make objects',
    });
  }

  async #startDestinations(): Promise<void> {
    const numbers = Array.from({ length: this.#schedule.destinations }, (_, i) => i + 1);
    const servers = numbers.map(async (number) => {
      const role = `destination${number}`;
      await this.#configure(role);
      // Without a tunnel, a connection shows that no program is needed.
      if (this.#hasTunnel) await this.#loadDecap(role);
      const name = addressOf({ number });
      const server = this.#roles.start(role, 'echo.mjs', name, String(PORT));
      await server.firstLine(`the echo server in ${role}`);
    });
    // Wait for all even if one fails: down() would miss servers that start later.
    for (const server of await Promise.allSettled(servers)) {
      if (server.status === 'rejected') throw server.reason;
    }
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
    const { flood, syncookies, forward } = this.#options;
    if (forward !== undefined && answersComeBack(forward)) {
      const back = forward === 'nat' ? CLIENTS : POOL;
      const route = ['route', 'add', back, 'via', FIRST.address];
      await this.#roles.within(role, `could not add a route in ${role}`, 'ip', route);
    }
    if (syncookies !== undefined) {
      const setting = `net.ipv4.tcp_syncookies=${syncookies}`;
      const what = `could not set tcp_syncookies in ${role}`;
      await this.#roles.within(role, what, 'sysctl', ['-qw', setting]);
    }
    if (flood === undefined) return;
    // Without a way back, its kernel would not take the SYNs of the flood. The flooder
    // ignores the answers, as they are not for its own address.
    const route = ['route', 'add', FLOOD_SOURCES, 'via', this.#flooder.address];
    const what = `could not add a route in ${role}`;
    await this.#roles.within(role, what, 'ip', route);
  }

  /** By hand, as it knows no address then; or by the tool, with the names of all others. */
  async #loadDecap(role: string): Promise<void> {
    if (this.#options.remember === 'destinations') {
      const siblings = this.#write('siblings.csv', everyRow(this.#schedule));
      const known = [...NAMES, '--siblings', siblings];
      await this.#roles.tool(role, 'load', ['-m', 'xdpdrv', '--decap', ...known]);
      return;
    }
    const decap = packaged('l4lb_decap.o');
    const load = ['link', 'set', 'dev', 'eth0', 'xdpdrv', 'obj', decap, 'sec', 'xdp'];
    await this.#roles.within(role, `could not load l4lb_decap.o in ${role}`, 'ip', load);
  }

  #write(name: string, rows: readonly Row[]): string {
    const file = join(NETWORKS, this.#name, name);
    writeFileSync(file, toCsv(rows));
    return file;
  }
}
