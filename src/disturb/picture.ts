// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Checks and writes the file that --svg names. */
import { existsSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

import { Failure } from '../text/failure.js';
import { fileFault } from '../text/file-fault.js';
import { printableLine } from '../text/printable.js';

/** Checks before the run that the file's folder exists. */
export function checkFolder(file: string): void {
  const folder = dirname(file);
  if (existsSync(folder)) return;
  const [shown, where] = [printableLine(file), printableLine(folder)];
  throw new Failure(`cannot write ${shown}: there is no folder ${where}`, {
    next: `mkdir -p ${where}`,
  });
}

export function writePicture(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new Failure(`cannot write ${printableLine(file)}: ${fileFault(error)}`);
  }
}
