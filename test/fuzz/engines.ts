// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The same chunk through all that run a program: compiled for this machine, the same
 * under sanitizers, and in the kernel. All must answer alike, and as the model does.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { describeFrame } from '../../src/explain/text.js';
import type { Found, Program } from './target.js';
import { PROGRAMS } from './target.js';
import type { Ran } from './worker.js';
import { Answers, Request, Worker } from './worker.js';

/** The kernel's coarse clock is behind by so much at the most. */
const TICK_MS = 20;

export interface Time {
  now: bigint;
  seconds: number;
  /** What is left of this one. */
  left: number;
}

export type Dumped = ReadonlyMap<string, Buffer[]>;

export interface Expected {
  answers: { ran: Ran; says: string }[];
  /** What else is wrong with what the program did. */
  judge: (packet: number, ran: Ran) => string[];
  compareMaps: (dumped: Dumped) => string[];
}

/** A chunk, as far as it does not depend on the time. */
export interface Prepared {
  frames: readonly Buffer[];
  tables: (time: Time) => Request;
  dumps: readonly string[];
  /** Of these only what is not zeros. */
  sparse?: readonly string[];
  expect: (time: Time, frames: readonly Buffer[]) => Expected;
  /** Of the tables, for people. */
  about: string;
}

interface Wanted {
  /** The first so many. */
  frames: number;
  variants: number;
  seed: number;
  /** One more variant, whole. */
  whole?: number;
}

interface Reply {
  began: number;
  ran: Ran[];
  dumped: Dumped;
  variants: Buffer;
  whole: { frame: Buffer; ran: Ran } | undefined;
  dumpedAfter: Dumped;
  ended: number;
}

export class Engines {
  readonly #workers: readonly [Worker, ...Worker[]];
  readonly #kernel: Worker;
  /** Of the last chunk. */
  #took = 0.2;

  constructor(
    program: Program,
    sizes: Record<string, number> = {},
    object = PROGRAMS[program].object,
  ) {
    const { longest } = PROGRAMS[program];
    const start = (binary: string): Worker =>
      new Worker({ binary, object, longest, sizes });
    this.#kernel = start('kernel');
    this.#workers = [
      start(`native-${program}`),
      start(`sanitized-${program}`),
      this.#kernel,
    ];
  }

  close(): void {
    for (const worker of this.#workers) worker.close();
  }

  /** The kernel opens these and no others; returns the sequence number of each. */
  async openSockets(sockets: readonly (readonly [Buffer, Buffer])[]): Promise<number[]> {
    const request = new Request().openSockets(sockets);
    const answers = new Answers(await this.#kernel.ask(request.bytes()));
    return sockets.map(() => answers.number());
  }

  async chunk(prepared: Prepared, variants: number, seed: number): Promise<Found[]> {
    const all = { frames: prepared.frames.length, variants, seed };
    const { replies, expected } = await this.#ask(prepared, all);
    const [native = Buffer.alloc(0), ...others] = replies;
    const reply = parse(prepared, all, native);
    const found = compareWithModel(prepared, reply, expected);
    if (found.some(({ packet }) => packet === undefined)) {
      found.unshift(...(await this.#firstThatCounts(prepared)));
    }
    for (const [index, other] of others.entries()) {
      if (other.equals(native)) continue;
      found.push(...(await this.#differing(prepared, all, index + 1, reply, other)));
    }
    return found;
  }

  /** Within one second, since the program's limits and records begin anew with it. */
  async #ask(
    prepared: Prepared,
    wanted: Wanted,
  ): Promise<{ replies: Buffer[]; expected: Expected }> {
    for (;;) {
      const time = clock();
      if (time.left < this.#took * 1.5 && time.left < 0.9) {
        await sleep(time.left * 1000 + TICK_MS);
        continue;
      }
      const request = prepared.tables(time).clock(time.now).time();
      const frames = prepared.frames.slice(0, wanted.frames);
      request.run(frames);
      dump(request, prepared);
      request.variants(wanted.seed, 0, wanted.variants, false);
      if (wanted.whole !== undefined) {
        request.variants(wanted.seed, wanted.whole, 1, true);
      }
      dump(request, prepared);
      const bytes = request.time().bytes();
      const asked = this.#workers.map((worker) => worker.ask(bytes));
      const answered = Promise.all(asked);
      // Meanwhile they run.
      const expected = prepared.expect(time, frames);
      const replies = await answered;
      this.#took = Math.min(0.5, Number(process.hrtime.bigint() - time.now) / 1e9);
      const isOneSecond = replies.every(
        (reply) =>
          reply.readUInt32LE(0) === time.seconds &&
          reply.readUInt32LE(reply.length - 4) === time.seconds,
      );
      if (isOneSecond) return { replies, expected };
    }
  }

  /** Longer and longer starts of the chunk, halved until the first that differs. */
  async #firstThatCounts(prepared: Prepared): Promise<Found[]> {
    const compare = async (frames: number): Promise<string[]> => {
      const wanted = { frames, variants: 0, seed: 0 };
      const { replies, expected } = await this.#ask(prepared, wanted);
      const [native = Buffer.alloc(0)] = replies;
      return expected.compareMaps(parse(prepared, wanted, native).dumped);
    };
    const bad = await firstBad(
      prepared.frames.length,
      async (count) => (await compare(count)).length > 0,
    );
    const what = await compare(bad);
    return [
      {
        packet: bad - 1,
        frame: prepared.frames[bad - 1] as Buffer,
        what: [
          'from this packet on the maps are not as in the model',
          ...what,
          prepared.about,
        ].join('\n'),
      },
    ];
  }

  /** What a worker does otherwise than the first. */
  async #differing(
    prepared: Prepared,
    all: Wanted,
    index: number,
    native: Reply,
    bytes: Buffer,
  ): Promise<Found[]> {
    const { name } = this.#workers[index] as Worker;
    const other = parse(prepared, all, bytes);
    const packet = native.ran.findIndex((ran, at) => !isSame(ran, other.ran[at]));
    if (packet >= 0) {
      const frame = prepared.frames[packet] as Buffer;
      const told = [
        ...describeRan('native', native.ran[packet]),
        ...describeRan(name, other.ran[packet]),
      ];
      return [{ packet, frame, what: [...told, prepared.about].join('\n') }];
    }
    const variant = firstDifferent(native.variants, other.variants);
    if (variant === undefined) {
      return [{ what: `the maps of ${name} are not those of the native program` }];
    }
    const again = { ...all, variants: variant, whole: variant };
    const { replies } = await this.#ask(prepared, again);
    const wholes = [0, index].map(
      (one) => parse(prepared, again, replies[one] ?? Buffer.alloc(0)).whole,
    );
    const what = [
      `variant ${variant} of the chunk's packets`,
      ...describeRan('native', wholes[0]?.ran),
      ...describeRan(name, wholes[1]?.ran),
      prepared.about,
    ];
    return [{ frame: wholes[0]?.frame ?? Buffer.alloc(0), what: what.join('\n') }];
  }
}

/** The least count that is bad, where the greatest is. */
async function firstBad(
  greatest: number,
  isBad: (count: number) => Promise<boolean>,
): Promise<number> {
  let [good, bad] = [0, greatest];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (await isBad(middle)) bad = middle;
    else good = middle;
  }
  return bad;
}

function dump(request: Request, { dumps, sparse = [] }: Prepared): void {
  for (const name of dumps) request.dump(name);
  for (const name of sparse) request.dumpSparse(name);
}

function parse({ dumps, sparse = [] }: Prepared, wanted: Wanted, reply: Buffer): Reply {
  const answers = new Answers(reply);
  const dumped = (): Dumped =>
    new Map([
      ...dumps.map((name) => [name, answers.values()] as const),
      ...sparse.map((name) => [name, answers.sparse()] as const),
    ]);
  return {
    began: answers.number(),
    ran: Array.from({ length: wanted.frames }, () => answers.ran()),
    dumped: dumped(),
    variants: answers.take(wanted.variants * 4),
    whole: wanted.whole === undefined ? undefined : answers.variant(),
    dumpedAfter: dumped(),
    ended: answers.number(),
  };
}

function compareWithModel(
  prepared: Prepared,
  { ran, dumped }: Reply,
  expected: Expected,
): Found[] {
  const found: Found[] = [];
  for (const [packet, answer] of expected.answers.entries()) {
    const there = ran[packet];
    const wrong = there ? expected.judge(packet, there) : [];
    if (isSame(answer.ran, there) && wrong.length === 0) continue;
    found.push({
      packet,
      frame: prepared.frames[packet] as Buffer,
      what: [
        `the model says ${answer.says}`,
        ...describeRan('the model', answer.ran),
        ...describeRan('native', there),
        ...wrong,
        prepared.about,
      ].join('\n'),
    });
  }
  return [...found, ...expected.compareMaps(dumped).map((what) => ({ what }))];
}

function isSame(one: Ran, other: Ran | undefined): boolean {
  return one.action === other?.action && one.frame.equals(other.frame);
}

function describeRan(who: string, ran: Ran | undefined): string[] {
  if (!ran) return [`${who}: nothing`];
  return [
    `${who}: ${ran.action}`,
    `  ${ran.frame.toString('hex')}`,
    ...describeFrame(ran.frame),
  ];
}

/** Of words of four bytes. */
function firstDifferent(one: Buffer, other: Buffer): number | undefined {
  for (let at = 0; at < one.length; at += 4) {
    if (one.readUInt32LE(at) !== other.readUInt32LE(at)) return at / 4;
  }
  return undefined;
}

/** The seconds of the clock that is never set, and what is left of this one. */
function clock(): Time {
  const now = process.hrtime.bigint();
  const seconds = Number(now / 1_000_000_000n);
  return { now, seconds, left: 1 - Number(now % 1_000_000_000n) / 1e9 };
}
