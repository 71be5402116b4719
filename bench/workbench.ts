// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A namespace with devices on which the tools are run, and what a run of them costs. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Failure } from '../src/text/failure.js';
import { run } from '../src/system/run.js';
import { ROOT, expectDone } from './started.js';
import { removeNamespace } from './stoppable.js';
import { millisecondsOf } from './times.js';

/** What it printed is of no use; `times` is bash's own, of it and of all it waited for. */
const TIMED = '"$@" >/dev/null && times';

/** The same on a terminal of the usual size, for it and for all that it starts. */
const TIMED_IN_TERMINAL = [
  'command=$(printf "%q " "$@")',
  'script -qec "stty rows 50 cols 120 && exec $command" /dev/null >/dev/null && times',
].join('\n');

export class Workbench {
  readonly #stop: AbortSignal;
  readonly name = `l4lb-bench-${process.pid}-tools`;
  readonly #folder = mkdtempSync(join(tmpdir(), 'l4lb-bench-'));
  #isMade = false;
  #devices = 0;

  /** Once `stop` says so nothing more is started, except to take it down. */
  constructor(stop: AbortSignal) {
    this.#stop = stop;
  }

  async up(): Promise<void> {
    this.#stop.throwIfAborted();
    this.#isMade = true;
    await this.#expect('ip', ['netns', 'add', this.name]);
  }

  async down(): Promise<void> {
    rmSync(this.#folder, { recursive: true });
    if (!this.#isMade) return;
    const { exitCode, stderr } = await removeNamespace(run, this.name);
    if (exitCode === 0) return;
    throw new Failure(`could not take the namespace down: ${stderr.trim()}`, {
      next: `ip netns delete ${this.name}`,
    });
  }

  /** A device with an address, and a neighbour that it never talks to. */
  async addDevice(): Promise<string> {
    const number = this.#devices++;
    const device = `eth${number}`;
    const peer = ['peer', 'name', `peer${number}`];
    await this.#within('ip', ['link', 'add', device, 'type', 'veth', ...peer]);
    const address = ['address', 'add', `10.${200 + number}.0.4/16`, 'dev', device];
    await this.#within('ip', address);
    await this.#within('ip', ['link', 'set', 'dev', device, 'up']);
    return device;
  }

  write(name: string, text: string): string {
    const file = join(this.#folder, name);
    writeFileSync(file, text);
    return file;
  }

  /** A program that was never filled, in place of the one that is there. */
  async load(device: string, object: string): Promise<void> {
    await this.tool('load', '-i', device, '--off');
    const file = join(ROOT, object);
    await this.tool('load', '-i', device, '-m', 'xdpdrv', '--obj', file);
  }

  async tool(name: string, ...args: string[]): Promise<void> {
    await this.#within(process.execPath, [pathOf(name), ...args]);
  }

  /** Milliseconds by the clock, of Node with these arguments. */
  async clock(...args: string[]): Promise<number> {
    const start = performance.now();
    await this.#within(process.execPath, args);
    return performance.now() - start;
  }

  async clockTool(name: string, ...args: string[]): Promise<number> {
    return this.clock(pathOf(name), ...args);
  }

  /** Milliseconds that a tool and all it starts compute, on a terminal or without. */
  async processor(
    place: 'terminal' | 'pipe',
    name: string,
    ...args: string[]
  ): Promise<number> {
    const script = place === 'terminal' ? TIMED_IN_TERMINAL : TIMED;
    const command = [process.execPath, pathOf(name), ...args];
    return millisecondsOf(await this.#within('bash', ['-c', script, 'bash', ...command]));
  }

  async #within(command: string, args: readonly string[]): Promise<string> {
    const space = `--net=/run/netns/${this.name}`;
    return this.#expect('nsenter', [space, '--', command, ...args]);
  }

  async #expect(command: string, args: readonly string[]): Promise<string> {
    this.#stop.throwIfAborted();
    return expectDone(run(command, args), [command, ...args]);
  }
}

function pathOf(tool: string): string {
  return join(ROOT, `bin/l4lb-${tool}.js`);
}
