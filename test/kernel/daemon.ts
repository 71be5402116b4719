// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lbd as a process of its own, and its events. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Network } from './network.js';
import { ROOT } from './network.js';

/** The longest that anything here may take, on a busy machine. */
export const PATIENCE = 20_000;

export interface Event {
  kind: string;
  service?: string;
  destination?: string;
  after?: string;
  weights?: { destination: string; before: number; after: number }[];
  moved?: number;
  begins?: boolean;
  what?: string;
  sets?: number;
}

/** A process that tells events, with what it has told so far. */
export class Teller {
  readonly events: Event[] = [];
  readonly child: ChildProcess;
  stderr = '';
  readonly #listeners = new Set<() => void>();

  /** What stands in front of each event. */
  readonly priorities: string[] = [];

  /** `inside` is a namespace as nsenter wants it. */
  constructor(inside: string, command: readonly string[]) {
    const child = spawn('nsenter', [inside, ...command], { cwd: ROOT, stdio: 'pipe' });
    this.child = child;
    child.stderr.on('data', (text: Buffer) => (this.stderr += text.toString()));
    createInterface(child.stdout).on('line', (line) => {
      const json = line.indexOf('{');
      this.priorities.push(line.slice(0, json));
      this.events.push(JSON.parse(line.slice(json)) as Event);
      for (const listener of this.#listeners) listener();
    });
  }

  /** Waits until enough events are like that, and returns the last of them. */
  async saw(like: (event: Event) => boolean, count = 1): Promise<Event> {
    const end = Date.now() + PATIENCE;
    for (;;) {
      const found = this.events.filter(like);
      const last = found.at(-1);
      if (found.length >= count && last) return last;
      if (Date.now() > end) {
        throw new Error(
          `not seen in ${JSON.stringify(this.events, null, 1)}\n${this.stderr}`,
        );
      }
      await Promise.race([
        new Promise<void>((resolve) => {
          this.#listeners.add(resolve);
        }),
        sleep(1000),
      ]);
      this.#listeners.clear();
    }
  }

  became(destination: string, state: string, count = 1): Promise<Event> {
    return this.saw(
      (one) => one.destination === destination && one.after === state,
      count,
    );
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (isEnded(this.child)) return this.child.exitCode;
    this.child.kill(signal);
    const [code] = (await once(this.child, 'close')) as [number | null];
    return code;
  }
}

/** l4lbd on the balancer's eth0. */
export class Daemon extends Teller {
  constructor(network: Network, file: string, around: readonly string[] = []) {
    const options = ['-i', 'eth0', '-c', file, '--state', join(dirname(file), 'state')];
    const command = [...around, 'node', 'bin/l4lbd.js', ...options];
    super(network.namespaceOf('balancer'), command);
  }

  /** The process that runs its checks. */
  checker(): number {
    const children = readFileSync(
      `/proc/${this.child.pid}/task/${this.child.pid}/children`,
    );
    const own = children.toString().trim().split(' ').map(Number);
    const checker = own.find((pid) => {
      const text = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return text.includes('serveChecks');
    });
    if (checker === undefined) throw new Error(`no checker among ${children.toString()}`);
    return checker;
  }
}

export function isEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
