// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Programs of other packages that a test runs, where this machine has them. */
import { accessSync, constants } from 'node:fs';
import { describe } from '@jest/globals';

/** Users' PATH lacks the last two, where Debian keeps what administrators run. */
const FOLDERS = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'];

/**
 * Returns describe if these commands are installed. Otherwise it says that the tests are
 * skipped and what installs the commands, and returns describe.skip; with CI set it throws.
 */
export function describeWith(
  commands: readonly string[],
  setup: string,
): typeof describe | typeof describe.skip {
  const missing = commands.filter((command) => !isInstalled(command));
  if (missing.length === 0) return describe;
  const why = `${missing.join(' and ')} not installed (./setup.sh ${setup})`;
  if (process.env.CI) throw new Error(why);
  console.warn(`skipped: ${why}`);
  return describe.skip;
}

function isInstalled(command: string): boolean {
  return FOLDERS.some((folder) => canRun(`${folder}/${command}`));
}

function canRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EACCES' || code === 'ENOTDIR') return false;
    throw error;
  }
}
