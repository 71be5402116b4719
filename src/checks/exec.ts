// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Checks by a program: 0 passes. It gets address and port behind its own arguments, and
 * neither a shell nor the environment of the daemon.
 */
import { spawn } from 'node:child_process';

import type { Ask } from './attempt.js';
import { fail, once } from './attempt.js';

/** A program costs a hundred times what a connection does, so only these run at once. */
const MOST = 16;
let running = 0;
const waiting: (() => void)[] = [];

export const askExec: Ask = ({ command = [], address, port }, done) => {
  const [program = '', ...args] = command;
  let kill = (): void => {};
  let isOver = false;
  const begin = (): void => {
    if (isOver) {
      waiting.shift()?.();
      return;
    }
    running++;
    const child = spawn(program, [...args, address, String(port)], {
      stdio: ['ignore', 'ignore', 'ignore'],
      env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
    });
    let hasLeft = false;
    const leave = (): void => {
      if (hasLeft) return;
      hasLeft = true;
      running--;
      waiting.shift()?.();
    };
    kill = () => child.kill('SIGKILL');
    child.on('error', (error) => {
      leave();
      fail(end, error);
    });
    child.on('close', (code, signal) => {
      leave();
      end(
        code === 0,
        code === null ? `ended by ${signal ?? 'a signal'}` : `exit ${code}`,
      );
    });
  };
  const { end, giveUp } = once(() => {
    isOver = true;
    kill();
  }, done);
  if (running < MOST) begin();
  else waiting.push(begin);
  return giveUp;
};
