// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A lock for everybody who writes to the tables of one device.
 *
 * It belongs to an open file, and every process that inherited the file holds it. So it
 * outlives this process as long as a batch that it started runs, and no longer, and
 * nothing has to be cleaned up.
 *
 * Whoever can open the file can lock it, even for reading. So it lies in a folder that
 * only root can enter.
 */
import {
  chmodSync,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  statSync,
} from 'node:fs';

import { Failure } from '../text/failure.js';
import { holdersOf } from './processes.js';
import type { Run } from './run.js';

export const LOCK_FOLDER = '/run/l4lb';
const WAIT_SECONDS = 20;
/** The exit code that we ask flock (util-linux) for when the time is over. */
const TIMED_OUT = 75;

/**
 * The name of a device's lock. It has the inode of the namespace and the number of the
 * device, which stays when the device gets another name.
 */
export function deviceLock(
  { ifindex }: { ifindex: number },
  namespace = '/proc/self/ns/net',
): string {
  return `${statSync(namespace).ino}-${ifindex}`;
}

/** Runs work under the lock of this name, and passes it the descriptor of the lock. */
export function withLock<T>(
  run: Run,
  name: string,
  work: (lock: number) => Promise<T>,
): Promise<T> {
  return lockFor(run, name, WAIT_SECONDS, (path) => isBusy(path), work);
}

/** Runs what may run only once on a device, for as long as it takes; it waits for nobody. */
export function alone<T>(
  run: Run,
  device: string,
  who: string,
  work: () => Promise<T>,
): Promise<T> {
  return lockFor(run, `${device}-${who}`, 0, (path) => runsAlready(who, path), work);
}

/**
 * Runs work under the lock of a file outside of that folder, which the caller has opened and
 * which is closed afterwards.
 */
export function withOpenLock<T>(
  run: Run,
  { path, lock, seconds }: { path: string; lock: number; seconds: number },
  work: () => Promise<T>,
): Promise<T> {
  return holding(run, { path, lock, seconds }, (held) => isBusy(held, seconds), work);
}

async function lockFor<T>(
  run: Run,
  name: string,
  seconds: number,
  busy: (path: string) => Failure,
  work: (lock: number) => Promise<T>,
): Promise<T> {
  const path = `${LOCK_FOLDER}/${name}.lock`;
  return holding(run, { path, lock: openLock(path), seconds }, busy, work);
}

async function holding<T>(
  run: Run,
  { path, lock, seconds }: { path: string; lock: number; seconds: number },
  busy: (path: string) => Failure,
  work: (lock: number) => Promise<T>,
): Promise<T> {
  try {
    const args = [
      '--wait',
      String(seconds),
      '--conflict-exit-code',
      String(TIMED_OUT),
      '3',
    ];
    const { exitCode, stderr } = await run('flock', args, { held: lock });
    if (exitCode === TIMED_OUT) throw busy(path);
    if (exitCode !== 0) throw new Failure(`could not lock ${path}: ${stderr.trim()}`);
    return await work(lock);
  } finally {
    closeSync(lock);
  }
}

function openLock(path: string): number {
  try {
    makeFolder();
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
    return openSync(path, flags, 0o600);
  } catch (error) {
    if (error instanceof Failure) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Failure(`cannot lock the device: ${message}`, {
      cause: code === 'EROFS' ? '/run is mounted read-only' : undefined,
      next:
        code === 'EROFS'
          ? 'mount -o remount,rw /run'
          : `look at: ls -ld /run ${LOCK_FOLDER} ${path}; df /run`,
    });
  }
}

function makeFolder(): void {
  try {
    mkdirSync(LOCK_FOLDER, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const there = lstatSync(LOCK_FOLDER);
  if (!there.isDirectory() || there.uid !== process.geteuid?.()) {
    throw new Failure(`${LOCK_FOLDER} is not a folder that belongs to root`, {
      cause: 'another program made it, or somebody who may write to /run',
      next: `look at it with ls -ld ${LOCK_FOLDER}, and remove it`,
    });
  }
  if ((there.mode & 0o077) !== 0) chmodSync(LOCK_FOLDER, 0o700);
}

/** Somebody else holds the lock; it may be free again later. */
export class Busy extends Failure {}

function runsAlready(who: string, path: string): Failure {
  const [holder] = holdersOf(path);
  return new Failure(`${who} runs on this device already`, {
    cause: holder && `process ${holder.pid} holds ${path}`,
    next: holder
      ? `kill -HUP ${holder.pid} makes it read its file again, kill ${holder.pid} ends it`
      : `fuser -v ${path} shows which process it is`,
  });
}

/** Looks up who holds the lock now: a batch that outlived its tool may hold it. */
function isBusy(path: string, seconds = WAIT_SECONDS): Busy {
  const holders = holdersOf(path).map(({ name, pid }) => `${name} (process ${pid})`);
  return new Busy(`another tool has been writing for ${seconds} seconds`, {
    cause:
      holders.length > 0
        ? `${holders.join(' and ')} ${holders.length > 1 ? 'hold' : 'holds'} ${path}`
        : `whoever held ${path} has just ended, or is in another PID namespace`,
    next:
      holders.length > 0
        ? 'wait for it, or end it, and run this command again'
        : `run this command again; fuser -v ${path} shows who holds it`,
  });
}
