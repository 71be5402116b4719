// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb check: says whether a card would take an object. */
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

import { print, printJson } from './system/output.js';
import { EXIT_FAILURE, Failure } from './text/failure.js';
import { fileFault } from './text/file-fault.js';
import { printableLine } from './text/printable.js';
import type { CliCommand } from './cli/command.js';
import { newCommand } from './cli/command.js';
import { jsonOption } from './cli/options.js';
import { noObject, objectFor } from './program/objects.js';
import { checkObject } from './card/check.js';
import { describeVerdict, verdictJson } from './card/report.js';

interface Flags {
  json?: boolean;
}

export function checkCommand(): CliCommand {
  return newCommand(
    'check',
    'Say whether a card would take an object, and if not, why. Needs no card and no root.',
  )
    .argument(
      '[object]',
      'the object file to check, such as l4lb_xdp.o (default: the one for xdpoffload)',
    )
    .addOption(jsonOption())
    .explainedBy({ examples: ['l4lb check', 'l4lb check l4lb_xdp.o --json'] })
    .action(check);
}

/** Checks the object that would be loaded, unless one is named. */
export function check(named: string | undefined, flags: Flags): void {
  const object = named ?? objectFor('xdpoffload', false);
  const verdict = checkObject(readObjectFile(object));
  if (flags.json) printJson(verdictJson(object, verdict));
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
