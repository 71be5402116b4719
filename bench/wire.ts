// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A wire with two ends, each in a namespace of its own: from the near one packets are
 * sent, at the far one is what we measure. What that sends back ends in a sink.
 */
import { join } from 'node:path';

import type { ProgramInfo } from '../src/system/bpftool-text.js';
import { Bpftool } from '../src/system/bpftool.js';
import { LongRunning } from '../src/system/long-running.js';
import type { Run, RunResult } from '../src/system/run.js';
import { ROOT, expectDone } from './started.js';
import { removeNamespace } from './stoppable.js';

export const DEVICE = 'eth0';
/** A second wire, whose near end counts with the first one's. */
export const OTHER_DEVICE = 'eth1';
export const NEAR_MAC = '02:00:00:00:00:01';
export const FAR_MAC = '02:00:00:00:00:04';
/** The far end's own addresses, and its next hop, behind the near end. */
export const FAR_ADDRESS = '10.0.0.4';
export const FAR_ADDRESSES = [`${FAR_ADDRESS}/16`, 'fd00::4/64'];
export const GATEWAY = '10.0.0.3';
/** Packets go to it, by UDP or TCP; 64 services have the ports from it on. */
export const SERVICE = { ipv4: '10.0.100.1', ipv6: 'fd00::64:1', port: 8000 };

type End = 'near' | 'far';

export class Wire {
  readonly #run: Run;
  readonly #bpftool: Bpftool;
  readonly #name: string;
  readonly #running: LongRunning[] = [];
  /** The map of the sink. */
  #sink = 0;

  constructor(run: Run, name: string) {
    this.#run = run;
    this.#bpftool = new Bpftool(run);
    this.#name = `l4lb-bench-${process.pid}-${name}`;
  }

  async up(): Promise<void> {
    const [near, far] = [`${this.#name}-near`, `${this.#name}-far`];
    await this.#ip('netns', 'add', near);
    await this.#ip('netns', 'add', far);
    await this.#ip(
      ...['link', 'add', DEVICE, 'address', NEAR_MAC, 'netns', near, 'type', 'veth'],
      ...['peer', 'name', DEVICE, 'address', FAR_MAC, 'netns', far],
    );
    for (const address of FAR_ADDRESSES) {
      await this.#ip('-n', far, 'address', 'add', address, 'dev', DEVICE, 'nodad');
    }
    for (const space of [near, far]) {
      await this.#ip('-n', space, 'link', 'set', 'dev', DEVICE, 'up');
    }
    // Without it a veth gives what XDP sent it to nobody, unless it has a program itself.
    await this.far('ethtool', ['-K', DEVICE, 'gro', 'on']);
    const sink = ['obj', join(ROOT, '.make/sink.o'), 'sec', 'xdp'];
    await this.#ip('-n', near, 'link', 'set', 'dev', DEVICE, 'xdpdrv', ...sink);
    const near0 = await this.program('near');
    this.#sink = near0?.mapIds[0] ?? 0;
    await this.#addOther(near, far, near0?.id ?? 0);
  }

  /** The same program is on both, so that they count together. */
  async #addOther(near: string, far: string, sink: number): Promise<void> {
    await this.#ip(
      ...['link', 'add', OTHER_DEVICE, 'netns', near, 'type', 'veth'],
      ...['peer', 'name', OTHER_DEVICE, 'netns', far],
    );
    for (const space of [near, far]) {
      await this.#ip('-n', space, 'link', 'set', 'dev', OTHER_DEVICE, 'up');
    }
    const attach = ['net', 'attach', 'xdpdrv', 'id', String(sink), 'dev', OTHER_DEVICE];
    await this.#within('near', 'bpftool', attach);
  }

  async down(): Promise<void> {
    for (const one of this.#running) one.stop();
    await Promise.all(this.#running.map((one) => one.ended));
    for (const end of ['near', 'far']) {
      await removeNamespace(this.#run, `${this.#name}-${end}`);
    }
  }

  /** The XDP program at one of the ends. */
  async program(end: End): Promise<ProgramInfo | undefined> {
    const text = await this.#within(end, 'ip', ['-j', 'link', 'show', 'dev', DEVICE]);
    const [link] = JSON.parse(text) as { xdp?: { prog?: { id: number } } }[];
    const id = link?.xdp?.prog?.id;
    return id === undefined ? undefined : this.#bpftool.program('id', id);
  }

  /** How many packets the sink has got. */
  async came(): Promise<number> {
    const [entry] = await this.#bpftool.dump(this.#sink);
    const values = entry?.values ?? [];
    return values.reduce((sum, value) => sum + Number(value.readBigUInt64LE()), 0);
  }

  async #ip(...args: string[]): Promise<void> {
    await expectDone(this.#run('ip', args), ['ip', ...args]);
  }

  /** Runs a command where packets are sent from. */
  async near(command: string, args: readonly string[]): Promise<string> {
    return this.#within('near', command, args);
  }

  /** Runs a command where packets come to. */
  async far(command: string, args: readonly string[]): Promise<string> {
    return this.#within('far', command, args);
  }

  /** Starts one of our scripts there, which runs until down(), and waits for its first line. */
  async keepFar(script: string, args: readonly string[]): Promise<void> {
    const command = [process.execPath, join(ROOT, script), ...args];
    const inside = [`--net=${this.#namespace('far')}`, '--', ...command];
    const running = new LongRunning('nsenter', inside);
    this.#running.push(running);
    await running.firstLine(script);
  }

  /** A command where packets are sent from, where it may well fail. */
  async tryNear(command: string, args: readonly string[]): Promise<RunResult> {
    return this.#start('near', command, args);
  }

  async #within(end: End, command: string, args: readonly string[]): Promise<string> {
    const started = this.#start(end, command, args);
    return expectDone(started, [command, ...args]);
  }

  async #start(end: End, command: string, args: readonly string[]): Promise<RunResult> {
    const inside = [`--net=${this.#namespace(end)}`, '--', command, ...args];
    return this.#run('nsenter', inside);
  }

  #namespace(end: End): string {
    return `/run/netns/${this.#name}-${end}`;
  }
}
