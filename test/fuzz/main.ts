// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The programs against the model (as root):
 *
 *   npx tsc -p test/fuzz && node .make/fuzz/test/fuzz/main.js COUNT SEED [PROGRAM [CHUNK]]
 *
 * COUNT packets through each build, and a quarter of them through the destination's
 * end. What it was run with is all that chance depends on. Exits 1 on a difference.
 */
import type { Target } from './fuzz.js';
import { TARGETS, describeDifference, fuzz } from './fuzz.js';

const MOST_SHOWN = 3;
const [, , countText = '100000', seedText = '', program, chunkText] = process.argv;
const count = Number(countText);
const seed = seedText === '' ? Date.now() >>> 0 : Number(seedText);
if (
  !(count >= 1) ||
  !Number.isInteger(seed) ||
  (program !== undefined && !(program in TARGETS))
) {
  process.stderr.write('usage: main.js COUNT SEED [host|portable|decap [CHUNK]]\n');
  process.exit(2);
}
const names = (
  program === undefined ? Object.keys(TARGETS) : [program]
) as Target['name'][];

for (const name of names) {
  const target = await TARGETS[name]();
  try {
    const began = Date.now();
    const wanted = name === 'decap' ? Math.ceil(count / 4) : count;
    const { packets, differences } = await fuzz(target, {
      count: wanted,
      seed,
      only: chunkText === undefined ? undefined : Number(chunkText),
      progress: (done) => {
        if (process.stderr.isTTY) process.stderr.write(`\r${name}: ${done} `);
      },
    });
    const seconds = ((Date.now() - began) / 1000).toFixed(1);
    process.stdout.write(
      `${name}: ${packets} packets with seed ${seed} in ${seconds} s, ${
        differences.length === 0 ? 'no difference' : `${differences.length} differences`
      }\n`,
    );
    for (const one of differences.slice(0, MOST_SHOWN)) {
      process.stdout.write(`\n${describeDifference(one)}\n`);
    }
    if (differences.length > 0) process.exitCode = 1;
  } finally {
    target.close();
  }
}
