// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A client, two balancers, l4lb and HAProxy, and for each of them as many web servers:
 * all on one switch, each in a namespace of its own.
 *
 * HAProxy has a machine and servers of its own, so that its packets pass neither our
 * program nor our decapsulation: it needs neither. What is idle costs nothing.
 */
import { availableParallelism } from 'node:os';

import { balancerConfig, serverConfig } from './haproxy.js';
import { Testbed } from './testbed.js';
import type { Answered } from './wrk.js';
import { parseWrk, wrkArguments } from './wrk.js';

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
  readonly #testbed: Testbed;
  readonly #threads = availableParallelism();

  /** Where the client sends its requests to. */
  readonly targets = {
    'straight to a destination': addressOf(BEHIND_HAPROXY[0] ?? NaN),
    [`l4lb, ${DESTINATIONS} destinations`]: VIP,
    [`HAProxy in TCP mode, ${DESTINATIONS} destinations`]: addressOf(HAPROXY),
  };

  /** Once `stop` says so nothing more is started, except to take it down. */
  constructor(stop: AbortSignal) {
    this.#testbed = new Testbed(stop);
  }

  async up(): Promise<void> {
    await this.#testbed.up('--count', String(HAPROXY), '--vip', VIP);
    await this.#startServers();
    await this.#startL4lb();
    await this.#startHaproxy();
    await this.#widenPorts('client');
  }

  /** Stops everything, as far as it was started. */
  async down(): Promise<void> {
    await this.#testbed.down();
  }

  async ask(address: string, seconds: number): Promise<Answered> {
    const args = wrkArguments(`http://${address}:${PORT}/`, {
      seconds,
      connections: CONNECTIONS,
      threads: this.#threads,
    });
    return parseWrk(await this.#testbed.ask('client', seconds, 'wrk', ...args));
  }

  async #startServers(): Promise<void> {
    const file = this.#testbed.write('server.cfg', serverConfig(PORT, this.#threads));
    for (const number of [...BEHIND_L4LB, ...BEHIND_HAPROXY]) {
      await this.#haproxy(`destination${number}`, file);
    }
  }

  async #startL4lb(): Promise<void> {
    const testbed = this.#testbed;
    for (const number of BEHIND_L4LB) {
      await testbed.tool(`destination${number}`, 'load', ['--decap', '-m', 'xdpdrv']);
    }
    const rows = BEHIND_L4LB.map((number) => `${addressOf(number)},\n`);
    const file = testbed.write('destinations.csv', rows.join(''));
    await testbed.tool('balancer', 'load', ['-m', 'xdpdrv']);
    await testbed.tool('balancer', 'map', ['-f', file, '--vip', `${VIP}:${PORT}/tcp`]);
  }

  async #startHaproxy(): Promise<void> {
    const role = `destination${HAPROXY}`;
    const text = balancerConfig(PORT, BEHIND_HAPROXY.map(addressOf), this.#threads);
    await this.#haproxy(role, this.#testbed.write('balancer.cfg', text));
    await this.#widenPorts(role);
  }

  /** In the foreground (-db), as our child. It does not say when it is ready. */
  async #haproxy(role: string, file: string): Promise<void> {
    const filter = ['sport', '=', String(PORT)];
    await this.#testbed.serve(role, filter, 'haproxy', '-db', '-f', file);
  }

  /** Who opens connections by the ten thousand must not run out of ports. */
  async #widenPorts(role: string): Promise<void> {
    const settings = [
      'net.ipv4.ip_local_port_range=1024 65535',
      'net.ipv4.tcp_tw_reuse=1',
    ];
    await this.#testbed.within(role, 'sysctl', '-q', '-w', ...settings);
  }
}
