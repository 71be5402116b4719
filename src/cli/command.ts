// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What all commands share: their form, exit codes, and the one place that catches. */
import { Command, CommanderError } from 'commander';

import { exitOnClosedPipe } from './signals.js';
import { EXIT_FAILURE, EXIT_USAGE, Failure } from '../text/failure.js';
import { tell } from '../system/output.js';
import { printable, printableLine } from '../text/printable.js';
import { readDevice } from './options.js';
import { VERSION } from '../system/package.js';

/** A command with what all of them have: -i, -h, -V. */
export function newCommand(
  name: string,
  description: string,
  device = 'the device that the program is on, such as eth0',
): Command {
  return new Command(name)
    .description(description)
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .requiredOption('-i, --interface <device>', device, readDevice)
    .showHelpAfterError('(--help explains the options)')
    .configureOutput({ outputError: nameInError(name) });
}

/** commander begins its messages with `error:`. */
export function nameInError(
  name: string,
): (text: string, write: (text: string) => void) => void {
  return (text, write) => {
    // The line behind it is commander's own, when it knows a name that may be meant.
    const [, message = '', hint = ''] =
      /^(?:error: )?(.*?)(\n\(Did you mean [^\n]*\))?\n*$/s.exec(text) ?? [];
    write(`${name}: ${printableLine(message)}${printable(hint)}\n`);
  };
}

/** Runs a command to its exit code. */
export async function main(command: Command): Promise<void> {
  exitOnClosedPipe();
  for (const one of [command, ...command.commands]) one.exitOverride();
  try {
    await command.parseAsync(process.argv);
  } catch (error) {
    process.exitCode = report(command.name(), error);
  }
}

function report(name: string, error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  if (error instanceof Failure) {
    tell(error.format(name));
    return error.exitCode;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  tell(`${name}: this is a fault of ${name} itself, please report it\n${text}`);
  return EXIT_FAILURE;
}
