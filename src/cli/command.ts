// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What all commands share: their form, their exit codes, and the one place that catches
 * errors.
 */
import { Command, CommanderError } from 'commander';

import { endOnLostOutput } from './signals.js';
import { EXIT_FAILURE, EXIT_USAGE, Failure } from '../text/failure.js';
import { tell } from '../system/output.js';
import { printable, printableLine } from '../text/printable.js';
import { readDevice } from './values.js';
import { VERSION } from '../system/package.js';

/** A command that can run as a program of its own, or as a verb of l4lb. */
export class CliCommand extends Command {
  /** The text below the options in --help, in lines that fit a terminal. */
  notes = '';
  examples: readonly string[] = [];
  /** It runs until it is told to end, whether or not somebody reads what it prints. */
  isService = false;

  explainedBy({ notes = '', examples }: { notes?: string; examples: string[] }): this {
    this.notes = notes;
    this.examples = examples;
    const shown = examples.map((example) => `\n  ${example}`).join('');
    return this.addHelpText(
      'after',
      `${notes === '' ? '' : `\n${notes}\n`}\nExamples:${shown}`,
    );
  }

  asService(): this {
    this.isService = true;
    return this;
  }

  /** The name as the user typed it, for example "l4lb off". */
  fullName(): string {
    const parent = this.parent instanceof CliCommand ? `${this.parent.fullName()} ` : '';
    return `${parent}${this.name()}`;
  }

  /** Runs the command line of this process and sets its exit code. */
  async main(): Promise<void> {
    let name = this.name();
    endOnLostOutput(() => name, this.isService);
    this.hook('preAction', (_, acting) => {
      if (acting instanceof CliCommand) name = acting.fullName();
    });
    for (const one of [this, ...this.commands]) one.exitOverride();
    try {
      await this.parseAsync(process.argv);
    } catch (error) {
      process.exitCode = report(name, error);
    }
  }
}

/** Makes a command with the options of all commands: -h and -V. */
export function newCommand(name: string, description: string): CliCommand {
  const command = new CliCommand(name)
    .description(description)
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .showHelpAfterError('(--help explains the options)');
  return command.configureOutput({
    // commander begins its messages with "error:", and may add the name that was meant.
    outputError: (text, write) => {
      const [, message = '', hint = ''] =
        /^(?:error: )?(.*?)(\n\(Did you mean [^\n]*\))?\n*$/s.exec(text) ?? [];
      write(`${command.fullName()}: ${printableLine(message)}${printable(hint)}\n`);
    },
  });
}

/** Makes a command that works on one device. */
export function newDeviceCommand(
  name: string,
  description: string,
  device = 'the device the program is on, such as eth0',
): CliCommand {
  return newCommand(name, description).requiredOption(
    '-i, --interface <device>',
    device,
    readDevice,
  );
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
