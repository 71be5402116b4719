// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Turns what commander knows of the commands into the pages that are written. */
import type { Argument, Option } from 'commander';

import { CliCommand } from '../src/cli/command.js';
import { disturbCommand } from '../src/disturb.js';
import { doctorCommand } from '../src/doctor.js';
import { explainCommand } from '../src/explain.js';
import { floodCommand } from '../src/flood.js';
import { l4lbCommand } from '../src/l4lb.js';
import { l4lbdCommand } from '../src/l4lbd.js';
import { loadCommand } from '../src/load.js';
import { mapCommand } from '../src/map-fill.js';
import { statsCommand } from '../src/stats.js';

/** What a shell can offer as a value. */
export type Values = 'devices' | 'files' | 'free' | readonly string[];

export interface OptionPage {
  /** The flags as commander writes them, for example "-m, --mode <mode>". */
  flags: string;
  short: string | undefined;
  long: string;
  /** Undefined if the option takes no value. */
  values: Values | undefined;
  /** The name of the value, for example "mode". */
  metavar: string;
  takesSeveral: boolean;
  meaning: string;
  /** "required", or what applies without the option; empty where that is obvious. */
  usual: string;
}

export interface CommandPage {
  /** For example "l4lb-load", or "l4lb load". */
  name: string;
  summary: string;
  notes: string;
  examples: readonly string[];
  options: OptionPage[];
  /** The one argument that is no option, if there is one. */
  argument: { name: string; meaning: string; usual: string } | undefined;
  verbs: CommandPage[];
}

/** The programs of the package, each with its own manual page. */
export function programs(): CommandPage[] {
  return [
    l4lbCommand,
    loadCommand,
    mapCommand,
    statsCommand,
    explainCommand,
    doctorCommand,
    disturbCommand,
    floodCommand,
    l4lbdCommand,
  ].map((make) => pageOf(make()));
}

export function pageOf(command: CliCommand): CommandPage {
  const [argument] = command.registeredArguments;
  return {
    name: command.fullName(),
    summary: command.description(),
    notes: command.notes.replaceAll('\n', ' '),
    examples: command.examples,
    options: command
      .createHelp()
      .visibleOptions(command)
      .map((option) => optionPage(option)),
    argument: argument && argumentPage(argument),
    verbs: command.commands.filter((verb) => verb instanceof CliCommand).map(pageOf),
  };
}

function argumentPage(argument: Argument): CommandPage['argument'] {
  const { meaning, usual } = splitDefault(argument.description);
  return { name: argument.name(), meaning, usual };
}

function optionPage(option: Option): OptionPage {
  const { flags, short, long, argChoices, mandatory } = option;
  if (long === undefined) throw new Error(`${flags} has no long form`);
  const [, metavar = ''] = /[<[]([^>\].]+)/.exec(flags) ?? [];
  const { meaning, usual } = splitDefault(option.description);
  const choices = argChoices?.join(', ');
  return {
    flags,
    short,
    long,
    metavar,
    takesSeveral: option.variadic,
    values: metavar === '' ? undefined : (argChoices ?? valuesOf(metavar)),
    meaning: choices === undefined ? meaning : `${meaning} (one of ${choices})`,
    usual: mandatory ? 'required' : (defaultOf(option) ?? usual),
  };
}

function valuesOf(metavar: string): Values {
  if (metavar === 'device') return 'devices';
  return metavar === 'file' || metavar === 'object' ? 'files' : 'free';
}

/** The default with a type of its own, since commander's is any. */
function defaultOf(option: Option): string | undefined {
  const value: unknown = option.defaultValue;
  if (option.defaultValueDescription !== undefined) return option.defaultValueDescription;
  return typeof value === 'string' || typeof value === 'number'
    ? String(value)
    : undefined;
}

/** Splits "(default: 8)" or "(default for a new service: own)" off the end. */
function splitDefault(description: string): { meaning: string; usual: string } {
  const match = /^(.*) \(default(?:: | )([^()]*)\)$/s.exec(description);
  return { meaning: match?.[1] ?? description, usual: match?.[2] ?? '' };
}
