// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The programs against the model, and against themselves elsewhere (as root):
 *
 *   make workers && npx tsc -p test/fuzz &&
 *   node .make/fuzz/test/fuzz/main.js COUNT SEED [PROGRAM [CHUNK]]
 *
 * COUNT packets through each program, and a quarter of them through those that are
 * for jumbo frames. What it was run with is all that chance depends on. Exits 1 on a
 * difference. Without a program there is a process for each, as many at once as CPUs.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';

import { fuzz, load } from './fuzz.js';
import type { Program } from './target.js';
import { PROGRAMS, PROGRAM_NAMES, describeDifference } from './target.js';

const MOST_SHOWN = 3;
const [, script = '', countText = '1000000', seedText = '', program, chunkText] =
  process.argv;
const count = Number(countText);
const seed = seedText === '' ? Date.now() >>> 0 : Number(seedText);
const isKnown = (name: string): name is Program => name in PROGRAMS;
if (
  !(count >= 1) ||
  !Number.isInteger(seed) ||
  (program !== undefined && !isKnown(program))
) {
  process.stderr.write(
    `usage: main.js COUNT SEED [${PROGRAM_NAMES.join('|')} [CHUNK]]\n`,
  );
  process.exit(2);
}

if (program === undefined) await runAll([...PROGRAM_NAMES]);
else await runOne(program);

async function runAll(left: Program[]): Promise<void> {
  const work = async (): Promise<void> => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      const args = [script, String(count), String(seed), name];
      const child = spawn(process.execPath, args, { stdio: 'inherit' });
      const [code] = (await once(child, 'exit')) as [number | null];
      if (code !== 0) process.exitCode = 1;
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
}

async function runOne(name: Program): Promise<void> {
  const target = load(name);
  try {
    const began = Date.now();
    const wanted = Math.ceil(count * PROGRAMS[name].share);
    const only = chunkText === undefined ? undefined : Number(chunkText);
    const { packets, modelled, differences } = await fuzz(target, {
      count: wanted,
      seed,
      only,
      progress: (done) => {
        if (process.stderr.isTTY) process.stderr.write(`\r${name}: ${done} `);
      },
    });
    const seconds = (Date.now() - began) / 1000;
    const rate = Math.round(packets / seconds);
    process.stdout.write(
      `${name}: ${packets} packets with seed ${seed}, ${modelled} of them modelled, ` +
        `in ${seconds.toFixed(1)} s (${rate} a second): ` +
        `${differences.length === 0 ? 'no difference' : `${differences.length} differences`}\n`,
    );
    for (const one of differences.slice(0, MOST_SHOWN)) {
      process.stdout.write(`\n${describeDifference(one)}\n`);
    }
    if (differences.length > 0) process.exitCode = 1;
  } finally {
    target.engines.close();
  }
}
