// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Asks bpftool the same questions again and again. A small shell starts it each time: for
 * Node, starting a process takes longer than all that bpftool does, since it maps all of
 * its memory once more for that.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

import { answersOf, BpftoolFailure } from './bpftool-text.js';
import { LongRunning } from './long-running.js';
import { withScratch } from './scratch.js';

/**
 * The shell holds the file open as descriptor 3, and bpftool reads it anew for each line
 * that the shell is sent. From 4 on there are two for each frame: what a program is run on,
 * and what it makes of it. The shell ends with its input, so at the latest when this process
 * ends for whatever reason.
 */
const SHELL = [
  'exec 3<"$1"; shift',
  'if [ $# -gt 0 ]; then exec 4<"$1" 5<>"$2"; shift 2; fi',
  'if [ $# -gt 0 ]; then exec 6<"$1" 7<>"$2"; shift 2; fi',
  'if [ $# -gt 0 ]; then exec 8<"$1" 9<>"$2"; fi',
  'PATH=$PATH:/usr/sbin:/sbin LC_ALL=C',
  'export PATH LC_ALL',
  'echo ready',
  'while read -r _; do bpftool -j batch file /dev/fd/3; echo "$?"; done',
].join('\n');

/** A shell has no more descriptors of one digit. */
export const MOST_FRAMES = 3;

/** A pinned program, and the frames that it is run on each time, after the questions. */
export interface Runs {
  pin: string;
  frames: readonly Buffer[];
}

const NO_RUNS: Runs = { pin: '', frames: [] };

/** The name of the process in messages. */
const WHO = 'the shell that starts bpftool';

export class RepeatedQueries {
  readonly #shell: LongRunning;
  readonly #questions: number;
  /** The files that programs write frames into, and how long these are. */
  readonly #outputs: { file: number; length: number }[];
  #lines: string[] = [];
  #hasEnded = false;
  /** Called when the answer may be complete. */
  #onAnswer: (() => void) | undefined;

  private constructor(
    shell: LongRunning,
    questions: number,
    outputs: { file: number; length: number }[],
  ) {
    this.#shell = shell;
    this.#questions = questions;
    this.#outputs = outputs;
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

  static async start(
    lines: readonly string[],
    { pin, frames }: Runs = NO_RUNS,
  ): Promise<RepeatedQueries> {
    return withScratch(async (scratch) => {
      const runs = frames.map(
        ({ length }, index) =>
          `prog run pinned ${pin} data_in /dev/fd/${4 + 2 * index} ` +
          `data_out /dev/fd/${5 + 2 * index} data_size_out ${length}`,
      );
      const path = scratch.writeLines('batch', [...lines, ...runs]);
      const outputs: { file: number; length: number }[] = [];
      const paths = frames.flatMap((frame, index) => {
        const output = scratch.write(`out${index}`, '');
        outputs.push({ file: openSync(output, 'r'), length: frame.length });
        return [scratch.write(`in${index}`, frame), output];
      });
      const shell = new LongRunning('sh', ['-c', SHELL, 'sh', path, ...paths]);
      const queries = new RepeatedQueries(shell, lines.length + runs.length, outputs);
      try {
        await shell.firstLine(WHO);
      } catch (error) {
        queries.close();
        throw error;
      }
      return queries;
    });
  }

  /** Returns one answer for each question and each run, as Bpftool.queries() does. */
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

  /** What the program made of the frames when it was asked last. */
  frames(): Buffer[] {
    return this.#outputs.map(({ file, length }) => {
      const frame = Buffer.alloc(length);
      // A file of another length is not what was asked for.
      if (
        fstatSync(file).size !== length ||
        readSync(file, frame, 0, length, 0) !== length
      ) {
        throw new BpftoolFailure('bpftool did not write what the program answered', {
          ...{ exitCode: 0, stdout: '', stderr: '' },
        });
      }
      return frame;
    });
  }

  close(): void {
    this.#shell.stop();
    for (const { file } of this.#outputs.splice(0)) closeSync(file);
  }
}
