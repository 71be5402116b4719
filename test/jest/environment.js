// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Jest's own environment of node, which leaves nothing behind. Each file gets an
 * AsyncLocalStorage of jest-circus, which never disables it; from then on node tells it
 * of each promise. In the hundredth file of a process that took more time than the tests.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { createRequire } from 'node:module';

// It comes with jest; only its own packages may name it in an import.
const require = createRequire(import.meta.url);
const ofJest = createRequire(createRequire(require.resolve('jest')).resolve('jest-cli'));
const { TestEnvironment } = createRequire(ofJest.resolve('jest-config'))(
  'jest-environment-node',
);

const used = new Set();
const { run } = AsyncLocalStorage.prototype;
AsyncLocalStorage.prototype.run = function runAndNote(...args) {
  used.add(this);
  return run.apply(this, args);
};

export default class TidyEnvironment extends TestEnvironment {
  async teardown() {
    await super.teardown();
    for (const storage of used) storage.disable();
    used.clear();
  }
}
