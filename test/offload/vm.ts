// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A virtual machine for one test file, and commands that run in it. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';

import type { Finished, Role } from '../kernel/network.js';
import { ROOT } from '../kernel/network.js';

/** How build-vm.sh says that this machine cannot, which is no fault of ours. */
const CANNOT = 77;

/**
 * Makes the virtual machine ready, and returns why this machine cannot run it. Where
 * CI is set there is no excuse: it throws.
 */
export function whyNoVm(...options: string[]): string | undefined {
  const { status, stderr } = spawnSync('test/offload/build-vm.sh', options, {
    cwd: ROOT,
    encoding: 'utf8',
  });
  if (status === 0) return undefined;
  if (status === CANNOT && !process.env.CI) {
    process.stderr.write(`SKIPPED: no virtual machine: ${stderr}`);
    return stderr.trim();
  }
  throw new Error(`build-vm.sh exited with ${String(status)}\n${stderr}`);
}

/**
 * An emulated processor is slow with code that is made while it runs: V8 without its
 * compilers starts a command in half the time.
 */
const NODE = ['node', '--jitless', '--no-expose-wasm'];

type Answer = Finished & { number: number };

interface Request {
  command: string;
  args: string[];
  input?: string;
  /** Answered with its first output, and not with its end. */
  goesOn?: boolean;
  /** One of our commands: see tools.mjs. */
  isTool?: boolean;
}

export type Tool = 'load' | 'map' | 'stats' | 'explain' | 'doctor';

function namespaceOf(network: string, role: Role): string {
  return `--net=/run/netns/l4lb-${network}-${role}`;
}

export class Vm {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<number, (answer: Finished) => void>();
  readonly #ended: Promise<number>;
  #number = 0;
  #hasEnded = false;
  #stderr = '';
  /** Its kernel's release. */
  kernel = '';

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.#process = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    child.stdin.on('error', () => {
      // It has died; #end tells all who wait.
    });
    this.#ended = new Promise((resolve) => {
      child.on('close', (status) => {
        this.#end();
        resolve(status ?? -1);
      });
    });
  }

  /** Options as run-vm.sh takes them. */
  static async boot(...options: string[]): Promise<Vm> {
    const command = [...options, '--', ...NODE, 'test/offload/agent.mjs'];
    const vm = new Vm(spawn('test/offload/run-vm.sh', command, { cwd: ROOT }));
    const started = new Promise<void>((resolve) => {
      createInterface(vm.#process.stdout).on('line', (line) => {
        const answer = JSON.parse(line) as Answer | { kernel: string };
        if ('kernel' in answer) {
          vm.kernel = answer.kernel;
          resolve();
        } else {
          const { number, ...finished } = answer;
          vm.#waiting.get(number)?.(finished);
          vm.#waiting.delete(number);
        }
      });
    });
    await Promise.race([started, vm.#ended]);
    if (vm.kernel === '') throw new Error(`it did not start\n${vm.#stderr}`);
    return vm;
  }

  /** Ends the machine, with all that runs in it. */
  async shutDown(): Promise<void> {
    this.#process.stdin.end();
    const status = await this.#ended;
    if (status !== 0) throw new Error(`run-vm.sh exited with ${status}\n${this.#stderr}`);
  }

  /** Runs a command; its exit code is part of the answer. */
  async run(command: string, args: string[] = [], input = ''): Promise<Finished> {
    return this.#ask({ command, args, input });
  }

  /** Runs one of our commands, in a node that is there already. */
  async l4lb(command: Tool, ...args: string[]): Promise<Finished> {
    return this.#ask({ command: `l4lb-${command}`, args, isTool: true });
  }

  /** The same where anything but success is a fault of the test. */
  async expectOk(command: string, ...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.run(command, args);
    if (exitCode !== 0) {
      const line = [command, ...args].join(' ');
      throw new Error(`${line} exited with ${exitCode}\n${stdout}${stderr}`);
    }
    return stdout;
  }

  /** A line of shell, where anything but success is a fault of the test. */
  async shell(line: string): Promise<string> {
    return this.expectOk('bash', '-c', line);
  }

  /** A command in a role's namespace of a network that testbed/network.sh built there. */
  async within(network: string, role: Role, ...command: string[]): Promise<string> {
    return this.expectOk('nsenter', namespaceOf(network, role), ...command);
  }

  /** Starts what goes on until the machine ends, and waits for its first output. */
  async start(network: string, role: Role, ...command: string[]): Promise<void> {
    const args = [namespaceOf(network, role), ...command];
    const { exitCode, stdout, stderr } = await this.#ask({
      command: 'nsenter',
      args,
      goesOn: true,
    });
    if (exitCode !== 0) throw new Error(`${command.join(' ')} ended\n${stdout}${stderr}`);
  }

  async #ask(request: Request): Promise<Finished> {
    const number = ++this.#number;
    const answer = new Promise<Finished>((resolve) => {
      this.#waiting.set(number, resolve);
    });
    if (this.#hasEnded) this.#end();
    else this.#process.stdin.write(`${JSON.stringify({ number, ...request })}\n`);
    return answer;
  }

  #end(): void {
    this.#hasEnded = true;
    for (const answer of this.#waiting.values()) {
      answer({ exitCode: -1, stdout: '', stderr: 'the virtual machine has ended' });
    }
    this.#waiting.clear();
  }
}
