// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * One lock for all that write, on this host. It belongs to an open file, and
 * whoever has inherited that file holds it: so it outlives this process as long
 * as the batch it started runs on, and no longer. Nothing has to be cleaned up.
 */
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';

import { Failure } from '../text/failure.js';
import type { Run } from './run.js';

const LOCK_FILE = '/run/l4lb.lock';
const WAIT_SECONDS = 20;
/** What flock (util-linux) exits with when the time is over; our choice. */
const TIMED_OUT = 75;

/** Runs work under the lock; the argument is the descriptor to pass on. */
export async function withLock<T>(
  run: Run,
  holder: string,
  work: (lock: number) => Promise<T>,
): Promise<T> {
  const lock = openSync(LOCK_FILE, 'a+');
  try {
    const args = [
      '--wait',
      String(WAIT_SECONDS),
      '--conflict-exit-code',
      String(TIMED_OUT),
      '3',
    ];
    const { exitCode, stderr } = await run('flock', args, { held: lock });
    if (exitCode === TIMED_OUT) throw isBusy();
    if (exitCode !== 0)
      throw new Failure(`could not lock ${LOCK_FILE}: ${stderr.trim()}`);
    ftruncateSync(lock);
    writeSync(lock, `${holder}, process ${process.pid}\n`);
    return await work(lock);
  } finally {
    closeSync(lock);
  }
}

function isBusy(): Failure {
  const holder = readFileSync(LOCK_FILE, 'utf8').trim();
  return new Failure(`another tool has been writing for ${WAIT_SECONDS} seconds`, {
    cause: holder === '' ? undefined : `it is ${holder}, or a batch that it started`,
    next: 'wait for it, or end it, and run this command again',
  });
}
