// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A node process elsewhere, which runs commands there for a test: see serve.mjs. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export const ROOT = new URL('../../', import.meta.url).pathname;
export const AGENT = 'test/agent/serve.mjs';

export interface Finished {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface Request {
  command: string;
  args: readonly string[];
  input?: string;
  /** Answered with its first output, and not with its end. */
  goesOn?: boolean;
  /** One of our commands, run in the agent's own process: see tools.mjs. */
  isTool?: boolean;
  /** The network namespace to do that in, where it is not the agent's own; a path. */
  namespace?: string;
}

type Answer = Finished & { number: number };

export class Agent {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<number, (answer: Finished) => void>();
  readonly #ended: Promise<number>;
  #number = 0;
  #hasEnded = false;
  #stderr = '';
  /** The release of the kernel that it runs on. */
  kernel = '';

  private constructor(command: string, args: readonly string[]) {
    const child = spawn(command, args, { cwd: ROOT });
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

  /** Starts it by a command that leads to where it shall be, such as nsenter. */
  static async start(command: string, ...args: string[]): Promise<Agent> {
    const agent = new Agent(command, args);
    const started = new Promise<void>((resolve) => {
      createInterface(agent.#process.stdout).on('line', (line) => {
        const answer = JSON.parse(line) as Answer | { kernel: string };
        if ('kernel' in answer) {
          agent.kernel = answer.kernel;
          resolve();
        } else {
          const { number, ...finished } = answer;
          agent.#waiting.get(number)?.(finished);
          agent.#waiting.delete(number);
        }
      });
    });
    const status = await Promise.race([started, agent.#ended]);
    if (agent.kernel === '') throw new CannotStart(status ?? -1, agent.#stderr);
    return agent;
  }

  async ask(request: Request): Promise<Finished> {
    const number = ++this.#number;
    const answer = new Promise<Finished>((resolve) => {
      this.#waiting.set(number, resolve);
    });
    if (this.#hasEnded) this.#end();
    else this.#process.stdin.write(`${JSON.stringify({ number, ...request })}\n`);
    return answer;
  }

  /** Ends it. */
  async end(): Promise<void> {
    this.#process.stdin.end();
    const status = await this.#ended;
    if (status !== 0) {
      throw new Error(`the agent exited with ${status}\n${this.#stderr}`);
    }
  }

  #end(): void {
    this.#hasEnded = true;
    for (const answer of this.#waiting.values()) {
      const stderr = `the agent has ended: ${this.#stderr}`;
      answer({ exitCode: -1, stdout: '', stderr });
    }
    this.#waiting.clear();
  }
}

export class CannotStart extends Error {
  readonly status: number;
  readonly words: string;

  constructor(status: number, words: string) {
    super(`the agent did not start: exit status ${status}\n${words}`);
    this.status = status;
    this.words = words;
  }
}
