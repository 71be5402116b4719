// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The one test of this folder that starts processes, of node itself. */
import { describe, expect, test } from '@jest/globals';
import { closeSync, openSync } from 'node:fs';

import { Failure } from '../../../src/text/failure.js';
import { run } from '../../../src/system/run.js';

const NODE = process.execPath;

async function failureOf(attempt: Promise<unknown>): Promise<Failure> {
  try {
    await attempt;
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

describe('run', () => {
  test('a command that is not there is named, and what to install', async () => {
    const failure = await failureOf(run('l4lb-no-such-command', ['show']));
    expect(failure.format('l4lb-map')).toBe(
      [
        'l4lb-map: no l4lb-no-such-command on this machine',
        '  likely cause: it is not installed, or not in PATH',
        '  next: apt-get install l4lb-no-such-command',
      ].join('\n'),
    );
    expect(failure.exitCode).toBe(1);
  });

  test('gives what a process prints, to the last newline, and its exit code', async () => {
    const script = 'console.log("out"); console.error("err"); process.exit(3)';
    expect(await run(NODE, ['-e', script])).toEqual({
      exitCode: 3,
      stdout: 'out\n',
      stderr: 'err\n',
    });
  });

  test('arguments are no text for a shell', async () => {
    const script = 'console.log(process.argv[1])';
    const { stdout } = await run(NODE, ['-e', script, '$HOME; echo "x" *']);
    expect(stdout).toBe('$HOME; echo "x" *\n');
  });

  test('a process speaks no language of the user, and finds what root finds', async () => {
    const script = 'console.log(process.env.LC_ALL, process.env.PATH)';
    const { stdout } = await run(NODE, ['-e', script]);
    expect(stdout).toMatch(/^C .*:\/usr\/sbin:\/sbin\n$/);
  });

  test('a process has no input, but that which it is given', async () => {
    const script = 'console.log(require("fs").readFileSync(0).length)';
    expect((await run(NODE, ['-e', script])).stdout).toBe('0\n');
    const file = openSync(new URL(import.meta.url), 'r');
    try {
      const { stdout } = await run(NODE, ['-e', script], { stdin: file });
      expect(Number(stdout)).toBeGreaterThan(1000);
    } finally {
      closeSync(file);
    }
  });

  test('a process holds a file open for us as its descriptor 3', async () => {
    const script = 'console.log(require("fs").fstatSync(3).size > 1000)';
    const file = openSync(new URL(import.meta.url), 'r');
    try {
      expect((await run(NODE, ['-e', script], { held: file })).stdout).toBe('true\n');
    } finally {
      closeSync(file);
    }
  });

  test('a process that is ended by a signal is a failure', async () => {
    const failure = await failureOf(
      run(NODE, ['-e', 'process.kill(process.pid, "SIGKILL")']),
    );
    expect(failure.message).toBe(`${NODE} was ended by SIGKILL`);
  });
});
