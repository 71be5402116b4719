// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Runs flood/flood, which sends the frames, and reads its reports. */
import { existsSync } from 'node:fs';

import { must } from '../text/must.js';
import { adviceIn } from '../text/said.js';
import { EXIT_FAILURE, Failure } from '../text/failure.js';
import { onEndingSignal } from '../system/signals.js';
import { LongRunning } from '../system/long-running.js';
import { packaged } from '../system/package.js';
import type { FramePlan } from './frame.js';

export interface Pace {
  threads: number;
  /** Undefined: random flows. */
  flows?: number | undefined;
  rate?: number | undefined;
  count?: number | undefined;
  /** Milliseconds. */
  duration?: number | undefined;
}

export interface Progress {
  seconds: number;
  /** Packets that the device accepted; plus those it did not, if these are not reported. */
  sent: number;
  /** Packets that it did not accept; undefined if the kernel does not report them. */
  lost: number | undefined;
}

export interface Total extends Progress {
  /** Nanoseconds that the kernel spent sending, summed over all threads. */
  busy: number;
}

interface EventJson {
  event: 'progress' | 'end';
  elapsed_ns: number;
  sent: number;
  lost: number | null;
  busy_ns?: number;
}

export function senderArguments(device: string, plan: FramePlan, pace: Pace): string[] {
  const { threads, flows, rate, count, duration } = pace;
  const seconds = duration === undefined ? undefined : duration / 1000;
  const numbers = { length: plan.length, threads, flows, rate, count, seconds };
  return [
    ...['-i', device, '--headers', plan.headers.toString('hex')],
    ...plan.varied.flatMap((run) => ['--vary', run]),
    ...Object.entries(numbers).flatMap(([name, value]) =>
      value === undefined ? [] : [`--${name}`, String(value)],
    ),
  ];
}

/** Sends until it is done or a signal ends it. What was sent until then counts. */
export async function send(
  args: readonly string[],
  onProgress: (progress: Progress) => void,
): Promise<Total> {
  const path = packaged('flood/flood');
  if (!existsSync(path)) {
    throw new Failure(`${path} is missing`, { cause: 'it was not built', next: 'make' });
  }
  const sender = new LongRunning(path, args);
  let total: Total | undefined;
  sender.onLine((line) => {
    const event = JSON.parse(line) as EventJson;
    if (event.event === 'progress') onProgress(progressOf(event));
    else total = { ...progressOf(event), busy: must(event.busy_ns, 'busy_ns') };
  });
  const stopListening = onEndingSignal(() => sender.interrupt());
  await sender.ended;
  stopListening();
  if (sender.exitCode === 0 && total) return total;
  throw failureOf(sender.said, sender.exitCode);
}

function progressOf({ elapsed_ns, sent, lost }: EventJson): Progress {
  return {
    seconds: elapsed_ns / 1e9,
    sent: sent - (lost ?? 0),
    lost: lost ?? undefined,
  };
}

/**
 * Turns the sender's error into a Failure. Its messages have the same form as ours; any
 * other text comes from the system, which could not run it.
 */
export function failureOf(said: string, exitCode = EXIT_FAILURE): Failure {
  const [, what] = /^flood: (.+)/.exec(said) ?? [];
  if (what === undefined) {
    return new Failure(`flood/flood does not run: ${said || 'it was ended'}`, {
      cause: 'it was built for another machine, or this one has no libbpf',
      next: 'make setup && make',
    });
  }
  return new Failure(what, adviceIn(said), exitCode);
}
