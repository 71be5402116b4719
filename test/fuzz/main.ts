// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The programs against the model (as root):
 *
 *   npx tsc -p test/fuzz && node .make/fuzz/test/fuzz/main.js COUNT SEED [PROGRAM [CHUNK]]
 *
 * COUNT packets through each program, and a quarter of them through those that are
 * for jumbo frames. What it was run with is all that chance depends on. Exits 1 on a
 * difference.
 */
import { fuzz, load } from './fuzz.js';
import { PROGRAMS, PROGRAM_NAMES, describeDifference } from './target.js';

const MOST_SHOWN = 3;
const [, , countText = '100000', seedText = '', program, chunkText] = process.argv;
const count = Number(countText);
const names = PROGRAM_NAMES.filter((name) => name === (program ?? name));
const seed = seedText === '' ? Date.now() >>> 0 : Number(seedText);
if (!(count >= 1) || !Number.isInteger(seed) || names.length === 0) {
  process.stderr.write(
    `usage: main.js COUNT SEED [${PROGRAM_NAMES.join('|')} [CHUNK]]\n`,
  );
  process.exit(2);
}

for (const name of names) {
  const target = await load(name);
  try {
    const began = Date.now();
    const { object, share } = PROGRAMS[name];
    const wanted = Math.ceil(count * share);
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
      `${name} (${object}): ${packets} packets with seed ${seed} in ${seconds} s, ${
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
