// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb-load --check-offload: would a card take this object? */
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

import { print, printJson } from './system/output.js';
import { EXIT_FAILURE, Failure } from './text/failure.js';
import { fileFault } from './text/file-fault.js';
import { printableLine } from './text/printable.js';
import { noObject, objectFor } from './program/objects.js';
import { checkObject } from './card/check.js';
import { describeVerdict, verdictJson } from './card/report.js';

/** Where no object is named it is the one that would be loaded. */
export function checkOffload(named: string | true, asJson: boolean): void {
  const object = named === true ? objectFor('xdpoffload', false) : named;
  const verdict = checkObject(readObjectFile(object));
  if (asJson) printJson(verdictJson(object, verdict));
  else describeVerdict(basename(object), verdict).forEach(print);
  if (verdict.findings.length > 0) process.exitCode = EXIT_FAILURE;
}

function readObjectFile(object: string): Buffer {
  try {
    return readFileSync(object);
  } catch (error) {
    if (!existsSync(object)) throw noObject(object);
    throw new Failure(`cannot read ${printableLine(object)}: ${fileFault(error)}`, {
      next: 'name the object, as l4lb_xdp.o',
    });
  }
}
