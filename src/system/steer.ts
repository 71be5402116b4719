// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What `steer/steer` does: it attaches a program that chooses sockets, and finds these. */
import { existsSync } from 'node:fs';

import { encodeServer } from '../abi/steer.js';
import type { Server } from '../abi/steer.js';
import { Failure } from '../text/failure.js';
import { adviceIn } from '../text/said.js';
import { packaged } from './package.js';
import type { Run } from './run.js';

/** What it found out about a server; `out of reach` comes with the reason. */
export type Listening = 'listens' | 'nobody' | `out of reach: ${string}`;

export class Steer {
  readonly #run: Run;

  constructor(run: Run) {
    this.#run = run;
  }

  /** Attaches a pinned program to this network namespace, or puts it in place of another. */
  async attach(program: string, link: string, lock: number | undefined): Promise<void> {
    await this.#steer(['attach', program, link], lock);
  }

  /** Puts the sockets of these servers, and no others, into a map. */
  async fill(
    map: number,
    servers: readonly Server[],
    lock: number | undefined,
  ): Promise<Listening[]> {
    return this.#ask(['servers', String(map)], servers, lock);
  }

  /** Says who listens, and changes nothing. */
  async look(servers: readonly Server[]): Promise<Listening[]> {
    return servers.length === 0 ? [] : this.#ask(['look'], servers);
  }

  async #ask(
    command: string[],
    servers: readonly Server[],
    lock?: number,
  ): Promise<Listening[]> {
    const keys = servers.map((server) => encodeServer(server).toString('hex'));
    const stdout = await this.#steer([...command, ...keys], lock);
    return stdout.split('\n').filter((line) => line !== '') as Listening[];
  }

  async #steer(args: readonly string[], held: number | undefined): Promise<string> {
    const path = packaged('steer/steer');
    if (!existsSync(path)) {
      throw new Failure(`${path} is missing`, {
        cause: 'it was not built',
        next: 'make',
      });
    }
    const { exitCode, stdout, stderr } = await this.#run(path, args, { held });
    if (exitCode === 0) return stdout;
    throw failureOf(stderr, exitCode);
  }
}

/** Turns its error into a Failure. Any other text comes from the system. */
export function failureOf(said: string, exitCode: number): Failure {
  const [, what] = /^steer: (.+)/.exec(said) ?? [];
  if (what !== undefined) return new Failure(what, adviceIn(said), exitCode);
  return new Failure(`steer/steer does not run: ${said.trim() || 'it was ended'}`, {
    cause: 'it was built for another machine, or this one has no libbpf',
    next: 'make setup && make',
  });
}
