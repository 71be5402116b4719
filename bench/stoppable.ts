// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Ends a part of the benchmark at once when a signal comes, and leaves nothing behind. */
import { existsSync, readdirSync } from 'node:fs';

import { interruptible } from '../src/disturb/perform.js';
import type { Run, RunResult } from '../src/system/run.js';
import { endChildren } from '../src/system/run.js';

/**
 * Runs the work so that a signal also ends the processes that it waits for, such as one
 * that sends packets. Through `run` it starts none after that, except detached ones.
 */
export async function stoppable<T>(
  start: Run,
  work: (stop: AbortSignal, run: Run) => Promise<T>,
  end = endChildren,
): Promise<T> {
  return interruptible(async (stop) => {
    const endNow = (): void => void end();
    stop.addEventListener('abort', endNow);
    const run: Run = async (command, args, options) => {
      if (!options?.detached) stop.throwIfAborted();
      return start(command, args, options);
    };
    try {
      return await work(stop, run);
    } finally {
      stop.removeEventListener('abort', endNow);
    }
  });
}

/** Removes a network namespace, and ends what still runs in it. */
export async function removeNamespace(run: Run, name: string): Promise<RunResult> {
  // Ctrl-C in the terminal must not stop it half way.
  const options = { detached: true };
  const { stdout } = await run('ip', ['netns', 'pids', name], options);
  const pids = stdout.split('\n').filter((line) => line !== '');
  if (pids.length > 0) await run('kill', ['-KILL', ...pids], options);
  return run('ip', ['netns', 'delete', name], options);
}

const NAMESPACES = '/run/netns';

/**
 * Removes what a benchmark has left behind that was killed. Networks of
 * testbed/network.sh have an owner, whose death the next one notices.
 */
export async function removeLeftNamespaces(
  run: Run,
  names = existsSync(NAMESPACES) ? readdirSync(NAMESPACES) : [],
): Promise<void> {
  for (const name of names) {
    const [, pid] = /^l4lb-bench-(\d+)-(?:\d+-near|\d+-far|tools)$/.exec(name) ?? [];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    await removeNamespace(run, name);
  }
}
