// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The network of a run: namespaces by testbed/network.sh, destinations that decapsulate
 * and echo, balancers that the real tools load and fill, and the client. When down()
 * returns, everything that was started is gone.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Remember } from '../abi/cell.js';
import { Failure } from '../text/failure.js';
import { packaged } from '../system/package.js';
import type { Run } from '../system/run.js';
import type { Change, Row, Schedule } from './changes.js';
import { addressOf, everyRow, toCsv } from './changes.js';
import { LongRunning } from '../system/long-running.js';
import { MODULO_SLOTS, writeModulo } from './modulo.js';
import type { Settings } from './protocol.js';

export const VIP = '10.0.100.1';
export const PORT = 80;

/** Outer sources that name destinations; nothing in the network has such an address. */
const NAMES = ['--names', '10.7.0.0/16'];

/** Where testbed/network.sh keeps a directory for each network while it is up. */
const NETWORKS = '/run/l4lb-testbed';

export interface ToolOptions {
  /** Passed to l4lb-load. */
  object: string | undefined;
  /** Passed to l4lb-map, except `modulo`, which modulo.ts writes. */
  table: string | undefined;
  /** Who knows the connections of slots that moved, for l4lb-map. */
  remember: Remember | undefined;
}

/** The parts of l4lb-stats's output that are read here. */
interface SampleJson {
  destinations: { id: number; address: string }[];
  verdicts: Record<string, { packets: number }>;
}

export class Network {
  readonly #run: Run;
  readonly #options: ToolOptions;
  readonly #name = `disturb-${process.pid}`;
  readonly #children: LongRunning[] = [];
  readonly #schedule: Schedule;
  readonly #stop: AbortSignal;
  readonly #balancers: [string, string];
  /** The balancers that have a program, and how many of the files each was filled from. */
  readonly #loaded = new Map<string, number>();
  /** All files so far, the oldest first. */
  readonly #files: string[] = [];
  #current: string;
  #isMade = false;

  /** After `stop` is aborted, nothing is started any more, except to take it down. */
  constructor(run: Run, schedule: Schedule, options: ToolOptions, stop: AbortSignal) {
    this.#run = run;
    this.#options = options;
    this.#schedule = schedule;
    this.#stop = stop;
    // One namespace more than there are destinations stands in for the second balancer.
    this.#balancers = ['balancer', this.#destination(schedule.destinations + 1)];
    this.#current = this.#balancers[0];
  }

  async up(): Promise<void> {
    this.#check();
    const takesOver = this.#schedule.steps.some((one) => one.change.kind === 'takeover');
    const count = this.#schedule.destinations + (takesOver ? 1 : 0);
    this.#isMade = true;
    await this.#expect('could not build the network', packaged('testbed/network.sh'), [
      ...['up', this.#name, '--quiet', '--owner', String(process.pid)],
      ...['--count', String(count), '--vip', VIP],
    ]);
    await this.#startDestinations();
    await this.#startBalancer(this.#schedule.first);
  }

  /** Stops everything that was started. */
  async down(): Promise<void> {
    for (const child of this.#children) child.stop();
    await Promise.all(this.#children.map((child) => child.ended));
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
    return this.#start('client', 'connections.mjs', JSON.stringify(settings));
  }

  /** Makes one change with the tools that an operator would use. */
  async change(change: Change, rows: readonly Row[]): Promise<void> {
    if (change.kind === 'replace') await this.#load('--replace');
    else if (change.kind === 'takeover') await this.#takeOver(rows);
    else await this.#fill(rows);
  }

  /** Returns packets by verdict, summed over all balancers that were used. */
  async verdicts(): Promise<Record<string, number>> {
    const sums = new Map<string, number>();
    for (const role of this.#loaded.keys()) {
      const sample = await this.#sample(role);
      for (const [name, { packets }] of Object.entries(sample.verdicts)) {
        sums.set(name, (sums.get(name) ?? 0) + packets);
      }
    }
    return Object.fromEntries(sums);
  }

  async #sample(role: string): Promise<SampleJson> {
    const args = ['--once', '--json', '--interval', '0.05'];
    return JSON.parse(await this.#tool(role, 'stats', args)) as SampleJson;
  }

  #check(): void {
    const needed = ['testbed/network.sh', 'testbed/pass.o', 'l4lb_decap.o'];
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
      const role = this.#destination(number);
      await this.#loadDecap(role);
      const server = this.#start(role, 'echo.mjs', addressOf({ number }), String(PORT));
      await server.firstLine(`the echo server in ${role}`);
    });
    // Wait for all even if one fails: down() would miss servers that start later.
    for (const server of await Promise.allSettled(servers)) {
      if (server.status === 'rejected') throw server.reason;
    }
  }

  /** By hand, as it knows no address then; or by the tool, with the names of all others. */
  async #loadDecap(role: string): Promise<void> {
    if (this.#options.remember === 'destinations') {
      const siblings = this.#write('siblings.csv', everyRow(this.#schedule));
      const known = [...NAMES, '--siblings', siblings];
      await this.#tool(role, 'load', ['-m', 'xdpdrv', '--decap', ...known]);
      return;
    }
    const decap = packaged('l4lb_decap.o');
    const load = ['link', 'set', 'dev', 'eth0', 'xdpdrv', 'obj', decap, 'sec', 'xdp'];
    await this.#within(role, `could not load l4lb_decap.o in ${role}`, 'ip', load);
  }

  async #startBalancer(rows: readonly Row[]): Promise<void> {
    await this.#load();
    const ways = ['--vip', `${VIP}:${PORT}/tcp`];
    if (this.#options.table === 'modulo') {
      // First all destinations of the run, so that each gets an id; then the slots.
      await this.#map(everyRow(this.#schedule), [
        ...ways,
        '--slots',
        String(MODULO_SLOTS),
      ]);
      await this.#fill(rows);
    } else {
      const { table, remember } = this.#options;
      const older = this.#files.length === 0 ? [] : ['--previous', ...this.#files];
      await this.#map(rows, [
        ...ways,
        ...(table === undefined ? [] : ['--table', table]),
        ...(remember === undefined ? [] : ['--remember', remember]),
        ...(remember === 'destinations' ? [...NAMES, ...older] : []),
      ]);
    }
  }

  async #load(...more: string[]): Promise<void> {
    const { object } = this.#options;
    const args = ['-m', 'xdpdrv', ...(object === undefined ? [] : ['--obj', object])];
    await this.#tool(this.#current, 'load', [...args, ...more]);
    this.#loaded.set(this.#current, this.#loaded.get(this.#current) ?? 0);
  }

  async #fill(rows: readonly Row[]): Promise<void> {
    if (this.#options.table !== 'modulo') {
      await this.#map(rows);
      return;
    }
    const inside: Run = (command, args, options) =>
      this.#run('nsenter', [...this.#enter(this.#current), command, ...args], options);
    const { destinations } = await this.#sample(this.#current);
    const ids = new Map(destinations.map(({ address, id }) => [address, id]));
    await writeModulo(this.#run, inside, this.#namespace(this.#current), rows, ids);
  }

  async #map(rows: readonly Row[], more: readonly string[] = []): Promise<void> {
    const file = this.#write(`${this.#files.length + 1}.csv`, rows);
    await this.#tool(this.#current, 'map', ['-f', file, ...more]);
    this.#files.push(file);
    this.#loaded.set(this.#current, this.#files.length);
  }

  #write(name: string, rows: readonly Row[]): string {
    const file = join(NETWORKS, this.#name, name);
    writeFileSync(file, toCsv(rows));
    return file;
  }

  /** Gives the other balancer the same file, then the client's packets. */
  async #takeOver(rows: readonly Row[]): Promise<void> {
    const [first, second] = this.#balancers;
    this.#current = this.#current === first ? second : first;
    const seen = this.#loaded.get(this.#current);
    if (seen === undefined) await this.#startBalancer(rows);
    else {
      // What it has missed meanwhile, in the same order.
      for (const file of this.#files.slice(seen)) {
        await this.#tool(this.#current, 'map', ['-f', file]);
      }
      await this.#fill(rows);
    }
    const via =
      this.#current === first
        ? '10.0.0.4'
        : addressOf({ number: this.#schedule.destinations + 1 });
    await this.#within('client', 'could not switch the route of the client', 'ip', [
      ...['route', 'replace', `${VIP}/32`, 'via', via, 'dev', 'eth0', 'mtu', '1480'],
    ]);
  }

  #destination(number: number): string {
    return `destination${number}`;
  }

  #enter(role: string): string[] {
    return [`--net=${this.#namespace(role)}`, '--'];
  }

  #namespace(role: string): string {
    return `/run/netns/l4lb-${this.#name}-${role}`;
  }

  #start(role: string, script: string, ...args: string[]): LongRunning {
    this.#stop.throwIfAborted();
    const command = [process.execPath, packaged(`testbed/${script}`), ...args];
    const child = new LongRunning('nsenter', [...this.#enter(role), ...command]);
    this.#children.push(child);
    return child;
  }

  async #tool(role: string, tool: string, args: string[]): Promise<string> {
    const command = [packaged(`bin/l4lb-${tool}.js`), '-i', 'eth0', ...args];
    return this.#within(role, `l4lb-${tool} failed`, process.execPath, command);
  }

  async #within(
    role: string,
    what: string,
    command: string,
    args: readonly string[],
  ): Promise<string> {
    return this.#expect(what, 'nsenter', [...this.#enter(role), command, ...args]);
  }

  async #expect(what: string, command: string, args: readonly string[]): Promise<string> {
    this.#stop.throwIfAborted();
    const { exitCode, stdout, stderr } = await this.#run(command, args);
    if (exitCode === 0) return stdout;
    const [first = `exit code ${exitCode}`, ...more] = stderr.trim().split('\n');
    throw new Failure([`${what}: ${first}`, ...more].join('\n'));
  }
}
