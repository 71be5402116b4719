// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

import { availableParallelism } from 'node:os';

/** Types are checked by tsc; jest only takes them off. */
const common = {
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: { '^.+\\.ts$': '<rootDir>/test/jest/transform.js' },
  testEnvironment: '<rootDir>/test/jest/environment.js',
  // execa's signal-exit keeps its listeners in a global, which jest would take apart.
  testEnvironmentOptions: { globalsCleanup: 'off' },
};

export default {
  // A kernel test starts many processes, beside the emulated machine of other tests, on a
  // processor that may be shared; a unit test ends long before.
  testTimeout: 180_000,
  // A kernel test waits for half of its time: for packets, for what is idle, for the kernel.
  // Each file has a network of its own.
  maxWorkers: 2 * availableParallelism(),
  testSequencer: '<rootDir>/test/jest/sequencer.js',
  reporters: ['default', '<rootDir>/test/jest/seconds.js'],
  projects: [
    { ...common, displayName: 'unit', testMatch: ['<rootDir>/test/unit/**/*.test.ts'] },
    {
      ...common,
      displayName: 'kernel',
      testMatch: ['<rootDir>/test/kernel/**/*.test.ts'],
    },
    {
      ...common,
      displayName: 'vm',
      testMatch: ['<rootDir>/test/vm/**/*.test.ts'],
    },
  ],
};
