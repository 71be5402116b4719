// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A process that runs beside ours and reports its progress line by line. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { Failure } from '../text/failure.js';

/** The most milliseconds that a server may take to start. */
const PATIENCE = 15_000;

export class LongRunning {
  /** Settles when the process is gone. */
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;
  readonly #listeners: ((line: string) => void)[] = [];
  #stderr = '';
  #exitCode: number | undefined;

  constructor(command: string, args: readonly string[]) {
    // In a process group of its own, since only we handle Ctrl-C in the terminal.
    const child = spawn(command, args, {
      stdio: 'pipe',
      detached: true,
      // Daemons must also be found in a login without root's PATH.
      env: { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` },
    });
    this.#child = child;
    this.ended = new Promise((resolve) => {
      child.on('close', (exitCode) => {
        this.#exitCode = exitCode ?? undefined;
        resolve();
      });
      child.on('error', (error) => {
        this.#stderr += error.message;
        resolve();
      });
    });
    child.stdin.on('error', () => {}); // it has ended: `ended` tells
    child.stderr.on('data', (text: Buffer) => (this.#stderr += text.toString()));
    createInterface(child.stdout).on('line', (line) => {
      for (const listener of this.#listeners) listener(line);
    });
  }

  onLine(listener: (line: string) => void): void {
    this.#listeners.push(listener);
  }

  /** Waits for the first line that it prints; fails if it ends before. */
  async firstLine(what: string): Promise<string> {
    const timer = new AbortController();
    try {
      return await Promise.race([
        new Promise<string>((resolve) => {
          this.onLine(resolve);
        }),
        this.ended.then(() => {
          throw this.failure(what);
        }),
        once(AbortSignal.timeout(PATIENCE), 'abort', { signal: timer.signal }).then(
          () => {
            throw new Failure(`${what} has not started after ${PATIENCE / 1000} seconds`);
          },
        ),
      ]);
    } finally {
      timer.abort();
    }
  }

  /** Undefined while it runs, and also if a signal ended it or it never started. */
  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  /** What it has printed on stderr. */
  get said(): string {
    return this.#stderr.trim();
  }

  failure(what: string): Failure {
    const { said } = this;
    return new Failure(`${what} has ended${said === '' ? '' : `: ${said}`}`);
  }

  say(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** Interrupts it as Ctrl-C would, so that it can still print before it ends. */
  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}
