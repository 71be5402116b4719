// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The other end of worker/worker.c: a process that runs one program on frames, in the
 * kernel or in its own memory.
 */
import type { ChildProcessByStdio } from 'node:child_process';
import { spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

import { ROOT } from './target.js';

export type Action = 'ABORTED' | 'DROP' | 'PASS' | 'TX' | 'REDIRECT';
const ACTIONS: readonly Action[] = ['ABORTED', 'DROP', 'PASS', 'TX', 'REDIRECT'];

export interface Ran {
  action: Action;
  frame: Buffer;
}

export interface WorkerOptions {
  /** Below .make/worker/. */
  binary: string;
  object: string;
  longest: number;
  /** Entries of maps, where the program's own would be too many to read each time. */
  sizes: Record<string, number>;
}

/** What it is asked for: see worker.c. */
export class Request {
  readonly #parts: Buffer[] = [];

  #add(letter: string, ...numbers: number[]): this {
    this.#parts.push(Buffer.from(letter), ...numbers.map(u32));
    return this;
  }

  #addName(letter: string, name: string): this {
    this.#parts.push(Buffer.from([letter.charCodeAt(0), name.length]), Buffer.from(name));
    return this;
  }

  write(name: string, values: Iterable<readonly [Buffer, Buffer]>): this {
    const all = [...values];
    this.#addName('w', name);
    this.#parts.push(u32(all.length), ...all.flat());
    return this;
  }

  /** Into a map whose keys are numbers. */
  writeNumbered(name: string, values: ReadonlyMap<number, Buffer>): this {
    return this.write(
      name,
      [...values].map(([key, value]) => [u32(key), value] as const),
    );
  }

  /** Only of the kernel, which answers with the number of each. */
  openSockets(sockets: readonly (readonly [Buffer, Buffer])[]): this {
    this.#add('o', sockets.length);
    this.#parts.push(...sockets.flat());
    return this;
  }

  zeros(name: string): this {
    return this.#addName('z', name);
  }

  empty(name: string): this {
    return this.#addName('e', name);
  }

  dump(name: string): this {
    return this.#addName('d', name);
  }

  /** Only what is not zeros, of a map that is too large to be sent. */
  dumpSparse(name: string): this {
    return this.#addName('s', name);
  }

  clock(nanoseconds: bigint): this {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(nanoseconds);
    this.#parts.push(Buffer.from('c'), bytes);
    return this;
  }

  /** Seconds of the clock that the program sees. */
  time(): this {
    return this.#add('t');
  }

  run(frames: readonly Buffer[]): this {
    this.#add('f', frames.length);
    for (const frame of frames) this.#parts.push(u32(frame.length), frame);
    return this;
  }

  variants(seed: number, first: number, count: number, isWhole: boolean): this {
    return this.#add('x', seed >>> 0, first, count, isWhole ? 1 : 0);
  }

  bytes(): Buffer {
    return Buffer.concat([...this.#parts, Buffer.from('.')]);
  }
}

/** Reads an answer piece by piece, in the order of the requests. */
export class Answers {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  number(): number {
    this.#at += 4;
    return this.#bytes.readUInt32LE(this.#at - 4);
  }

  take(length: number): Buffer {
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  ran(): Ran {
    const action = ACTIONS[this.number()] ?? 'ABORTED';
    return { action, frame: this.take(this.number()) };
  }

  variant(): { frame: Buffer; ran: Ran } {
    return { frame: this.take(this.number()), ran: this.ran() };
  }

  /** With holes where there are zeros. */
  sparse(): Buffer[] {
    const entries = this.number();
    const size = this.number();
    const values: Buffer[] = [];
    for (let left = entries; left > 0; left--) values[this.number()] = this.take(size);
    return values;
  }

  values(): Buffer[] {
    const entries = this.number();
    const size = this.number();
    return Array.from({ length: entries }, () => this.take(size));
  }
}

/** A sanitizer stopped it, or it could not go on: its own words say why. */
export class WorkerEnded extends Error {}

export class Worker {
  readonly name: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  #received: Buffer[] = [];
  #length = 0;
  #said = '';
  #waiting: { resolve: (answer: Buffer) => void; reject: (error: Error) => void }[] = [];

  constructor({ binary, object, longest, sizes }: WorkerOptions) {
    this.name = binary;
    const entries = Object.entries(sizes).map(([name, count]) => `${name}=${count}`);
    this.#child = spawn(
      `${ROOT}.make/worker/${binary}`,
      [`${ROOT}${object}`, String(longest), ...entries],
      { stdio: ['pipe', 'pipe', 'pipe'] },
    );
    this.#child.stdout.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#child.stderr.on('data', (chunk: Buffer) => (this.#said += chunk.toString()));
    // Its end says more than the pipe that breaks with it.
    this.#child.stdin.on('error', () => undefined);
    this.#child.on('error', (error) => this.#fail(error.message));
    this.#child.on('close', (code, signal) => this.#fail(`ended by ${signal ?? code}`));
  }

  ask(request: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        reject(new WorkerEnded(`${this.name} has ended: ${this.#said}`));
        return;
      }
      this.#waiting.push({ resolve, reject });
      this.#child.stdin.write(request);
    });
  }

  close(): void {
    this.#child.stdin.end();
  }

  #fail(why: string): void {
    const error = new WorkerEnded(`${this.name} ${why}\n${this.#said}`);
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  #receive(chunk: Buffer): void {
    this.#received.push(chunk);
    this.#length += chunk.length;
    while (this.#length >= 4) {
      const head = this.#received[0] as Buffer;
      if (head.length < 4) this.#received = [Buffer.concat(this.#received)];
      const wanted = 4 + (this.#received[0] as Buffer).readUInt32LE(0);
      if (this.#length < wanted) return;
      const all = Buffer.concat(this.#received);
      this.#received = all.length > wanted ? [all.subarray(wanted)] : [];
      this.#length -= wanted;
      this.#waiting.shift()?.resolve(all.subarray(4, wanted));
    }
  }
}

function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}
