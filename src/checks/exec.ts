// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Checks by a program: 0 passes. It gets address and port behind its own arguments, and
 * neither a shell nor the environment of the daemon.
 */
import { spawn } from 'node:child_process';

import type { Ask } from './attempt.js';
import { fail, once } from './attempt.js';

/**
 * A program costs a hundred times what a connection does, so only these run at once. A
 * check that comes when they do says nothing: to wait for them would use up its time.
 */
const MOST = 16;
let running = 0;

export const askExec: Ask = ({ command = [], address, port }, done) => {
  const [program = '', ...args] = command;
  if (running >= MOST) {
    done(undefined, `${MOST} programs run already`);
    return () => {};
  }
  const child = spawn(program, [...args, address, String(port)], {
    stdio: ['ignore', 'ignore', 'ignore'],
    env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
    // A group of its own, so that what it starts ends with it.
    detached: true,
  });
  running++;
  let hasLeft = false;
  const leave = (): void => {
    if (!hasLeft) running--;
    hasLeft = true;
  };
  const { end, giveUp } = once(() => {
    if (!hasLeft && child.pid !== undefined) killGroup(child.pid);
  }, done);
  child.on('error', (error) => {
    leave();
    fail(end, error);
  });
  child.on('close', (code, signal) => {
    leave();
    end(code === 0, code === null ? `ended by ${signal ?? 'a signal'}` : `exit ${code}`);
  });
  return giveUp;
};

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
