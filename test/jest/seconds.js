// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Says at the end how long each file took. One that takes too long fails the run, unless
 * long-files.js says why it has to.
 */
import { relative } from 'node:path';

import { LONG_FILES } from './long-files.js';

/**
 * A file may take that share of the run, since one that takes more is left alone at the
 * end when the others are faster. A share holds on a slow or busy machine too: all files
 * take longer there.
 */
const MOST_OF_THE_RUN = 1 / 6;
/** That is 40 for a file that has the machine to itself; beside it are three others. */
const MOST_SECONDS = 60;
/** Files that take less are summed up. */
const WORTH_A_LINE = 1;

export default class Seconds {
  #error;

  onRunComplete(_, { startTime, testResults }) {
    const files = testResults
      .map(({ testFilePath, perfStats: { start, end } }) => ({
        file: relative(process.cwd(), testFilePath),
        seconds: (end - start) / 1000,
      }))
      .sort((one, other) => other.seconds - one.seconds);
    const lines = files
      .filter(({ seconds }) => seconds >= WORTH_A_LINE)
      .map(({ file, seconds }) => `${seconds.toFixed(1).padStart(7)} s  ${file}`);
    const rest = files.length - lines.length;
    if (rest > 0) lines.push(`less than a second each: ${rest} more`);
    process.stderr.write(`\nSeconds of each file:\n${lines.join('\n')}\n`);

    const run = (Date.now() - startTime) / 1000;
    const most = Math.max(MOST_SECONDS, run * MOST_OF_THE_RUN);
    const excused = LONG_FILES.filter(({ why }) => why).map(({ file }) => file);
    const tooLong = files.filter(
      ({ file, seconds }) => seconds > most && !excused.includes(file),
    );
    if (tooLong.length === 0) return;
    const message =
      `took more than ${most.toFixed(0)} seconds: ${tooLong.map(({ file }) => file).join(', ')}\n` +
      '  next: make it quicker, or split it, or say in test/jest/long-files.js why it has to\n';
    process.stderr.write(`\n${message}`);
    this.#error = new Error(message);
  }

  getLastError() {
    return this.#error;
  }
}
