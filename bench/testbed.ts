// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A network of testbed/network.sh, what runs in it, and files for that. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import { Failure } from '../src/text/failure.js';
import { LongRunning } from '../src/system/long-running.js';
import { run } from '../src/system/run.js';
import { ROOT, expectDone } from './started.js';

const NETWORK = join(ROOT, 'testbed/network.sh');

/** Milliseconds between two looks at a server that starts, and how often to look. */
const PAUSE = 50;
const TRIES = 100;
/** Seconds that a client may take over the time that it was given. */
const PATIENCE = 10;

export class Testbed {
  readonly #stop: AbortSignal;
  readonly #name: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'l4lb-bench-'));
  readonly #children: LongRunning[] = [];
  readonly #last: string[][] = [];
  #isMade = false;

  /**
   * `name` tells the networks of one run apart. Once `stop` says so nothing more is
   * started, except to take it down.
   */
  constructor(stop: AbortSignal, name?: string) {
    this.#stop = stop;
    this.#name = ['bench', process.pid, ...(name === undefined ? [] : [name])].join('-');
  }

  async up(...options: string[]): Promise<void> {
    this.#isMade = true;
    const owner = ['--quiet', '--owner', String(process.pid)];
    await this.#expect(NETWORK, ['up', this.#name, ...owner, ...options]);
  }

  /** Stops everything, as far as it was started. */
  async down(): Promise<void> {
    for (const child of this.#children) child.stop();
    await Promise.all(this.#children.map((child) => child.ended));
    rmSync(this.#folder, { recursive: true });
    if (!this.#isMade) return;
    // Ctrl-C in the terminal must not stop it half way.
    for (const args of this.#last) await run('nsenter', args, { detached: true });
    const args = ['down', this.#name];
    const { exitCode, stderr } = await run(NETWORK, args, { detached: true });
    if (exitCode === 0 || stderr.includes('there is no network')) return;
    throw new Failure(`could not take the network down: ${stderr.trim()}`, {
      next: `${NETWORK} down ${this.#name}`,
    });
  }

  write(name: string, text: string): string {
    const file = join(this.#folder, name);
    writeFileSync(file, text);
    return file;
  }

  async within(role: string, command: string, ...args: string[]): Promise<string> {
    return this.#expect('nsenter', this.#inside(role, command, args));
  }

  /** Runs one of our commands. */
  async tool(
    role: string,
    tool: string,
    args: readonly string[],
    device = 'eth0',
  ): Promise<void> {
    await this.within(role, process.execPath, ...commandOf(tool, device, args));
  }

  /** Has one of our commands run before the network is taken down; it may fail. */
  toolAtEnd(role: string, tool: string, args: readonly string[]): void {
    const command = commandOf(tool, 'eth0', args);
    this.#last.push(this.#inside(role, process.execPath, command));
  }

  /** Starts a server that runs until down(), and waits until ss finds one so. */
  async serve(
    role: string,
    filter: readonly string[],
    command: string,
    ...args: string[]
  ): Promise<void> {
    this.#stop.throwIfAborted();
    const server = new LongRunning('nsenter', this.#inside(role, command, args));
    this.#children.push(server);
    const look = ['--no-header', '--listening', '--tcp', ...filter];
    for (let tries = 0; tries < TRIES && server.exitCode === undefined; tries++) {
      if ((await this.within(role, 'ss', ...look)) !== '') return;
      await setTimeout(PAUSE);
    }
    throw server.exitCode === undefined
      ? new Failure(
          `${command} in ${role} does not listen after ${(TRIES * PAUSE) / 1000} seconds`,
        )
      : server.failure(`${command} in ${role}`);
  }

  /** What a client prints that needs so many seconds. It is ended if it takes far longer. */
  async ask(
    role: string,
    seconds: number,
    command: string,
    ...args: string[]
  ): Promise<string> {
    this.#stop.throwIfAborted();
    const client = new LongRunning('nsenter', this.#inside(role, command, args));
    this.#children.push(client);
    const lines: string[] = [];
    client.onLine((line) => lines.push(line));
    const limit = AbortSignal.timeout((seconds + PATIENCE) * 1000);
    const end = (): void => client.stop();
    const reasons = [this.#stop, limit];
    for (const reason of reasons) reason.addEventListener('abort', end);
    await client.ended;
    for (const reason of reasons) reason.removeEventListener('abort', end);
    this.#stop.throwIfAborted();
    const what = `${command} ${args.join(' ')}`;
    if (limit.aborted) {
      throw new Failure(`${what} was to take ${seconds} s, and took ${PATIENCE} more`);
    }
    if (client.exitCode !== 0) throw client.failure(what);
    if (lines.length === 0) throw new Failure(`${what} measured nothing: ${client.said}`);
    return lines.join('\n');
  }

  #inside(role: string, command: string, args: readonly string[]): string[] {
    return [`--net=/run/netns/l4lb-${this.#name}-${role}`, '--', command, ...args];
  }

  async #expect(command: string, args: readonly string[]): Promise<string> {
    this.#stop.throwIfAborted();
    return expectDone(run(command, args), [command, ...args]);
  }
}

function commandOf(tool: string, device: string, args: readonly string[]): string[] {
  return [join(ROOT, `bin/l4lb-${tool}.js`), '-i', device, ...args];
}
