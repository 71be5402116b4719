// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A network of namespaces for one test file, and commands that run in it. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { execa } from 'execa';

import { LOCK_FOLDER, deviceLock } from '../../src/system/lock.js';
import type { Finished } from '../agent/agent.js';
import { AGENT, Agent, ROOT } from '../agent/agent.js';

export type { Finished } from '../agent/agent.js';
export { ROOT } from '../agent/agent.js';

export type Role =
  'client' | 'balancer' | 'switch' | 'destinations' | `destination${number}`;

export type Tool = 'load' | 'map' | 'stats' | 'explain' | 'doctor' | 'flood';

/** Our commands that an agent can run, by the name of their file. */
const OWN = /^bin\/(l4lb(?:-(?:load|map|stats|explain|doctor|flood))?)\.js$/;

export class Network {
  readonly name: string;
  readonly #children: ChildProcess[] = [];
  readonly #agents = new Map<Role, Promise<Agent>>();

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
    for (const agent of this.#agents.values()) await (await agent).end();
    await execa('testbed/network.sh', ['down', this.name], { cwd: ROOT });
  }

  /**
   * Brings the balancer's device and its port back to the state after up(): no program,
   * the MTU, and the features of the device. So tests need no network each.
   */
  async reset(mtu = 1500): Promise<void> {
    const bare = 'ip link set dev eth0 xdpdrv off; ip link set dev eth0 xdpgeneric off';
    const features = 'ethtool -K eth0 rxvlan off';
    const device = `${bare}; ip link set dev eth0 mtu ${mtu}; ${features}`;
    await this.shell('balancer', device);
    const link = 'ip link set dev balancer';
    const port = `${link} xdpdrv off; ${link} mtu ${mtu}; ${link} xdpdrv obj testbed/pass.o sec xdp`;
    await this.shell('switch', port);
  }

  /** The option of nsenter that leads to a role. */
  namespaceOf(role: Role): string {
    return `--net=/run/netns/l4lb-${this.name}-${role}`;
  }

  /**
   * Runs a command in a role's namespace; the result includes its exit code. One of our
   * own commands runs in a node that already runs, which takes half the time.
   */
  async run(
    role: Role,
    command: string,
    args: string[] = [],
    input = '',
  ): Promise<Finished> {
    const own = OWN.exec(command)?.[1];
    if (own === undefined) return this.runProcess(role, command, args, input);
    const agent = await this.#agentOf(role);
    const request = { command: own, args, input, isTool: true };
    const { exitCode, stdout, stderr } = await agent.ask(request);
    return {
      exitCode,
      stdout: withoutFinalNewline(stdout),
      stderr: withoutFinalNewline(stderr),
    };
  }

  /** Does the same in a process of its own, whatever the command. */
  async runProcess(
    role: Role,
    command: string,
    args: string[] = [],
    input = '',
  ): Promise<Finished> {
    const { exitCode, stdout, stderr } = await execa(
      'nsenter',
      [this.namespaceOf(role), command, ...args],
      { cwd: ROOT, reject: false, input, timeout: 60_000 },
    );
    return { exitCode: exitCode ?? -1, stdout, stderr };
  }

  #agentOf(role: Role): Promise<Agent> {
    const known = this.#agents.get(role);
    if (known) return known;
    const agent = Agent.start('nsenter', this.namespaceOf(role), 'node', AGENT);
    this.#agents.set(role, agent);
    return agent;
  }

  /** Runs one of our commands on the balancer's eth0. */
  async l4lb(tool: Tool, ...args: string[]): Promise<Finished> {
    return this.run('balancer', `bin/l4lb-${tool}.js`, ['-i', 'eth0', ...args]);
  }

  /** Does the same, but anything except success is a fault of the test. */
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

  /** Runs lines of shell, which end at the first that fails, and returns what they print. */
  async shell(role: Role, lines: string): Promise<string> {
    return (await this.expectOk(role, 'bash', '-ec', lines)).stdout;
  }

  /** The path of the lock for a role's eth0, whether or not anybody ever took it. */
  async lockFile(role: Role = 'balancer'): Promise<string> {
    const { stdout } = await this.expectOk(
      role,
      'ip',
      '-j',
      'link',
      'show',
      'dev',
      'eth0',
    );
    const [link] = JSON.parse(stdout) as [{ ifindex: number }];
    return `${LOCK_FOLDER}/${deviceLock(link, `/run/netns/l4lb-${this.name}-${role}`)}.lock`;
  }

  /** Starts a command that runs beside the test until the network goes down. */
  start(role: Role, command: string, ...args: string[]): ChildProcess {
    const child = spawn('nsenter', [this.namespaceOf(role), command, ...args], {
      cwd: ROOT,
      stdio: 'ignore',
    });
    this.#children.push(child);
    return child;
  }

  /** Packets that came to the balancer's device, by the switch's own counter. */
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
  destinations: (RatesJson & { id: number; address: string; answers?: RatesJson })[];
  totals: RatesJson & { answers?: RatesJson };
  verdicts: Record<string, RatesJson>;
}

export function sumOfVerdicts(sample: SampleJson): number {
  return Object.values(sample.verdicts).reduce((sum, { packets }) => sum + packets, 0);
}

/** Output without its last newline, as execa returns it. */
function withoutFinalNewline(text: string): string {
  return text.endsWith('\n') ? text.slice(0, -1) : text;
}

/** What a process has pinned; the names of the pins include its number. */
export function pinsOf({ pid }: ChildProcess): string[] {
  return readdirSync('/sys/fs/bpf').filter((name) =>
    name.startsWith(`l4lb-pin-${pid ?? ''}-`),
  );
}
