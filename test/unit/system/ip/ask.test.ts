// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';

import { askIpLines } from '../../../../src/system/ip/ask.js';
import type { Run } from '../../../../src/system/run.js';

/** Answers each line with itself, but fails for 10.0.0.9; keeps what was run. */
function echoing(): { run: Run; ran: string[] } {
  const ran: string[] = [];
  const run: Run = (_command, args) => {
    const isBatch = args.includes('-batch');
    const text = isBatch
      ? readFileSync(args.at(-1) ?? '', 'utf8').trim()
      : args.slice(1).join(' ');
    ran.push(isBatch ? `batch: ${text.replaceAll('\n', '; ')}` : text);
    const lines = text.split('\n');
    const stdout = lines.map((line) => `${JSON.stringify([{ line }])}\n`).join('');
    const exitCode = text.includes('10.0.0.9') ? 2 : 0;
    return Promise.resolve({ exitCode, stdout, stderr: exitCode === 0 ? '' : 'no such' });
  };
  return { run, ran };
}

test('what a batch would misread runs in a process of its own', async () => {
  const { run, ran } = echoing();
  const lines = [
    'route get 10.0.0.1 oif eth0',
    "route get 10.0.0.2 oif it's",
    'route get 10.0.0.3 oif a#b',
    'route get 10.0.0.4 oif eth0',
  ];
  const { answers, result } = await askIpLines(run, lines);
  expect(ran).toEqual([`batch: ${lines[0]}; ${lines[3]}`, lines[1], lines[2]]);
  const answered = answers.map((one) => (one as { line: string }).line);
  expect(answered.sort()).toEqual(lines);
  expect(result.exitCode).toBe(0);
});

test('the failure of such a line is the result', async () => {
  const { result } = await askIpLines(echoing().run, [
    'route get 10.0.0.1 oif eth0',
    'route get 10.0.0.9 oif a#b',
  ]);
  expect(result).toMatchObject({ exitCode: 2, stderr: 'no such' });
});
