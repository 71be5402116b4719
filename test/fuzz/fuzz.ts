// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The same chunks through a program and through the model; every difference is told. */
import { BalancerTarget } from './balancer.js';
import { DecapTarget } from './decap.js';
import type { Difference, Program, Target } from './target.js';

const CHUNK = 1000;

export async function load(name: Program): Promise<Target> {
  return name.startsWith('decap') ? DecapTarget.load(name) : BalancerTarget.load(name);
}

export interface Wanted {
  count: number;
  seed: number;
  /** Of a difference that is looked at again. */
  only?: number | undefined;
  progress?: (done: number) => void;
}

/** Stops at the first chunk with differences. */
export async function fuzz(
  target: Target,
  { count, seed, only, progress }: Wanted,
): Promise<{ packets: number; differences: Difference[] }> {
  let packets = 0;
  for (let chunk = only ?? 0; packets < count; chunk++) {
    const size = Math.min(CHUNK, count - packets);
    const differences = await target.chunk(seed, chunk, size);
    packets += size;
    if (differences.length > 0) return { packets, differences };
    progress?.(packets);
    if (only !== undefined) break;
  }
  return { packets, differences: [] };
}
