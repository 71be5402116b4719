// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Runs `ip`: one question in a process, or many lines. */
import { closeSync, openSync } from 'node:fs';

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

/**
 * Asks several questions in one process, and returns the answers. A question that fails
 * fails all; one that nothing is printed for has no answer.
 */
export async function askIpTogether(
  run: Run,
  options: readonly string[],
  lines: readonly string[],
): Promise<unknown[][]> {
  const result = await ipBatch(run, [...options, '-j'], lines);
  if (result.exitCode !== 0) throw ipFailure(lines.join('; '), result);
  return answersIn(result);
}

/** Runs lines in one process, which ends at the first that fails unless there is -force. */
export async function ipBatch(
  run: Run,
  options: readonly string[],
  lines: readonly string[],
): Promise<RunResult> {
  const file = await withScratch((scratch) =>
    openSync(scratch.writeLines('batch', lines), 'r'),
  );
  try {
    return await run('ip', [...options, '-batch', '-'], { stdin: file });
  } finally {
    closeSync(file);
  }
}

/** Each line that prints something prints one array. */
function answersIn({ stdout }: RunResult): unknown[][] {
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('['))
    .map((line) => parseIpJson(line, '-batch'));
}

/** What a batch takes for a comment or for quotes, and what device names may have. */
const SPECIAL = /[#'"\\]/;

/**
 * Runs many lines in one process, and those that a batch would misread each in one of its
 * own. A line that fails does not affect the others; the result is then of one that failed.
 */
export async function askIpLines(
  run: Run,
  lines: readonly string[],
): Promise<{ answers: unknown[]; result: RunResult }> {
  const special = lines.filter((line) => SPECIAL.test(line));
  const plain = lines.filter((line) => !SPECIAL.test(line));
  const batch = await runBatch(run, plain);
  const results = [batch];
  // One after another: there may be thousands.
  for (const line of special) results.push(await run('ip', ['-j', ...line.split(' ')]));
  const answers = results.flatMap(answersIn).flat();
  return { answers, result: results.find(({ exitCode }) => exitCode !== 0) ?? batch };
}

async function runBatch(run: Run, lines: readonly string[]): Promise<RunResult> {
  if (lines.length === 0) return { exitCode: 0, stdout: '', stderr: '' };
  return withScratch(async (scratch) =>
    run('ip', ['-force', '-j', '-batch', scratch.writeLines('batch', lines)]),
  );
}

export function ipFailure(what: string, { stderr }: RunResult): Failure {
  const [first = ''] = stderr.trim().split('\n');
  return new Failure(`ip ${what}: ${first}`);
}
