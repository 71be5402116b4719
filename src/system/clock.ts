// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The two clocks that the tools read. Nobody can set either. */
import { readFileSync } from 'node:fs';

import { Failure } from '../text/failure.js';

/**
 * Whole seconds of the clock that a BPF program reads: bpf_ktime_get_ns(), which ignores
 * time namespaces. All times in the tables are by this clock.
 */
export function kernelSeconds(): number {
  return Number(kernelNanoseconds() / SECOND);
}

export function kernelNanoseconds(): bigint {
  return process.hrtime.bigint() - offsetsNow().monotonic;
}

/** Seconds since this process began, with fractions: for intervals. */
export function elapsedSeconds(): number {
  return performance.now() / 1000;
}

/** Seconds by which this time namespace is ahead of the host in the time since boot. */
export function bootOffset(): number {
  return Number(offsetsNow().boottime) / Number(SECOND);
}

const SECOND = 1_000_000_000n;

export interface Offsets {
  /** In nanoseconds. */
  monotonic: bigint;
  boottime: bigint;
}

/** The offsets are set before the first process enters the namespace, and then stay. */
let offsets: Offsets | undefined;

function offsetsNow(): Offsets {
  return (offsets ??= parseOffsets(readOffsets()));
}

function readOffsets(): string {
  try {
    return readFileSync('/proc/self/timens_offsets', 'utf8');
  } catch (error) {
    // A kernel without time namespaces has no such file, and no offsets.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw new Failure(`cannot read /proc/self/timens_offsets: ${String(error)}`);
  }
}

/** Parses lines of: clock, seconds, nanoseconds. */
export function parseOffsets(text: string): Offsets {
  const of = (clock: string): bigint => {
    const [, seconds = 0, nanoseconds = 0] =
      new RegExp(`^${clock}\\s+(-?\\d+)\\s+(-?\\d+)`, 'm').exec(text) ?? [];
    return BigInt(seconds) * SECOND + BigInt(nanoseconds);
  };
  return { monotonic: of('monotonic'), boottime: of('boottime') };
}
