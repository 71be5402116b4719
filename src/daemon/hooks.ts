// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Tells a program of the user what has changed: one event after the other, and no shell. */
import type { ChildProcessByStdio } from 'node:child_process';
import { spawn } from 'node:child_process';
import type { Writable } from 'node:stream';

import type { Entry } from '../api/events.js';
import { toJson } from '../system/output.js';

/** Milliseconds that the program may take for an event. */
const LONGEST = 10_000;
/** Events that may wait for it. */
const MOST_WAITING = 1000;

export class Hook {
  readonly #trouble: (what: string) => void;
  #command: readonly string[] = [];
  readonly #waiting: Entry[] = [];
  #isRunning = false;
  #lost = 0;

  constructor(trouble: (what: string) => void) {
    this.#trouble = trouble;
  }

  /** The program from now on; empty: nobody is told. */
  set(command: readonly string[] = []): void {
    this.#command = command;
  }

  tell(entry: Entry): void {
    if (this.#command.length === 0 || wordsOf(entry) === undefined) return;
    if (this.#waiting.length >= MOST_WAITING) {
      this.#lost++;
      return;
    }
    this.#waiting.push(entry);
    void this.#run();
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    for (;;) {
      const entry = this.#waiting.shift();
      if (!entry) break;
      const fault = await call(this.#command, entry);
      if (fault) this.#trouble(`on_change: ${this.#command[0] ?? ''}: ${fault}`);
      if (this.#lost > 0) {
        this.#trouble(`on_change is too slow: ${this.#lost} events were not told`);
        this.#lost = 0;
      }
    }
    this.#isRunning = false;
  }
}

function begin(
  [program = '', ...words]: readonly string[],
  entry: Entry,
): ChildProcessByStdio<Writable, null, null> {
  return spawn(program, [...words, ...(wordsOf(entry) ?? [])], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // The whole group is ended, with what the program has started.
    detached: true,
  });
}

function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // All of them have ended meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Returns what went wrong; undefined: nothing. */
function call(command: readonly string[], entry: Entry): Promise<string | undefined> {
  return new Promise((resolve) => {
    let child: ChildProcessByStdio<Writable, null, null>;
    try {
      child = begin(command, entry);
    } catch (error) {
      // Of some faults, such as a program that is being written, node tells at once.
      resolve(error instanceof Error ? error.message : String(error));
      return;
    }
    const timer = setTimeout(() => {
      endGroup(child.pid);
    }, LONGEST);
    const end = (fault: string | undefined): void => {
      clearTimeout(timer);
      resolve(fault);
    };
    child.on('error', (error) => {
      end(error.message);
    });
    child.on('exit', (code, signal) => {
      if (code === 0) end(undefined);
      else if (signal === 'SIGKILL') end(`did not end within ${LONGEST / 1000} s`);
      else end(`ended with ${signal ?? String(code)}`);
    });
    child.stdin.on('error', () => {}); // it need not read it
    child.stdin.end(`${toJson(entry)}\n`);
  });
}

/** What the program gets as words; undefined: it is not told of that. */
export function wordsOf(entry: Entry): string[] | undefined {
  switch (entry.kind) {
    case 'state':
      return ['state', entry.service, entry.destination, entry.after];
    case 'hand':
      return ['hand', entry.service, entry.destination, entry.action];
    case 'panic':
    case 'backup':
      return [entry.kind, entry.service, entry.begins ? 'begins' : 'ends'];
    default:
      return undefined;
  }
}
