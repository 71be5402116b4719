// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A server at a destination that says who it is, and a client that keeps its connection. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Interface } from 'node:readline';

import type { Network } from './network.js';

/** Answers each line with its name. */
export const SERVER = `const [name] = process.argv.slice(1);
require('net').createServer((one) => {
  one.on('error', () => {});
  one.on('data', () => one.write(name + '\\n'));
}).listen({ port: 80, host: '::' });`;

/** Passes lines on, and prints the answers. */
const CLIENT = `const [host] = process.argv.slice(1);
const one = require('net').connect(80, host);
one.on('error', (error) => console.log(error.code));
one.on('close', () => console.log('closed'));
process.stdin.pipe(one, { end: false });
one.pipe(process.stdout, { end: false });`;

export class Client {
  readonly #child: ChildProcess;
  readonly #lines: Interface;

  constructor(network: Network, service: string) {
    const where = network.namespaceOf('client');
    const args = [where, 'node', '-e', CLIENT, service];
    this.#child = spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (!this.#child.stdout) throw new Error('the client has no output');
    this.#lines = createInterface({ input: this.#child.stdout });
  }

  /** Who answers. */
  async ask(): Promise<string> {
    const answer = once(this.#lines, 'line', { signal: AbortSignal.timeout(20_000) });
    this.#child.stdin?.write('who are you?\n');
    const [line] = (await answer) as [string];
    return line;
  }

  end(): void {
    this.#child.kill();
  }
}
