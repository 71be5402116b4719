// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Runs `ip`: one question in a process, or many lines. */
import { Failure } from '../../text/failure.js';
import type { Run, RunResult } from '../run.js';
import { withScratch } from '../scratch.js';
import { parseIpJson } from './json.js';

export async function askIp(run: Run, args: string[]): Promise<string> {
  const result = await run('ip', args);
  if (result.exitCode !== 0) throw ipFailure(args.join(' '), result);
  return result.stdout;
}

export async function askIpJson(run: Run, args: string[]): Promise<unknown[]> {
  return parseIpJson(await askIp(run, args), args.join(' '));
}

/** Runs many lines in one process. A line that fails does not affect the others. */
export async function askIpLines(
  run: Run,
  lines: readonly string[],
): Promise<{ answers: unknown[]; result: RunResult }> {
  return withScratch(async (scratch) => {
    const path = scratch.writeLines('batch', lines);
    const result = await run('ip', ['-force', '-j', '-batch', path]);
    // Each line that prints something prints one array.
    const answers = result.stdout
      .split('\n')
      .filter((line) => line.startsWith('['))
      .flatMap((line) => parseIpJson(line, '-batch'));
    return { answers, result };
  });
}

export function ipFailure(what: string, { stderr }: RunResult): Failure {
  const [first = ''] = stderr.trim().split('\n');
  return new Failure(`ip ${what}: ${first}`);
}
