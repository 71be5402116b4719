// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Runs commands and tools in the namespaces of a network that testbed/network.sh made. */
import { Failure } from '../text/failure.js';
import { LongRunning } from '../system/long-running.js';
import { packaged } from '../system/package.js';
import type { Run } from '../system/run.js';

export class Roles {
  readonly #run: Run;
  readonly #network: string;
  readonly #stop: AbortSignal;
  readonly #children: LongRunning[] = [];

  /** After `stop` is aborted, nothing is started any more. */
  constructor(run: Run, network: string, stop: AbortSignal) {
    this.#run = run;
    this.#network = network;
    this.#stop = stop;
  }

  namespace(role: string): string {
    return `/run/netns/l4lb-${this.#network}-${role}`;
  }

  /** Runs commands in a namespace; who calls it judges the exit code. */
  inside(role: string): Run {
    return (command, args, options) =>
      this.#run('nsenter', [...this.#enter(role), command, ...args], options);
  }

  /** Starts a script of the testbed. */
  start(role: string, script: string, args: readonly string[]): LongRunning {
    return this.#start(role, `testbed/${script}`, args);
  }

  /** Starts any command, which runs on. */
  startCommand(role: string, command: string, args: readonly string[]): LongRunning {
    this.#stop.throwIfAborted();
    const child = new LongRunning('nsenter', [...this.#enter(role), command, ...args]);
    this.#children.push(child);
    return child;
  }

  /** Starts one of our tools, which runs on. */
  startTool(role: string, tool: string, args: readonly string[]): LongRunning {
    return this.#start(role, `bin/l4lb-${tool}.js`, ['-i', 'eth0', ...args]);
  }

  /** Runs one of our tools as an operator would. */
  async tool(role: string, tool: string, args: readonly string[]): Promise<string> {
    const command = [packaged(`bin/l4lb-${tool}.js`), '-i', 'eth0', ...args];
    return this.within(role, `l4lb-${tool} failed`, process.execPath, command);
  }

  async within(
    role: string,
    what: string,
    command: string,
    args: readonly string[],
  ): Promise<string> {
    return this.expect(what, 'nsenter', [...this.#enter(role), command, ...args]);
  }

  async expect(what: string, command: string, args: readonly string[]): Promise<string> {
    this.#stop.throwIfAborted();
    const { exitCode, stdout, stderr } = await this.#run(command, args);
    if (exitCode === 0) return stdout;
    const [first = `exit code ${exitCode}`, ...more] = stderr.trim().split('\n');
    throw new Failure([`${what}: ${first}`, ...more].join('\n'));
  }

  /** Stops everything that was started. */
  async stop(): Promise<void> {
    for (const child of this.#children) child.stop();
    await Promise.all(this.#children.map((child) => child.ended));
  }

  #start(role: string, path: string, args: readonly string[]): LongRunning {
    return this.startCommand(role, process.execPath, [packaged(path), ...args]);
  }

  #enter(role: string): string[] {
    return [`--net=${this.namespace(role)}`, '--'];
  }
}
