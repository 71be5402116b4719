// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Which machine it was. */
import { cpus, release } from 'node:os';

import type { Run } from '../src/system/run.js';
import type { Machine } from './result.js';

export async function machineOf(run: Run): Promise<Machine> {
  const processors = cpus();
  const { stdout } = await run('git', ['rev-parse', '--short', 'HEAD']);
  return {
    date: new Date().toISOString().slice(0, 10),
    kernel: release(),
    processor: processors[0]?.model.replaceAll(/\s+/g, ' ').trim() ?? 'unknown',
    processors: processors.length,
    commit: stdout.trim(),
  };
}
