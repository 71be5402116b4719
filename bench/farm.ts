// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A client, two balancers, l4lb and HAProxy, and for each of them as many web servers:
 * all on one switch, each in a namespace of its own.
 *
 * HAProxy has a machine and servers of its own, so that its packets pass neither our
 * program nor our decapsulation: it needs neither. What is idle costs nothing.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import { Failure } from '../src/text/failure.js';
import { LongRunning } from '../src/system/long-running.js';
import { run } from '../src/system/run.js';
import { ROOT, expectDone } from './started.js';
import { balancerConfig, serverConfig } from './haproxy.js';
import type { Answered } from './wrk.js';
import { parseWrk, wrkArguments } from './wrk.js';

const NETWORK = join(ROOT, 'testbed/network.sh');

const VIP = '10.0.100.1';
const PORT = 80;
const DESTINATIONS = 4;
/** At once; enough to keep all processors busy. */
const CONNECTIONS = 64;

const addressOf = (number: number): string => `10.0.1.${number}`;
const numbers = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => from + index);

/** By the numbers that testbed/network.sh gives to what it calls destinations. */
const BEHIND_L4LB = numbers(1, DESTINATIONS);
const BEHIND_HAPROXY = numbers(1 + DESTINATIONS, DESTINATIONS);
const HAPROXY = 1 + 2 * DESTINATIONS;

export class Farm {
  readonly #stop: AbortSignal;
  readonly #name = `bench-${process.pid}`;
  readonly #threads = availableParallelism();
  readonly #folder = mkdtempSync(join(tmpdir(), 'l4lb-bench-'));
  readonly #children: LongRunning[] = [];
  #isMade = false;

  /** Where the client sends its requests to. */
  readonly targets = {
    'straight to a destination': addressOf(BEHIND_HAPROXY[0] ?? NaN),
    [`l4lb, ${DESTINATIONS} destinations`]: VIP,
    [`HAProxy in TCP mode, ${DESTINATIONS} destinations`]: addressOf(HAPROXY),
  };

  /** Once `stop` says so nothing more is started, except to take it down. */
  constructor(stop: AbortSignal) {
    this.#stop = stop;
  }

  async up(): Promise<void> {
    this.#isMade = true;
    await this.#expect(NETWORK, [
      ...['up', this.#name, '--quiet', '--owner', String(process.pid)],
      ...['--count', String(HAPROXY), '--vip', VIP],
    ]);
    await this.#startServers();
    await this.#startL4lb();
    await this.#startHaproxy();
    await this.#widenPorts('client');
  }

  /** Stops everything, as far as it was started. */
  async down(): Promise<void> {
    for (const child of this.#children) child.stop();
    await Promise.all(this.#children.map((child) => child.ended));
    rmSync(this.#folder, { recursive: true });
    if (!this.#isMade) return;
    // Ctrl-C in the terminal must not stop it half way.
    const args = ['down', this.#name];
    const { exitCode, stderr } = await run(NETWORK, args, { detached: true });
    if (exitCode === 0 || stderr.includes('there is no network')) return;
    throw new Failure(`could not take the network down: ${stderr.trim()}`, {
      next: `${NETWORK} down ${this.#name}`,
    });
  }

  async ask(address: string, seconds: number): Promise<Answered> {
    this.#stop.throwIfAborted();
    const args = wrkArguments(`http://${address}:${PORT}/`, {
      seconds,
      connections: CONNECTIONS,
      threads: this.#threads,
    });
    const wrk = new LongRunning('nsenter', this.#inside('client', 'wrk', args));
    this.#children.push(wrk);
    const lines: string[] = [];
    wrk.onLine((line) => lines.push(line));
    const stop = (): void => wrk.stop();
    this.#stop.addEventListener('abort', stop);
    await wrk.ended;
    this.#stop.removeEventListener('abort', stop);
    this.#stop.throwIfAborted();
    if (wrk.exitCode !== 0) throw wrk.failure(`wrk ${args.join(' ')}`);
    return parseWrk(lines.join('\n'));
  }

  async #startServers(): Promise<void> {
    const file = this.#write('server.cfg', serverConfig(PORT, this.#threads));
    for (const number of [...BEHIND_L4LB, ...BEHIND_HAPROXY]) {
      await this.#haproxy(`destination${number}`, file);
    }
  }

  async #startL4lb(): Promise<void> {
    for (const number of BEHIND_L4LB) {
      await this.#tool(`destination${number}`, 'load', '--decap', '-m', 'xdpdrv');
    }
    const rows = BEHIND_L4LB.map((number) => `${addressOf(number)},\n`);
    const file = this.#write('destinations.csv', rows.join(''));
    await this.#tool('balancer', 'load', '-m', 'xdpdrv');
    await this.#tool('balancer', 'map', '-f', file, '--vip', `${VIP}:${PORT}/tcp`);
  }

  async #startHaproxy(): Promise<void> {
    const role = `destination${HAPROXY}`;
    const text = balancerConfig(PORT, BEHIND_HAPROXY.map(addressOf), this.#threads);
    await this.#haproxy(role, this.#write('balancer.cfg', text));
    await this.#widenPorts(role);
  }

  /** In the foreground (-db), as our child. It does not say when it is ready. */
  async #haproxy(role: string, file: string): Promise<void> {
    this.#stop.throwIfAborted();
    const args = this.#inside(role, 'haproxy', ['-db', '-f', file]);
    const haproxy = new LongRunning('nsenter', args);
    this.#children.push(haproxy);
    const look = ['--no-header', '--listening', '--tcp', 'sport', '=', String(PORT)];
    for (let tries = 0; tries < 100 && haproxy.exitCode === undefined; tries++) {
      if ((await this.#within(role, 'ss', look)) !== '') return;
      await setTimeout(50);
    }
    throw haproxy.exitCode === undefined
      ? new Failure(`haproxy in ${role} does not listen after 5 seconds`)
      : haproxy.failure(`haproxy in ${role}`);
  }

  /** Who opens connections by the ten thousand must not run out of ports. */
  async #widenPorts(role: string): Promise<void> {
    const settings = [
      'net.ipv4.ip_local_port_range=1024 65535',
      'net.ipv4.tcp_tw_reuse=1',
    ];
    await this.#within(role, 'sysctl', ['-q', '-w', ...settings]);
  }

  async #tool(role: string, tool: string, ...args: string[]): Promise<void> {
    const command = [join(ROOT, `bin/l4lb-${tool}.js`), '-i', 'eth0', ...args];
    await this.#within(role, process.execPath, command);
  }

  #write(name: string, text: string): string {
    const file = join(this.#folder, name);
    writeFileSync(file, text);
    return file;
  }

  #inside(role: string, command: string, args: readonly string[]): string[] {
    return [`--net=/run/netns/l4lb-${this.#name}-${role}`, '--', command, ...args];
  }

  async #within(role: string, command: string, args: readonly string[]): Promise<string> {
    return this.#expect('nsenter', this.#inside(role, command, args));
  }

  async #expect(command: string, args: readonly string[]): Promise<string> {
    this.#stop.throwIfAborted();
    return expectDone(run(command, args), [command, ...args]);
  }
}
