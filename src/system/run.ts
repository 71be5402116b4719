// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Starts processes. Everything that starts one takes a Run as an argument, so that a test
 * can answer in its place by command line.
 */
import type { Options, Result, ResultPromise } from 'execa';
import type { Readable } from 'node:stream';

import { Failure } from '../text/failure.js';
import { Unseen } from '../text/unseen.js';

export interface RunOptions {
  /** A file descriptor to read from; by default the process reads nothing. */
  stdin?: number;
  /**
   * A file descriptor that the process holds open as descriptor 3, as long as it lives.
   */
  held?: number | undefined;
  /**
   * Runs it in a session of its own, so that Ctrl-C in the terminal does not reach it.
   */
  detached?: boolean;
  /** Its output is bytes: a character of stdout for each. */
  isBinary?: boolean;
}

export interface RunResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export type Run = (
  command: string,
  args: readonly string[],
  options?: RunOptions,
) => Promise<RunResult>;

const PACKAGES = new Map([
  ['ip', 'iproute2'],
  ['tc', 'iproute2'],
  ['flock', 'util-linux'],
  ['timeout', 'coreutils'],
  ['bird', 'bird2'],
]);

/** The processes that end with this one. */
const running = new Set<ResultPromise>();

/** Ends the processes that this one waits for, except batches that write. */
export async function endChildren(): Promise<void> {
  const children = [...running];
  for (const child of children) child.kill('SIGTERM');
  await Promise.allSettled(children);
}

export const run: Run = async (command, args, options = {}) => {
  // It takes a while to load, and a command that is used wrongly starts no process.
  const { execa } = await import('execa');
  const settings: Options = {
    reject: false,
    detached: options.detached ?? false,
    // Programs read what these commands print, so it must not be translated. They must
    // also be found in a login without root's PATH.
    env: { LC_ALL: 'C', PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` },
    stdio: [
      options.stdin === undefined ? 'ignore' : descriptor(options.stdin),
      'pipe',
      'pipe',
      ...(options.held === undefined ? [] : [descriptor(options.held)]),
    ],
    // Bytes are gathered sooner by us than by execa's iterators.
    buffer: false,
  };
  const child = execa(command, args, settings);
  const [stdout, stderr] = [bytesOf(child.stdout), bytesOf(child.stderr)];
  if (!settings.detached) running.add(child);
  const result = await child.finally(() => running.delete(child));
  if (result.exitCode === undefined) throw cannotStart(command, result);
  return {
    exitCode: result.exitCode,
    stdout: Buffer.concat(stdout).toString(options.isBinary ? 'latin1' : 'utf8'),
    stderr: Buffer.concat(stderr).toString(),
  };
};

/** Fills, until the stream ends. */
function bytesOf(stream: Readable | null): Buffer[] {
  const parts: Buffer[] = [];
  stream?.on('data', (part: Buffer) => parts.push(part));
  return parts;
}

/** Runs a command that need not be installed; if it is not, returns the reason. */
export async function runIfThere(
  start: Run,
  command: string,
  args: readonly string[],
): Promise<RunResult | Unseen> {
  try {
    return await start(command, args);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return new Unseen(error.message);
  }
}

/** A process was killed, and what it did may be half done. */
export class Ended extends Failure {}

/** execa takes any descriptor, but its types (9.6) only know the first few. */
function descriptor(number: number): 3 {
  return number as 3;
}

function cannotStart(command: string, result: Result): Failure {
  if (result.code === 'ENOENT') {
    return new Failure(`no ${command} on this machine`, {
      cause: 'it is not installed, or not in PATH',
      next: `apt-get install ${PACKAGES.get(command) ?? command}`,
    });
  }
  if (result.signal) return new Ended(`${command} was ended by ${result.signal}`);
  return new Failure(
    `could not start ${command}: ${result.shortMessage ?? 'for no reason given'}`,
  );
}
