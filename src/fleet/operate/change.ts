// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What an operator changes in a fleet's store, besides what is wanted of it. */
import { Conflict } from '../../daemon/by-hand.js';
import { Failure } from '../../text/failure.js';
import { append } from '../../text/lists.js';
import { formatDocument, parseDocument } from '../agreement/document.js';
import type { Keys } from '../agreement/keys.js';
import { living, named } from '../agreement/keys.js';
import { formatHead, parseCommon } from '../agreement/records.js';
import { weightsOf } from '../agreement/wanted.js';
import { headIn } from '../leader.js';
import { portionOf } from '../store/portion.js';
import type { Compare, Entry, Put, Store } from '../store/store.js';
import { MOST_KEYS } from '../store/store.js';

type Entries = ReadonlyMap<string, Entry>;

async function readAll(store: Store, keys: Keys): Promise<Entries> {
  const { entries } = await store.read(keys.root);
  if (entries.length === 0) throw noFleet(store);
  return new Map(entries.map((entry) => [entry.key, entry]));
}

export function noFleet({ name }: Store): Failure {
  return new Failure(`there is no such fleet in ${name}`, {
    cause: 'nothing was ever applied under this name',
    next: 'l4lb fleet apply -c FILE; another fleet has another --fleet NAME',
  });
}

/** The leader writes the head at any moment, and then what was read is old. */
const MOST_TRIES = 5;

/** Reads and writes again if somebody else wrote in between. */
export async function again<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Conflict) || tries === MOST_TRIES) throw error;
    }
  }
}

async function write(store: Store, all: Entries, puts: readonly Put[]): Promise<void> {
  const compare: Compare[] = puts.map(({ key }) => ({
    ...{ key, revision: all.get(key)?.revision ?? 0 },
  }));
  if ((await store.write(compare, puts)) !== undefined) return;
  throw new Conflict('somebody else changed the fleet at this moment', {
    next: 'run this command again',
  });
}

/** `nodes` are those that are. */
export function notAlive(node: string, nodes: readonly string[]): Failure {
  return new Failure(`no node ${node} is alive`, {
    cause: nodes.length === 0 ? 'none is' : `these are: ${nodes.join(', ')}`,
    next: 'l4lb fleet status',
  });
}

/** Drains a node, or takes that back; false: it is so already. */
export const drainNode = (
  store: Store,
  keys: Keys,
  node: string,
  isDrained: boolean,
): Promise<boolean> => again(() => tryToDrain(store, keys, node, isDrained));

async function tryToDrain(
  store: Store,
  keys: Keys,
  node: string,
  isDrained: boolean,
): Promise<boolean> {
  const all = await readAll(store, keys);
  const head = headIn(all, keys);
  if (head.drained.has(node) === isDrained) return false;
  const nodes = living(all.values(), keys.node()).map(([name]) => name);
  if (isDrained && !nodes.includes(node)) {
    throw notAlive(node, nodes);
  }
  const others = [...head.drained].filter((name) => name !== node);
  const drained = new Set(isDrained ? [...others, node] : others);
  await write(store, all, [{ key: keys.head, value: formatHead({ ...head, drained }) }]);
  return true;
}

/** Has all services remember nothing but what is current; returns those that it changed. */
export async function settleNow(store: Store, keys: Keys): Promise<string[]> {
  const done: string[] = [];
  // All at once, or as many as a write holds.
  for (;;) {
    const changed = await again(() => tryToSettle(store, keys, done));
    if (changed.length === 0) return done;
    append(done, changed);
  }
}

async function tryToSettle(
  store: Store,
  keys: Keys,
  done: readonly string[],
): Promise<string[]> {
  const all = await readAll(store, keys);
  const { toml } = parseCommon(all.get(keys.common)?.value ?? '');
  const head = headIn(all, keys);
  const tables = new Map(head.tables);
  const settled = named(all.values(), keys.table()).flatMap(([name, { key, value }]) => {
    if (done.includes(name)) return [];
    const document = parseDocument(value, (wanted) => weightsOf(toml, wanted));
    if (document.sets.length < 2) return [];
    const sets = document.sets.slice(-1);
    const text = formatDocument({ ...document, sets }, weightsOf(toml, document.wanted));
    return [{ name, key, value: text }];
  });
  if (settled.length === 0) return [];
  const now = settled.slice(0, portionOf(settled.map(({ value }) => value)));
  const puts: Put[] = now.map(({ key, value }) => ({ key, value }));
  const changed = now.map(({ name }) => name);
  for (const name of changed) tables.set(name, 0);
  puts.push({ key: keys.head, value: formatHead({ ...head, tables }) });
  await write(store, all, puts);
  return changed;
}

/** Removes all of the fleet from the store. Nodes that run keep what they have. */
export async function resetFleet(store: Store, keys: Keys): Promise<number> {
  const all = [...(await readAll(store, keys)).keys()].filter(
    // These go by themselves, with those whom they are of.
    (key) => ![keys.node(), keys.seen()].some((place) => key.startsWith(place)),
  );
  for (let from = 0; from < all.length; from += MOST_KEYS) {
    const puts = all.slice(from, from + MOST_KEYS);
    await store.write(
      [],
      puts.map((key) => ({ key, remove: true as const })),
    );
  }
  return all.length;
}
