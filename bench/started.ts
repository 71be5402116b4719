// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What the parts of the benchmark share: where the project is, and commands that must do. */
import { fileURLToPath } from 'node:url';

import { Failure } from '../src/text/failure.js';
import type { RunResult } from '../src/system/run.js';

/** From where this is compiled to, .make/bench/bench/. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** What a command printed, once it is done; `what` is the command. */
export async function expectDone(
  result: Promise<RunResult>,
  what: readonly string[],
): Promise<string> {
  const { exitCode, stdout, stderr } = await result;
  if (exitCode === 0) return stdout;
  throw new Failure(`${what.join(' ')}: ${stderr.trim() || `exit code ${exitCode}`}`, {
    next: './setup.sh bench && make',
  });
}
