// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Who a node is to the others, as long as its lease lasts. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { Membership } from '../../../src/fleet/membership.js';
import { MemoryStore } from './memory-store.js';

const KEY = '/l4lb/main/node/lb1';
let store: MemoryStore;
let all: Membership[];
let told: string[];

interface Started {
  node: Membership;
  ended: Promise<unknown>;
}

function start(text: string): Started {
  const trouble = (what: string): void => {
    told.push(what);
  };
  const events = { changed: () => {}, trouble };
  const node = new Membership(store, events, 20);
  all.push(node);
  node.say(KEY, text);
  const ended = node.run().then(
    () => 'ended',
    (error: unknown) => error,
  );
  return { node, ended };
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 3000; !(await isSo());) {
    if (performance.now() > end) throw new Error(told.join('\n'));
    await sleep(20);
  }
}

const said = async (): Promise<string | undefined> => (await store.value(KEY))?.value;

beforeEach(() => {
  store = new MemoryStore();
  all = [];
  told = [];
});

afterEach(async () => {
  await Promise.all(all.map((one) => one.stop()));
});

test('of two nodes of one name the second ends, and says why', async () => {
  start('first');
  await until(async () => (await said()) === 'first');
  const second = start('second');
  expect(second.node.lease).toBeUndefined();
  const why = await second.ended;
  expect(String(why)).toContain(`another node says ${KEY}`);
  expect(why).toMatchObject({
    advice: { next: 'give this one another name with --node' },
  });
  expect(await said()).toBe('first');
});

test('one that loses its lease, and finds its name taken, goes on and gets it back', async () => {
  const first = start('first');
  await until(() => first.node.lease !== undefined);
  const lease = first.node.lease;
  if (lease) await store.drop(lease);
  const other = await store.lease(4);
  await store.put({ [KEY]: 'other' }, other);
  await until(() => told.length > 0);
  expect(told.join('\n')).toContain('another node says');
  // It has no voice, so it cannot lead, and is not ended.
  expect(first.node.lease).toBeUndefined();
  expect(await Promise.race([first.ended, sleep(50)])).toBeUndefined();
  await store.drop(other);
  await until(() => first.node.lease !== undefined);
  expect(await said()).toBe('first');
});

test('what hangs on no lease does not keep a name from a node', async () => {
  await store.put({ [KEY]: 'nobody' });
  const first = start('first');
  await until(() => first.node.lease !== undefined);
  expect(await said()).toBe('first');
});
