// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The virtual machine of these tests, and commands that run in it. */
import type { Finished } from '../agent/agent.js';
import { AGENT, Agent, CannotStart } from '../agent/agent.js';
import type { Role, Tool } from '../kernel/network.js';

/** How run-vm.sh says that this machine cannot, which is no fault of ours. */
const CANNOT = 77;
/**
 * `make test-all` runs all of it on an emulated processor, too, and also what the other
 * tests show on the host: kills, and the full screen.
 */
export const IS_ALL = process.env.L4LB_TEST === 'all';
/** A command in it takes seconds, and far more when the host is busy. */
export const MOST_MS = 300_000;

/** An emulated processor is slow with code that is made while it runs, so there is none. */
const NODE = ['--jitless', '--no-expose-wasm'];

function namespaceOf(network: string, role: Role): string {
  return `/run/netns/l4lb-${network}-${role}`;
}

export class Vm {
  readonly #agent: Agent;
  /** Whether its processor is emulated, and each command takes ten times as long. */
  readonly isEmulated: boolean;

  private constructor(agent: Agent, isEmulated: boolean) {
    this.#agent = agent;
    this.isEmulated = isEmulated;
  }

  /**
   * Boots it, with options as run-vm.sh takes them; or returns why this machine cannot.
   * Where CI is set there is no excuse: it throws. L4LB_ACCELERATOR is an option, too.
   */
  static async boot(...options: string[]): Promise<Vm | string> {
    const named = process.env.L4LB_ACCELERATOR;
    const accelerator = named === undefined ? [] : ['--accelerator', named];
    const machine = [...options, ...accelerator, '--timeout', '1500'];
    const command = [...machine, '--', 'node', ...NODE, AGENT, ...NODE];
    try {
      const agent = await Agent.start('test/vm/run-vm.sh', ...command);
      const asked = { command: 'printenv', args: ['L4LB_ACCELERATOR'] };
      return new Vm(agent, (await agent.ask(asked)).stdout === 'tcg\n');
    } catch (error) {
      if (!(error instanceof CannotStart) || error.status !== CANNOT) throw error;
      if (process.env.CI) throw error;
      return error.words.trim();
    }
  }

  /** Ends the machine, with all that runs in it. */
  async shutDown(): Promise<void> {
    await this.#agent.end();
  }

  /** The release of its kernel. */
  get kernel(): string {
    return this.#agent.kernel;
  }

  /** Runs a command; its exit code is part of the answer. */
  async run(command: string, args: string[] = [], input = ''): Promise<Finished> {
    return this.#agent.ask({ command, args, input });
  }

  /** Runs one of our commands, in a node that is there already. */
  async l4lb(tool: Tool, ...args: string[]): Promise<Finished> {
    return this.#agent.ask({ command: `l4lb-${tool}`, args, isTool: true });
  }

  /** The same in a role's namespace of a network that testbed/network.sh built there. */
  async l4lbIn(
    network: string,
    role: Role,
    tool: Tool,
    ...args: string[]
  ): Promise<string> {
    const namespace = namespaceOf(network, role);
    const request = { command: `l4lb-${tool}`, args, isTool: true, namespace };
    return succeeded(request, await this.#agent.ask(request));
  }

  /** The same where anything but success is a fault of the test. */
  async expectOk(command: string, ...args: string[]): Promise<string> {
    return succeeded({ command, args }, await this.run(command, args));
  }

  /** A line of shell, where anything but success is a fault of the test. */
  async shell(line: string): Promise<string> {
    return this.expectOk('bash', '-c', line);
  }

  /** A command in a role's namespace of a network that testbed/network.sh built there. */
  async within(network: string, role: Role, ...command: string[]): Promise<string> {
    return this.expectOk('nsenter', `--net=${namespaceOf(network, role)}`, ...command);
  }
}

function succeeded(
  { command, args }: { command: string; args: readonly string[] },
  { exitCode, stdout, stderr }: Finished,
): string {
  if (exitCode === 0) return stdout;
  const line = [command, ...args].join(' ');
  throw new Error(`${line} exited with ${exitCode}\n${stdout}${stderr}`);
}
