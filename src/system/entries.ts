// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What `entries/entries` does: it writes and reads the entries of maps, thousands in one
 * call of the kernel's. entries/request.h describes the blocks that it takes and answers.
 */
import { closeSync, existsSync, openSync } from 'node:fs';

import { encodeWords, u32 } from '../abi/bytes.js';
import type { Advice } from '../text/failure.js';
import { Failure } from '../text/failure.js';
import { append } from '../text/lists.js';
import { at } from '../text/must.js';
import { packaged } from './package.js';
import type { Run, RunResult } from './run.js';
import { Ended } from './run.js';
import { withScratch } from './scratch.js';

/** An entry of a map. A per-CPU map has a value for each CPU. */
export interface Entry {
  key: Buffer;
  values: Buffer[];
}

/** Entries of one map that are written, or deleted where there are no values. */
export interface Change {
  map: number;
  /** One behind the other, as are the values. */
  keys: Buffer;
  keySize: number;
  values?: Buffer;
  valueSize: number;
}

/** Writes an entry of a map; on each CPU, if that counts by itself. */
export function update(map: { id: number }, key: Buffer, value: Buffer): Change {
  const sizes = { keySize: key.length, valueSize: value.length };
  return { map: map.id, keys: key, values: value, ...sizes };
}

/** Deletes an entry of a map, which must be there; an array keeps all of its entries. */
export function remove(map: { id: number }, key: Buffer): Change {
  return { map: map.id, keys: key, keySize: key.length, valueSize: 0 };
}

/** The kernel refused, or the map no longer exists. */
export class EntriesFailure extends Failure {}

/** Kinds of blocks. */
const [UPDATE, DELETE, LOOKUP, DUMP] = [0, 1, 2, 3] as const;
/** Bytes of keys and values that a block may have. */
const MOST_BYTES = 1 << 20;
/**
 * Bytes of the changes that go into one block. The kernel writes a block to its end even if
 * its process is killed meanwhile, so blocks are small; larger ones take no less time.
 */
const USUAL_BYTES = 1 << 11;

/**
 * Makes changes in their order. With a lock it runs to its end even if this process is
 * killed or interrupted, and holds the lock until then. Without a lock it writes to maps
 * that nobody else has, and ends with this process.
 */
export async function changeEntries(
  run: Run,
  changes: Iterable<Change>,
  lock: number | undefined,
): Promise<void> {
  const blocks = blocksOf(changes);
  if (blocks.length === 0) return;
  await ask(run, blocks, lock, 'the tables were not written: ', {
    cause: 'the program was removed meanwhile, or the kernel refused a value',
    next: 'run the same command again: it completes what is missing',
  });
}

/** The values of these keys; each key must be there. */
export async function lookUp(
  run: Run,
  map: number,
  keys: readonly Buffer[],
): Promise<Buffer[]> {
  const [first] = keys;
  if (!first) return [];
  const each = Math.floor(MOST_BYTES / first.length);
  const blocks: Buffer[] = [];
  for (let start = 0; start < keys.length; start += each) {
    const part = keys.slice(start, start + each);
    blocks.push(header(LOOKUP, map, first.length, 0, part.length));
    append(blocks, part);
  }
  const answers = await ask(run, blocks, undefined);
  return answersIn(answers).flatMap((entries) => [...values(entries)]);
}

/**
 * All entries of each map; of the maps in `sparse` without those that are all 0, which
 * takes less time.
 */
export async function dumpMaps(
  run: Run,
  maps: readonly number[],
  sparse: ReadonlySet<number>,
): Promise<Entry[][]> {
  if (maps.length === 0) return [];
  const blocks = maps.map((map) => header(DUMP, map, 0, 0, 0));
  const answers = answersIn(await ask(run, blocks, undefined));
  if (answers.length !== maps.length) throw cutShort();
  return maps.map((map, index) => entriesOf(at(answers, index), sparse.has(map)));
}

function header(
  kind: number,
  map: number,
  keySize: number,
  valueSize: number,
  count: number,
): Buffer {
  return encodeWords([kind, map, keySize, valueSize, count]);
}

/** Consecutive changes of one map share a block. */
function blocksOf(changes: Iterable<Change>): Buffer[] {
  const blocks: Buffer[] = [];
  const [keys, values]: [Buffer[], Buffer[]] = [[], []];
  let first: Change | undefined;
  let bytes = 0;
  const end = (): void => {
    if (!first) return;
    const { map, keySize, valueSize } = first;
    const count = keys.reduce((sum, { length }) => sum + length, 0) / keySize;
    const kind = first.values ? UPDATE : DELETE;
    blocks.push(header(kind, map, keySize, valueSize, count));
    append(blocks, keys.splice(0));
    append(blocks, values.splice(0));
  };
  for (const change of changes) {
    const size = change.keys.length + (change.values?.length ?? 0);
    if (!first || !isAlike(first, change) || bytes + size > USUAL_BYTES) {
      end();
      first = change;
      bytes = 0;
    }
    keys.push(change.keys);
    if (change.values) values.push(change.values);
    bytes += size;
  }
  end();
  return blocks;
}

function isAlike(one: Change, other: Change): boolean {
  return (
    one.map === other.map &&
    one.keySize === other.keySize &&
    one.valueSize === other.valueSize &&
    (one.values === undefined) === (other.values === undefined)
  );
}

/**
 * Runs it with a file that is complete by then, and already removed from its folder.
 * Through a pipe, the last block of a writer that is killed could be cut short.
 */
async function ask(
  run: Run,
  blocks: readonly Buffer[],
  lock: number | undefined,
  before = '',
  advice: Advice = {},
): Promise<Buffer> {
  const path = packaged('entries/entries');
  if (!existsSync(path)) {
    throw new Failure(`${path} is missing`, { cause: 'it was not built', next: 'make' });
  }
  const file = await withScratch((scratch) =>
    openSync(scratch.write('entries', Buffer.concat(blocks)), 'r'),
  );
  try {
    const { exitCode, stdout, stderr } = await started(before, advice, () =>
      run(path, [], {
        stdin: file,
        held: lock,
        detached: lock !== undefined,
        isBinary: true,
      }),
    );
    if (exitCode !== 0) throw failureOf(before, stderr, advice);
    return Buffer.from(stdout, 'latin1');
  } finally {
    closeSync(file);
  }
}

/** What was killed has done a part, and what does not start has done nothing. */
async function started(
  before: string,
  advice: Advice,
  start: () => Promise<RunResult>,
): Promise<RunResult> {
  try {
    return await start();
  } catch (error) {
    if (error instanceof Ended) {
      const cause = 'the kernel was short of memory, or somebody killed it';
      throw new EntriesFailure(before + error.message, {
        cause,
        next: advice.next ?? 'run the same command again',
      });
    }
    if (!(error instanceof Failure)) throw error;
    throw new Failure(`entries/entries does not run: ${error.message}`, {
      cause: 'it may not be executed, or was built for another machine',
      next: 'make',
    });
  }
}

function failureOf(before: string, said: string, advice: Advice): Failure {
  const what = /^entries: (.+)/.exec(said)?.[1];
  if (what !== undefined) return new EntriesFailure(before + what, advice);
  return new Failure(`entries/entries does not run: ${said.trim() || 'it was ended'}`, {
    cause: 'it was built for another machine',
    next: 'make',
  });
}

/** Entries of one map, one behind the other, as they were printed. */
interface Answer {
  keySize: number;
  valueSize: number;
  /** In an entry. */
  values: number;
  bytes: Buffer;
}

const ANSWER_SIZE = 16;

function answersIn(text: Buffer): Answer[] {
  const answers: Answer[] = [];
  for (let start = 0; start < text.length;) {
    if (start + ANSWER_SIZE > text.length) throw cutShort();
    const [keySize, valueSize] = [u32(text, start), u32(text, start + 4)];
    const [values, count] = [u32(text, start + 8), u32(text, start + 12)];
    const begin = start + ANSWER_SIZE;
    start = begin + count * (keySize + values * valueSize);
    if (start > text.length) throw cutShort();
    answers.push({ keySize, valueSize, values, bytes: text.subarray(begin, start) });
  }
  return answers;
}

function cutShort(): Failure {
  return new Failure('entries/entries has answered only a part', {
    cause: 'it is of another release, or was built in part',
    next: 'make',
  });
}

function* values({ keySize, valueSize, bytes }: Answer): Generator<Buffer> {
  for (let start = keySize; start < bytes.length; start += keySize + valueSize) {
    yield bytes.subarray(start, start + valueSize);
  }
}

function entriesOf(answer: Answer, isSparse: boolean): Entry[] {
  const { keySize, valueSize, values, bytes } = answer;
  const size = keySize + values * valueSize;
  const entries: Entry[] = [];
  for (let start = 0; start < bytes.length; start += size) {
    const end = start + size;
    if (isSparse && isZero(bytes, start + keySize, end)) continue;
    const key = bytes.subarray(start, start + keySize);
    const all: Buffer[] = [];
    for (let from = start + keySize; from < end; from += valueSize)
      all.push(bytes.subarray(from, from + valueSize));
    entries.push({ key, values: all });
  }
  return entries;
}

function isZero(bytes: Buffer, start: number, end: number): boolean {
  for (let index = start; index < end; index++) if (bytes[index] !== 0) return false;
  return true;
}
