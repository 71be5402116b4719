// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Processes of l4lb-dpdk in the network of a test. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { ROOT } from '../agent/agent.js';
import type { Network } from './network.js';

export const PROGRAM = `${ROOT}/dpdk/l4lb-dpdk`;

/** Says that it runs, since then the tools find it. */
const READY = /fill them with: l4lb-map -i (\S+) -f FILE\n/;
const LONGEST_START = 30_000;

export class Dpdk {
  /** The port of most tests: a tap, with the MAC address of the balancer. */
  static readonly TAP = '--vdev=net_tap0,iface=tapdpdk,mac=02:00:00:00:00:04';

  readonly pid: number;
  readonly #child: ChildProcess;
  #said = '';

  private constructor(child: ChildProcess) {
    if (child.pid === undefined) throw new Error(`${PROGRAM} does not start`);
    this.pid = child.pid;
    this.#child = child;
    child.stderr?.on('data', (text: Buffer) => (this.#said += text.toString()));
  }

  /** In the balancer's namespace. Returns when its threads are about to run. */
  static async start(
    network: Network,
    cores: string,
    port: string,
    ...options: string[]
  ): Promise<Dpdk> {
    const where = network.namespaceOf('balancer');
    const nap = ['--nap', '200'];
    const args = [where, PROGRAM, '-l', cores, port, '--', ...nap, ...options];
    // nsenter becomes the program, so a signal reaches it.
    const child = spawn('nsenter', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const it = new Dpdk(child);
    await it.#until(READY);
    return it;
  }

  /** All that it has said so far. */
  get said(): string {
    return this.#said;
  }

  /** Ends it, and returns its exit code. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode === null && signalCode === null) {
      const closed = once(this.#child, 'close');
      this.#child.kill(signal);
      await closed;
    }
    return this.#child.exitCode;
  }

  async #until(pattern: RegExp): Promise<void> {
    const deadline = AbortSignal.timeout(LONGEST_START);
    while (!pattern.test(this.#said)) {
      if (this.#child.exitCode !== null || deadline.aborted) {
        throw new Error(`l4lb-dpdk did not start:\n${this.#said}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/**
 * Takes the balancer's own device away. What DPDK receives comes by a tap, which the switch
 * gets in place of its port; the exception gets the name and the addresses.
 */
export async function startInPlace(network: Network, cores = '0'): Promise<Dpdk> {
  // Nobody else has its link-local address, so nobody has to be asked for two seconds.
  await network.shell(
    'balancer',
    'ip link del eth0 2>/dev/null || true; sysctl -qw net.ipv6.conf.default.accept_dad=0',
  );
  const there = await Dpdk.start(network, cores, Dpdk.TAP, '--exception', 'eth0');
  await network.shell(
    'balancer',
    `ip link set tapdpdk netns l4lb-${network.name}-switch
     ip addr add 10.0.0.4/16 dev eth0; ip addr add fd00::4/64 dev eth0 nodad; ip link set eth0 up`,
  );
  await network.shell(
    'switch',
    `ip link set tapdpdk master switch up
     bridge fdb replace 02:00:00:00:00:04 dev tapdpdk master static`,
  );
  return there;
}
