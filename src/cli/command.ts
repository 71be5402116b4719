// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What all commands share: options, exit codes, and the one place that catches. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';

import { storableTime } from '../abi/maps.js';
import type { Tools } from '../program/find.js';
import { Bpftool } from '../system/bpftool.js';
import { EXIT_FAILURE, EXIT_USAGE, Failure } from '../text/failure.js';
import { Iproute } from '../system/ip/links.js';
import type { Run } from '../system/run.js';
import { run } from '../system/run.js';
import type { TableKind } from '../plan/services.js';
import { TABLES } from '../plan/services.js';
import type { AskedSources } from '../wire/outer-source.js';
import { VERSION } from '../system/package.js';
import { TWO_SOURCES, familyOf, parseSource } from '../wire/outer-source.js';
import type { Way } from '../wire/way.js';
import { parseWays } from '../wire/way.js';

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
    .requiredOption('-i, --interface <device>', device)
    .showHelpAfterError('(--help explains the options)')
    .configureOutput({ outputError: nameInError(name) });
}

/** commander begins its messages with `error:`. */
export function nameInError(
  name: string,
): (text: string, write: (text: string) => void) => void {
  return (text, write) => write(text.replace(/^error: /, `${name}: `));
}

/** Where one device has programs in several modes. */
export function modeOption(): Option {
  return new Option(
    '-m, --mode <mode>',
    'which program, where the device has several',
  ).choices(['xdpdrv', 'xdpgeneric', 'xdpoffload']);
}

/** Options of a fill, which l4lb-map and l4lb-load -f share. */
export interface FillFlags {
  file?: string[];
  source?: AskedSources;
  vip?: Way[];
  takeSsh?: boolean;
  slots?: number;
  table?: TableKind;
  idle?: number;
  echo?: boolean;
}

export function addFillOptions(command: Command): Command {
  return command
    .option(
      '-s, --source <address...>',
      'source of the outer header, one for each family of destinations; 10.7.0.0/16 spreads ' +
        "connections over all of it; own: the device's own address; kept until told otherwise " +
        '(default of a new service: own)',
      readSource,
    )
    .option(
      '--vip <way...>',
      'a way into the service: ADDR[:PORT][/PROTO], as 10.0.0.4:80/tcp or [2001:db8::4]:80/tcp; ' +
        'without port all ports, ' +
        'without protocol tcp and udp; any for all addresses; may be given often, and names all ways ' +
        '(default: the service that is there, or else everything)',
      readWays,
    )
    .option(
      '--take-ssh',
      'a service on all ports takes ssh too, and keeps doing so until told otherwise',
    )
    .option('--no-take-ssh', 'it leaves ssh to the host (default of a new service)')
    .option(
      '--slots <number>',
      'slots of a new service, a power of two (default: 65536, or all there are)',
      readSlotCount,
    )
    .addOption(
      new Option(
        '--table <kind>',
        'consistent: the same on every balancer with the same destinations; minimal: a change moves ' +
          'the fewest slots that perfect balance allows, but two balancers may differ, and one that ' +
          'takes over breaks connections; kept until told otherwise (default of a new service: consistent)',
      ).choices(TABLES),
    )
    .option(
      '--echo',
      "the program answers ICMP echo to a service's address itself (default of new tables)",
    )
    .option('--no-echo', 'it leaves that to the host, until told otherwise');
}

function readSource(text: string, before: AskedSources = {}): AskedSources {
  if (text === 'own') return { ...before, isOwn: true };
  const source = parseSource(text);
  if (typeof source === 'string') throw new InvalidArgumentError(`"${text}" ${source}.`);
  const family = familyOf(source.address);
  if (before[family]) throw new InvalidArgumentError(`${capital(TWO_SOURCES)}.`);
  return { ...before, [family]: source };
}

function readWays(text: string, before: Way[] = []): Way[] {
  const ways = parseWays(text);
  if (typeof ways === 'string') throw new InvalidArgumentError(`${capital(ways)}.`);
  return [...before, ...ways];
}

function readSlotCount(text: string): number {
  const slots = Number(text);
  const isPower = /^\d{1,7}$/.test(text) && slots > 0 && (slots & (slots - 1)) === 0;
  if (!isPower) throw new InvalidArgumentError(`"${text}" is not a power of two.`);
  return slots;
}

export function readMegabytes(text: string): number {
  const size = Number(text);
  if (!/^\d{1,4}$/.test(text) || size < 1 || (size & (size - 1)) !== 0) {
    throw new InvalidArgumentError(`"${text}" is not a power of two from 1 to 8192.`);
  }
  return size;
}

export function readIdle(text: string): number {
  if (!/^\d{1,6}$/.test(text) || Number(text) < 1) {
    throw new InvalidArgumentError(`"${text}" is not a whole number of seconds from 1.`);
  }
  return storableTime(Number(text));
}

export function readSeconds(text: string): number {
  const seconds = Number(text);
  if (!/^\d*\.?\d+$/.test(text) || seconds < 0.05 || seconds > 86400) {
    throw new InvalidArgumentError(
      `"${text}" is not a number of seconds from 0.05 to 86400.`,
    );
  }
  return seconds;
}

export function readCount(text: string): number {
  if (!/^\d{1,9}$/.test(text) || Number(text) < 1) {
    throw new InvalidArgumentError(`"${text}" is not a whole number from 1.`);
  }
  return Number(text);
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export interface Context extends Tools {
  run: Run;
}

export function context(): Context {
  if (process.geteuid?.() !== 0) {
    throw new Failure('this needs root', {
      cause: 'XDP programs and their maps belong to the administrator',
      next: `sudo ${process.argv.slice(1).join(' ')}`,
    });
  }
  return { run, ip: new Iproute(run), bpftool: new Bpftool(run) };
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** For people, beside the result. */
export function warn(text: string): void {
  process.stderr.write(`Warning: ${text}\n`);
}

export function printJson(value: unknown): void {
  print(toJson(value));
}

/**
 * JSON with bigints as plain integers, which JSON.stringify refuses. Those that a
 * number can hold are none of the trouble.
 */
export function toJson(value: unknown): string {
  const mark = '\u{e000}';
  const text = JSON.stringify(value, (_, inner: unknown) => {
    if (typeof inner !== 'bigint') return inner;
    const number = Number(inner);
    return Number.isSafeInteger(number) ? number : `${mark}${inner}${mark}`;
  });
  return text.replaceAll(new RegExp(`"${mark}(-?\\d+)${mark}"`, 'g'), '$1');
}

/** Runs a command to its exit code. */
export async function main(command: Command): Promise<void> {
  // A reader that has seen enough, such as head, is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
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
    process.stderr.write(`${error.format(name)}\n`);
    return error.exitCode;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(
    `${name}: this is a fault of ${name} itself, please report it\n${text}\n`,
  );
  return EXIT_FAILURE;
}
