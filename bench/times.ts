// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Processor time, as bash tells it. */
import { Failure } from '../src/text/failure.js';

const MINUTES_AND_SECONDS = /(\d+)m([\d.]+)s/g;

/** The last line is what children computed, all told: for themselves, and in the kernel. */
export function millisecondsOf(times: string): number {
  const line = times.trimEnd().split('\n').at(-1) ?? '';
  const parts = [...line.matchAll(MINUTES_AND_SECONDS)].map(
    ([, minutes, seconds]) => (Number(minutes) * 60 + Number(seconds)) * 1000,
  );
  const [user, system] = parts;
  if (user === undefined || system === undefined) {
    throw new Failure(`bash told no times: ${times.trim()}`);
  }
  return user + system;
}
