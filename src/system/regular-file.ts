// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads files that have an end: no pipe that nobody writes to, and no device. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';

/** Nothing waits: a pipe opens at once, even if nobody has its other end. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

export function readRegular(path: string): string {
  const file = openSync(path, FLAGS);
  try {
    const stat = fstatSync(file);
    // Of a folder, reading says so itself.
    if (!stat.isFile() && !stat.isDirectory()) throw new NotRegular(path);
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

/** In the form of an error of the file system, which a fault of a file is made of. */
class NotRegular extends Error {
  readonly code = 'ENOTREG';
  readonly errno = 0;

  constructor(path: string) {
    super(`${path} is not a regular file`);
  }
}
