// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { expect, test } from '@jest/globals';

import { changeEntries, dumpMaps, update } from '../../../src/system/entries.js';
import type { Run } from '../../../src/system/run.js';
import { Ended } from '../../../src/system/run.js';
import { Failure } from '../../../src/text/failure.js';

const failing =
  (error: Failure): Run =>
  () =>
    Promise.reject(error);
const printing =
  (stdout: string): Run =>
  () =>
    Promise.resolve({ exitCode: 0, stdout, stderr: '' });
const changes = [update({ id: 1 }, Buffer.alloc(4), Buffer.alloc(8))];

async function failureOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.catch((one: unknown) => one);
  if (!(error instanceof Failure)) throw new Error('it did not fail');
  return error.format('l4lb-map');
}

test('killed in the middle of a write, it says that the write can be done again', async () => {
  const run = failing(new Ended('entries was ended by SIGKILL'));
  const said = await failureOf(changeEntries(run, changes, 3));
  expect(said).toContain('the tables were not written: entries was ended by SIGKILL');
  expect(said).toContain('likely cause: the kernel was short of memory, or somebody');
  expect(said).toContain('next: run the same command again');
});

test('where it cannot be started, it has to be built', async () => {
  const run = failing(new Failure('no entries/entries on this machine'));
  const said = await failureOf(changeEntries(run, changes, 3));
  expect(said).toContain('entries/entries does not run');
  expect(said).toMatch(/next: make$/);
});

/** An answer of one entry: sizes of key and value, values in an entry, entries. */
const WHOLE = Buffer.concat(
  [4, 8, 1, 1].map((word) => Buffer.from(Uint32Array.of(word).buffer)),
).toString('latin1');

test.each([
  ['nothing', ''],
  ['half a head', WHOLE.slice(0, 7)],
  ['a head alone', WHOLE],
  ['half an entry', `${WHOLE}${'\0'.repeat(11)}`],
])('an answer of %s is no answer', async (_what, stdout) => {
  expect(await failureOf(dumpMaps(printing(stdout), [1], new Set()))).toContain(
    'entries/entries has answered only a part',
  );
});

test('a whole answer is one', async () => {
  const read = await dumpMaps(printing(`${WHOLE}${'\0'.repeat(12)}`), [1], new Set());
  expect(read).toEqual([[{ key: Buffer.alloc(4), values: [Buffer.alloc(8)] }]]);
});
