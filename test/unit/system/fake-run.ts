// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Stands in for processes: answers by command line, and fails for any other. */
import { fstatSync, readSync } from 'node:fs';

import type { Run, RunOptions, RunResult } from '../../../src/system/run.js';

/** What a process prints; a string alone is the output of one that succeeds. */
export type Answer = string | Partial<RunResult>;

export interface FakeRun {
  run: Run;
  /** The command lines that were run, in their order. */
  lines: string[];
  options: RunOptions[];
}

/**
 * The keys are command lines. What stands in a batch follows behind a `<`, its
 * lines joined by `; `. Of several answers each is given once, the last for ever.
 */
export function fakeRun(answers: Record<string, Answer | Answer[]>): FakeRun {
  const lines: string[] = [];
  const given: RunOptions[] = [];
  const asked = new Map<string, number>();
  const run: Run = (command, args, options = {}) => {
    const input = options.stdin === undefined ? '' : ` < ${batchOf(options.stdin)}`;
    const line = [command, ...args].join(' ') + input;
    lines.push(line);
    given.push(options);
    const answer = answers[line];
    if (answer === undefined) throw new Error(`the test expects no command: ${line}`);
    const times = asked.get(line) ?? 0;
    asked.set(line, times + 1);
    const now = Array.isArray(answer)
      ? (answer[Math.min(times, answer.length - 1)] ?? '')
      : answer;
    const result = typeof now === 'string' ? { stdout: now } : now;
    return Promise.resolve({ exitCode: 0, stdout: '', stderr: '', ...result });
  };
  return { run, lines, options: given };
}

function batchOf(descriptor: number): string {
  const text = Buffer.alloc(fstatSync(descriptor).size);
  readSync(descriptor, text, 0, text.length, 0);
  return text.toString().trimEnd().replaceAll('\n', '; ');
}
