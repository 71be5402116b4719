// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Chunks through all that run a program; every difference is told. */
import { SIZES, prepareBalancer } from './balancer.js';
import { DECAP_SIZES, prepareDecap } from './decap.js';
import { Engines } from './engines.js';
import type { Difference, Found, Program } from './target.js';
import { Sockets } from './sockets.js';
import { randomOf } from './target.js';
import { WorkerEnded } from './worker.js';

/** Of each packet that the model is asked about come so many variants, which it is not. */
export const VARIANTS = 9;
const MADE = 1000;
const CHUNK = MADE * (1 + VARIANTS);

export interface Target {
  readonly program: Program;
  readonly engines: Engines;
}

export function load(program: Program): Target {
  const sizes = program.startsWith('decap') ? DECAP_SIZES : SIZES;
  return { program, engines: new Engines(program, sizes) };
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
  { program, engines }: Target,
  { count, seed, only, progress }: Wanted,
): Promise<{ packets: number; modelled: number; differences: Difference[] }> {
  const sockets = program.startsWith('decap') ? new Sockets(engines) : undefined;
  let [packets, modelled] = [0, 0];
  for (let chunk = only ?? 0; packets < count; chunk++) {
    const size = Math.min(CHUNK, count - packets);
    const made = Math.ceil(size / (1 + VARIANTS));
    const random = randomOf(seed, chunk);
    const run = async (): Promise<Found[]> => {
      const prepared = sockets
        ? prepareDecap(program, random, made, await sockets.forChunk())
        : prepareBalancer(program, random, made);
      return engines.chunk(prepared, size - made, seed + chunk * CHUNK);
    };
    const found = await run().catch(endOfWorker);
    packets += size;
    modelled += made;
    if (found.length > 0) {
      const differences = found.map((one) => ({ ...one, seed, chunk, program }));
      return { packets, modelled, differences };
    }
    progress?.(packets);
    if (only !== undefined) break;
  }
  return { packets, modelled, differences: [] };
}

/** What a sanitizer found, too, is a difference; it names the frame. */
function endOfWorker(error: unknown): Found[] {
  if (error instanceof WorkerEnded) return [{ what: error.message }];
  throw error;
}
