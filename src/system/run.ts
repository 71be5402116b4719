// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Starts processes. Everything that starts one takes a Run as an argument, so that a test
 * can answer in its place by command line.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';

import { Failure } from '../text/failure.js';
import { Unseen } from '../text/unseen.js';
import { onEndingSignal } from './signals.js';

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
const running = new Set<ChildProcess>();
let stopListening: (() => void) | undefined;

/** Ends the processes that this one waits for, except batches that write. */
export async function endChildren(): Promise<void> {
  const ends = [...running].map(endOf);
  killChildren();
  await Promise.all(ends);
}

function killChildren(): void {
  for (const child of running) child.kill('SIGTERM');
}

export const run: Run = async (command, args, options = {}) => {
  const child = start(command, args, options);
  if (!options.detached) begin(child);
  const [end, stdout, stderr] = await Promise.all([
    endOf(child),
    bytesOf(child.stdout),
    bytesOf(child.stderr),
  ]);
  if (!options.detached) forget(child);
  if (typeof end !== 'number') throw cannotStart(command, end);
  return {
    exitCode: end,
    stdout: stdout.toString(options.isBinary ? 'latin1' : 'utf8'),
    stderr: stderr.toString(),
  };
};

function start(
  command: string,
  args: readonly string[],
  { stdin, held, detached = false }: RunOptions,
): ChildProcess {
  try {
    return spawn(command, args, {
      detached,
      // Programs read what these commands print, so it must not be translated. They must
      // also be found in a login without root's PATH.
      env: {
        ...process.env,
        ...{ LC_ALL: 'C', PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` },
      },
      stdio: [
        ...([stdin ?? 'ignore', 'pipe', 'pipe'] as const),
        ...(held === undefined ? [] : [held]),
      ],
    });
  } catch (error) {
    throw cannotStart(command, error as NodeJS.ErrnoException);
  }
}

/** From now on it ends with this process. */
function begin(child: ChildProcess): void {
  running.add(child);
  if (stopListening) return;
  const stop = onEndingSignal(endByInterruption);
  process.on('exit', killChildren);
  stopListening = (): void => {
    stop();
    process.off('exit', killChildren);
    stopListening = undefined;
  };
}

function forget(child: ChildProcess): void {
  running.delete(child);
  if (running.size === 0) stopListening?.();
}

/** Whoever else listens decides what becomes of both: to a daemon SIGHUP is no end. */
function endByInterruption(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  killChildren();
  stopListening?.();
  process.kill(process.pid, signal);
}

/** Its exit code, the signal that ended it, or why it did not start. */
type End = number | NodeJS.Signals | NodeJS.ErrnoException;

function endOf(child: ChildProcess): Promise<End> {
  return new Promise((resolve) => {
    child.on('error', resolve);
    child.on('close', (code, signal) => resolve(code ?? signal ?? 0));
  });
}

function bytesOf(stream: Readable | null): Promise<Buffer> {
  const parts: Buffer[] = [];
  return new Promise((resolve) => {
    const end = (): void => resolve(Buffer.concat(parts));
    if (!stream) end();
    stream?.on('data', (part: Buffer) => parts.push(part));
    stream?.on('error', end).on('close', end);
  });
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

function cannotStart(command: string, end: string | NodeJS.ErrnoException): Failure {
  if (typeof end === 'string') return new Failure(`${command} was ended by ${end}`);
  if (end.code !== 'ENOENT') {
    return new Failure(`could not start ${command}: ${end.message}`);
  }
  return new Failure(`no ${command} on this machine`, {
    cause: 'it is not installed, or not in PATH',
    next: `apt-get install ${PACKAGES.get(command) ?? command}`,
  });
}
