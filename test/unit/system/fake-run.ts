// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Stands in for processes: answers by command line, and fails for any other. */
import { fstatSync, readSync } from 'node:fs';

import { requestText } from './fake-entries.js';
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
 * lines joined by `; `, and so does what `entries` is asked. Of several answers each is given once, the last for ever.
 */
export function fakeRun(answers: Record<string, Answer | Answer[]>): FakeRun {
  const lines: string[] = [];
  const given: RunOptions[] = [];
  const asked = new Map<string, number>();
  const run: Run = (command, args, options = {}) => {
    const isEntries = command.endsWith('entries/entries');
    const read = isEntries ? requestText : batchText;
    const input =
      options.stdin === undefined ? '' : ` < ${read(contentOf(options.stdin))}`;
    const line = [isEntries ? 'entries' : command, ...args].join(' ') + input;
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

function contentOf(descriptor: number): Buffer {
  const content = Buffer.alloc(fstatSync(descriptor).size);
  readSync(descriptor, content, 0, content.length, 0);
  return content;
}

function batchText(content: Buffer): string {
  return content.toString().trimEnd().replaceAll('\n', '; ');
}
