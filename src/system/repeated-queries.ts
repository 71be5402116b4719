// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Asks bpftool the same questions again and again. A small shell starts it each time: for
 * Node, starting a process takes longer than all that bpftool does, since it maps all of
 * its memory once more for that.
 */
import { answersOf } from './bpftool-text.js';
import { LongRunning } from './long-running.js';
import { withScratch } from './scratch.js';

/**
 * The shell holds the file open as descriptor 3, and bpftool reads it anew for each line
 * that the shell is sent. The shell ends with its input, so at the latest when this
 * process ends for whatever reason.
 */
const SHELL = [
  'exec 3<"$1"',
  'PATH=$PATH:/usr/sbin:/sbin LC_ALL=C',
  'export PATH LC_ALL',
  'echo ready',
  'while read -r _; do bpftool -j batch file /dev/fd/3; echo "$?"; done',
].join('\n');

/** The name of the process in messages. */
const WHO = 'the shell that starts bpftool';

export class RepeatedQueries {
  readonly #shell: LongRunning;
  readonly #questions: number;
  #lines: string[] = [];
  #hasEnded = false;
  /** Called when the answer may be complete. */
  #onAnswer: (() => void) | undefined;

  private constructor(shell: LongRunning, questions: number) {
    this.#shell = shell;
    this.#questions = questions;
    shell.onLine((line) => {
      this.#lines.push(line);
      // All of the JSON is one line, and the exit code another.
      if (/^\d+$/.test(line)) this.#onAnswer?.();
    });
    void shell.ended.then(() => {
      this.#hasEnded = true;
      this.#onAnswer?.();
    });
  }

  static async start(lines: readonly string[]): Promise<RepeatedQueries> {
    return withScratch(async (scratch) => {
      const path = scratch.writeLines('batch', lines);
      const shell = new LongRunning('sh', ['-c', SHELL, 'sh', path]);
      await shell.firstLine(WHO);
      return new RepeatedQueries(shell, lines.length);
    });
  }

  /** Returns one answer for each question, as Bpftool.queries() does. */
  async ask(): Promise<unknown[]> {
    this.#lines = [];
    const answered = new Promise<void>((resolve) => (this.#onAnswer = resolve));
    this.#shell.say('');
    if (!this.#hasEnded) await answered;
    if (this.#hasEnded) throw this.#shell.failure(WHO);
    const exitCode = Number(this.#lines.pop());
    const result = { exitCode, stdout: this.#lines.join('\n'), stderr: '' };
    return answersOf(result, this.#questions);
  }

  close(): void {
    this.#shell.stop();
  }
}
