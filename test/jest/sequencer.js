// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The longest file first; of those that are not listed, the kernel's before the others. */
import { createRequire } from 'node:module';
import { relative } from 'node:path';

import { LONG_FILES } from './long-files.js';

// It comes with jest; only its own packages may name it in an import.
const { default: Sequencer } = createRequire(
  createRequire(import.meta.url).resolve('jest'),
)('@jest/test-sequencer');

const ORDER = LONG_FILES.map(({ file }) => file);

function rank({ path, context }) {
  const listed = ORDER.indexOf(relative(context.config.rootDir, path));
  if (listed !== -1) return listed;
  return ORDER.length + (context.config.displayName.name === 'unit' ? 1 : 0);
}

export default class LongestFirst extends Sequencer {
  /** Jest's own order, by what it remembers or by size, stands within a rank. */
  sort(tests) {
    return super.sort(tests).sort((one, other) => rank(one) - rank(other));
  }
}
