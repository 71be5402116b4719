// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The leases of a store in a folder. One is over when its time is, by the clock that all
 * processes of this host share and nobody sets, or when the process is gone that kept it last.
 */
import { readFileSync } from 'node:fs';

import { kernelNanoseconds } from '../../system/clock.js';
import type { ProcessIdentity } from '../../system/processes.js';
import { lives, thisProcess } from '../../system/processes.js';
import { Fault } from '../../text/fault.js';
import { smallest } from '../../text/lists.js';
import { objectIn } from './file-state.js';

export interface FileLease {
  seconds: number;
  /** Of kernelTime(). */
  until: number;
  keeper: ProcessIdentity;
}

export type Leases = ReadonlyMap<string, FileLease>;

/** Seconds with fractions. */
export function kernelTime(): number {
  return Number(kernelNanoseconds()) / 1e9;
}

/** A lease that this process keeps from now on. */
export function kept(seconds: number): FileLease {
  return { seconds, until: kernelTime() + seconds, keeper: thisProcess() };
}

/** Those that last on. A keeper in another PID namespace is not seen, so its time decides. */
export function alive(leases: Leases): Leases {
  const now = kernelTime();
  const last = [...leases].filter(
    ([, { until, keeper }]) => until > now && lives(keeper) !== false,
  );
  return last.length === leases.size ? leases : new Map(last);
}

/** Seconds until the first of them is over, if nobody keeps it. */
export function untilNext(leases: Leases): number {
  return smallest([...leases.values()].map(({ until }) => until)) - kernelTime();
}

export function formatLeases(leases: Leases): string {
  const rows = [...leases].map(([id, { seconds, until, keeper }]) => {
    const { pid, started, namespace } = keeper;
    return [id, seconds, until, pid, started, namespace];
  });
  return JSON.stringify({ version: 1, boot: bootId(), leases: rows });
}

/** Throws a Fault if it is none of ours. A boot begins a new time, so no lease outlasts it. */
export function parseLeases(text: string): Leases {
  const { version, boot, leases } = objectIn(text);
  if (version !== 1 || !Array.isArray(leases))
    throw new Fault('it is of another version');
  if (boot !== bootId()) return new Map();
  return new Map(
    leases.map((row: unknown): [string, FileLease] => {
      if (!Array.isArray(row)) throw new Fault('a row is no list');
      const [id, ...numbers] = row as unknown[];
      if (typeof id !== 'string' || !numbers.every((one) => typeof one === 'number')) {
        throw new Fault('a row is no lease');
      }
      const [seconds = 0, until = 0, pid = 0, started = 0, namespace = 0] = numbers;
      return [id, { seconds, until, keeper: { pid, started, namespace } }];
    }),
  );
}

let boot: string | undefined;

function bootId(): string {
  return (boot ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
}
