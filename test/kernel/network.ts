// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A network of namespaces for one test file, and commands that run in it. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { execa } from 'execa';

export const ROOT = new URL('../../', import.meta.url).pathname;

export type Role =
  'client' | 'balancer' | 'switch' | 'destinations' | `destination${number}`;

export interface Finished {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export class Network {
  readonly name: string;
  readonly #children: ChildProcess[] = [];

  private constructor(name: string) {
    this.name = name;
  }

  /** Options as testbed/network.sh takes them. */
  static async up(...options: string[]): Promise<Network> {
    const owner = ['--owner', String(process.pid), '--quiet'];
    const { stdout } = await execa('testbed/network.sh', ['up', ...owner, ...options], {
      cwd: ROOT,
    });
    return new Network(stdout.trim());
  }

  async down(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await execa('testbed/network.sh', ['down', this.name], { cwd: ROOT });
  }

  /** Runs a command in a role's namespace; its exit code is part of the answer. */
  async run(
    role: Role,
    command: string,
    args: string[] = [],
    input = '',
  ): Promise<Finished> {
    const { exitCode, stdout, stderr } = await execa(
      'nsenter',
      [`--net=/run/netns/l4lb-${this.name}-${role}`, command, ...args],
      { cwd: ROOT, reject: false, input, timeout: 60_000 },
    );
    return { exitCode: exitCode ?? -1, stdout, stderr };
  }

  /** Runs one of our commands on the balancer's eth0. */
  async l4lb(command: 'load' | 'map' | 'stats', ...args: string[]): Promise<Finished> {
    return this.run('balancer', `bin/l4lb-${command}.js`, ['-i', 'eth0', ...args]);
  }

  /** The same where anything but success is a fault of the test. */
  async expectOk(role: Role, command: string, ...args: string[]): Promise<Finished> {
    const finished = await this.run(role, command, args);
    if (finished.exitCode !== 0) {
      throw new Error(
        `${command} ${args.join(' ')} exited with ${finished.exitCode}\n` +
          finished.stdout +
          finished.stderr,
      );
    }
    return finished;
  }

  /** Starts a command that goes on beside the test, until the network goes down. */
  start(role: Role, command: string, ...args: string[]): ChildProcess {
    const child = spawn(
      'nsenter',
      [`--net=/run/netns/l4lb-${this.name}-${role}`, command, ...args],
      { cwd: ROOT, stdio: 'ignore' },
    );
    this.#children.push(child);
    return child;
  }

  /** Packets that came to the balancer's device, by the switch's own count. */
  async packetsToBalancer(): Promise<number> {
    const { stdout } = await this.expectOk(
      'switch',
      'ip',
      '-j',
      '-s',
      'link',
      'show',
      'dev',
      'balancer',
    );
    const [link] = JSON.parse(stdout) as { stats64: { tx: { packets: number } } }[];
    return link?.stats64.tx.packets ?? 0;
  }

  async sample(...args: string[]): Promise<SampleJson> {
    const finished = await this.l4lb(
      'stats',
      '--json',
      '--once',
      '--interval',
      '0.1',
      ...args,
    );
    if (finished.exitCode !== 0) throw new Error(finished.stderr);
    return JSON.parse(finished.stdout) as SampleJson;
  }
}

export interface RatesJson {
  packets: number;
  bytes: number;
  pps: number;
  bps: number;
}

export interface SampleJson {
  time: string;
  interface: string;
  mode: string;
  interval_s: number;
  destinations: (RatesJson & { id: number; address: string })[];
  totals: RatesJson;
  verdicts: Record<string, RatesJson>;
}

export function sumOfVerdicts(sample: SampleJson): number {
  return Object.values(sample.verdicts).reduce((sum, { packets }) => sum + packets, 0);
}
