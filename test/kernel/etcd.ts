// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * An etcd for a test, in a network namespace of its own. It listens on a socket in a folder;
 * a relay in this process leads there, which can also become silent.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo, Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';

/** etcd's names of sockets have the form of a host and a port, and lie where it runs. */
const SOCKET = 'client:0';
const URLS = ['--listen-client-urls', '--advertise-client-urls'];
/** It elects itself sooner, and so grants leases of one second. */
const QUICK = ['--heartbeat-interval', '10', '--election-timeout', '100'];
const LOG = ['--log-level', 'error', '--logger', 'zap', '--unsafe-no-fsync'];

export class Etcd {
  readonly #folder = mkdtempSync(join(tmpdir(), 'l4lb-etcd-'));
  readonly #relay: Server;
  readonly #sockets = new Set<Socket>();
  #isSilent = false;
  #process: ChildProcess | undefined;

  private constructor() {
    this.#relay = createServer((client) => this.#relayed(client));
    this.#relay.listen(0, '127.0.0.1');
  }

  static async up(): Promise<Etcd> {
    const etcd = new Etcd();
    await once(etcd.#relay, 'listening');
    await etcd.start();
    return etcd;
  }

  /** Where it is asked. */
  get url(): string {
    return `http://127.0.0.1:${(this.#relay.address() as AddressInfo).port}`;
  }

  /** Starts it with what it had. */
  async start(): Promise<void> {
    // A killed one leaves its socket.
    rmSync(join(this.#folder, SOCKET), { force: true });
    const urls = URLS.flatMap((option) => [option, `unix://${SOCKET}`]);
    const script = 'ip link set lo up && exec etcd "$@"';
    const args = ['sh', ...urls, '--data-dir', 'data', ...QUICK, ...LOG];
    this.#process = spawn('unshare', ['--net', 'sh', '-c', script, ...args], {
      cwd: this.#folder,
      stdio: 'ignore',
    });
    while (!(await this.#isHealthy())) {
      if (this.#process.exitCode !== null) throw new Error('etcd has ended');
      await sleep(20);
    }
  }

  async #isHealthy(): Promise<boolean> {
    const signal = AbortSignal.timeout(300);
    const ask = async (): Promise<string> =>
      (await fetch(`${this.url}/health`, { signal })).text();
    return (await ask().catch(() => '')).includes('"true"');
  }

  async kill(): Promise<void> {
    const { exitCode, signalCode } = this.#process ?? {};
    if (!this.#process || exitCode !== null || signalCode !== null) return;
    this.#process.kill('SIGKILL');
    await once(this.#process, 'exit');
  }

  /** Lets nothing through any more, and ends nothing, or goes on. */
  silence(isSilent: boolean): void {
    this.#isSilent = isSilent;
    for (const socket of this.#sockets) {
      if (isSilent) socket.pause();
      else socket.resume();
    }
  }

  /** What etcdctl says. */
  async ctl(...args: string[]): Promise<string> {
    const endpoint = ['--endpoints', `unix://${SOCKET}`];
    const limit = ['--command-timeout', '3s', '--dial-timeout', '3s'];
    const { stdout } = await execa('etcdctl', [...endpoint, ...limit, ...args], {
      timeout: 5000,
      cwd: this.#folder,
      env: { ETCDCTL_API: '3' },
    });
    return stdout;
  }

  async down(): Promise<void> {
    await this.kill();
    for (const socket of this.#sockets) socket.destroy();
    this.#relay.close();
    rmSync(this.#folder, { recursive: true });
  }

  #relayed(client: Socket): void {
    const server = connect(join(this.#folder, SOCKET));
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from);
      from.on('data', (part) => to.write(part));
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      if (this.#isSilent) from.pause();
    }
  }
}
