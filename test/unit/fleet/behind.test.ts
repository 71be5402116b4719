// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { beforeEach, expect, test } from '@jest/globals';

import { Keys } from '../../../src/fleet/agreement/keys.js';
import type { Head } from '../../../src/fleet/agreement/records.js';
import { formatNode } from '../../../src/fleet/agreement/records.js';
import { Behind } from '../../../src/fleet/behind.js';
import { MemoryStore } from './memory-store.js';

const keys = new Keys('main');
const head: Head = { common: 1, tables: new Map([['web', 7]]), drained: new Set() };
const OLD = { head, isUpTo: false, isLinked: true };
let store: MemoryStore;
let behind: Behind;

const node = (revision: number, isDrained = false): string =>
  formatNode({
    ...{ version: '1', isDrained, fault: '', addresses: [] },
    tables: new Map([['web', { revision, sum: 'a', isSettled: false }]]),
  });

const put = async (name: string, text: string): Promise<void> =>
  store.put({ [keys.node(name)]: text }, await store.lease(4));

/** Whether it is behind after it could not apply the head for so many milliseconds. */
async function isBehindAfter(milliseconds: number, seen = OLD): Promise<boolean> {
  await behind.see({ now: 0, ...seen });
  await behind.see({ now: milliseconds, ...seen });
  return behind.is;
}

beforeEach(() => {
  store = new MemoryStore();
  behind = new Behind(store, keys, 'lb1');
});

test.each([
  ['another node has what this one cannot apply', 'lb2', node(7), 10_000, true],
  ['it is too soon', 'lb2', node(7), 9999, false],
  ['the other one does not have it either', 'lb2', node(6), 10_000, false],
  ['the other one takes no packets', 'lb2', node(7, true), 10_000, false],
  ['what the other one says is none of ours', 'lb2', '{', 10_000, false],
  ['only this one is there', 'lb1', node(7), 10_000, false],
])('a node is behind: %s', async (_, name, text, after, is) => {
  await put(name, text);
  expect(await isBehindAfter(after)).toBe(is);
});

test('what hangs on no lease is ahead of nobody', async () => {
  await store.put({ [keys.node('lb2')]: node(7) });
  expect(await isBehindAfter(10_000)).toBe(false);
});

test('without the store all stays, and it is over when the tables are there', async () => {
  await put('lb2', node(7));
  expect(await isBehindAfter(20_000, { ...OLD, isLinked: false })).toBe(false);
  expect(await behind.see({ now: 20_000, ...OLD })).toBe(true);
  await behind.see({ now: 30_000, ...OLD, isLinked: false });
  expect(behind.is).toBe(true);
  await behind.see({ now: 30_001, ...OLD, isUpTo: true });
  expect(behind.is).toBe(false);
  expect(await behind.see({ now: 39_000, ...OLD })).toBe(false);
});
