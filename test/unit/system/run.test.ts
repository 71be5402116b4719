// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The one test of this folder that starts processes, most of node itself. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execa } from 'execa';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

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

  test('a command that is no program is a failure, with what execa says of it', async () => {
    const { message } = await failureOf(run('/', ['show']));
    expect(message).toBe(
      'could not start /: Command failed with EACCES: / show\nspawn / EACCES',
    );
  });

  test('gives what a process prints, to the last newline, and its exit code', async () => {
    const script = 'console.log("out"); console.error("err"); process.exit(3)';
    expect(await run(NODE, ['-e', script])).toEqual({
      exitCode: 3,
      stdout: 'out\n',
      stderr: 'err\n',
    });
  });

  test('gives all that a process prints, a letter in two pieces and bytes too', async () => {
    const script = `
      const bytes = Buffer.from('\u00e4'.repeat(300_000));
      process.stdout.write(bytes.subarray(0, 1));
      setTimeout(() => process.stdout.write(bytes.subarray(1)), 20);
    `;
    expect((await run(NODE, ['-e', script])).stdout).toBe('\u00e4'.repeat(300_000));
    const { stdout } = await run(NODE, ['-e', script], { isBinary: true });
    expect(stdout).toBe('\u00c3\u00a4'.repeat(300_000));
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

/** jest's own process takes no signals, so these have one with run() in it. */
describe('a signal to this process', () => {
  let folder = '';
  const bundle = (): string => join(folder, 'run.cjs');

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'l4lb-run-'));
    const form = ['--bundle', '--format=cjs', '--platform=node', '--log-level=warning'];
    await execa('node_modules/.bin/esbuild', [
      'src/system/run.ts',
      ...form,
      `--outfile=${bundle()}`,
    ]);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const TRAP = 'trap "echo ended >&3; exit" TERM';

  test.each([
    {
      name: 'that it listens to ends none of its processes',
      before: 'process.on("SIGHUP", () => console.log("reload"))',
      command: `${TRAP}; sleep 0.2; kill -HUP $PPID; sleep 0.1; echo went on >&3`,
      output: 'reload\nwent on\nexit code 0',
      signal: undefined,
    },
    {
      name: 'that ends it ends its processes',
      before: '',
      command: `${TRAP}; sleep 0.2; kill -HUP $PPID; sleep 0.2; echo went on >&3`,
      output: 'ended',
      signal: 'SIGHUP',
    },
  ])('$name', async ({ before, command, output, signal }) => {
    const script = `
      const { run } = require(${JSON.stringify(bundle())});
      ${before};
      run('sh', ['-c', ${JSON.stringify(command)}], { held: 1 })
        .then(({ exitCode }) => console.log('exit code', exitCode));
    `;
    const ended = await execa(NODE, ['-e', script], { reject: false });
    expect(ended.stdout).toBe(output);
    expect(ended.signal).toBe(signal);
  });
});
