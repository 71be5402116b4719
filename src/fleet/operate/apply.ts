// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Puts what is wanted of a fleet into its store, where the leader finds it. */
import { randomInt } from 'node:crypto';

import type { WantedService } from '../../config/read.js';
import { Conflict } from '../../daemon/by-hand.js';
import type { SlotSeed } from '../../wire/slot-seed.js';
import { Fault, tryParse } from '../../text/fault.js';
import { Failure } from '../../text/failure.js';
import { formatCount, many } from '../../text/format.js';
import type { Keys } from '../agreement/keys.js';
import { living, named } from '../agreement/keys.js';
import {
  formatCommon,
  formatHead,
  parseCommon,
  parseNode,
} from '../agreement/records.js';
import { USUAL_SLOTS } from '../agreement/sets.js';
import type { SplitConfig } from '../agreement/wanted.js';
import { joinConfig } from '../agreement/wanted.js';
import { again } from './change.js';
import { headIn } from '../leader.js';
import type { Compare, Entry, Put, Store } from '../store/store.js';
import { MOST_KEYS, MOST_WRITE } from '../store/store.js';

/** A revision that no store comes to soon. */
const LARGE_REVISION = 999_999_999;

export interface Applied {
  /** The fleet has just been made, and so was its seed. */
  isNew: boolean;
  added: string[];
  changed: string[];
  removed: string[];
  same: string[];
  /** Whether what is common to all services is another. */
  isCommonChanged: boolean;
}

/** All or nothing. With `dryRun` it only says what would change. */
export const applyConfig = (
  store: Store,
  keys: Keys,
  split: SplitConfig,
  dryRun: boolean,
): Promise<Applied> => again(() => tryToApply(store, keys, split, dryRun));

async function tryToApply(
  store: Store,
  keys: Keys,
  { common: toml, services, config }: SplitConfig,
  dryRun: boolean,
): Promise<Applied> {
  const { entries } = await store.read(keys.root);
  const there = new Map(entries.map((entry) => [entry.key, entry]));
  const before = there.get(keys.common);
  const known = before && parseCommon(before.value);
  const isNew = !before;
  const seed = seedFor(config.seed, known?.seed ?? seedOfNodes(entries, keys));
  const isCommonChanged = known?.toml !== toml || known.seed !== seed;
  const wanted = named(there.values(), keys.wanted());
  const old = new Map(wanted.map(([name, { value }]) => [name, value]));
  const differs = [...services].filter(([name, text]) => old.get(name) !== text);
  const removed = [...old.keys()].filter((name) => !services.has(name));
  const applied: Applied = {
    ...{ isNew, isCommonChanged },
    added: differs.map(([name]) => name).filter((name) => !old.has(name)),
    changed: differs.map(([name]) => name).filter((name) => old.has(name)),
    removed,
    same: [...services.keys()].filter((name) => old.get(name) === services.get(name)),
  };
  const puts: Put[] = [
    ...differs.map(([name, value]) => ({ key: keys.wanted(name), value })),
    ...removed.map((name) => ({ key: keys.wanted(name), remove: true as const })),
  ];
  if (isCommonChanged) {
    puts.push({ key: keys.common, value: formatCommon({ toml, seed }) });
    // The first head is the leader's: one without services would have nodes remove theirs.
    const head = tryParse(() => headIn(there, keys));
    // One that is none is the leader's to put right.
    if (there.has(keys.head) && !(head instanceof Fault))
      puts.push({ key: keys.head, value: formatHead({ ...head, common: 0 }) });
  }
  checkHead(services.keys(), there, keys);
  checkKept(joinConfig({ common: known?.toml ?? '', services: old }).services, config);
  if (known && known.seed !== seed && old.size > 0) throw keptSeed();
  if (dryRun || puts.length === 0) return applied;
  checkSize(puts);
  const compare: Compare[] = puts.map(({ key }) => ({
    ...{ key, revision: there.get(key)?.revision ?? 0 },
  }));
  if ((await store.write(compare, puts)) === undefined) {
    throw new Conflict('somebody else changed the fleet at this moment', {
      next: 'run this command again',
    });
  }
  return applied;
}

/** It is made whole or not at all, so nothing of it is written in parts. */
function checkSize(puts: readonly Put[]): void {
  const next =
    'apply fewer services first, then all: those that are the same cost nothing';
  const bytes = puts.reduce(
    (sum, put) => sum + ('remove' in put ? 0 : Buffer.byteLength(put.value)),
    0,
  );
  if (puts.length > MOST_KEYS) {
    throw new Failure(`${puts.length} services at once are too many for the store`, {
      cause: `it takes ${MOST_KEYS} changes at once`,
      next,
    });
  }
  if (bytes <= MOST_WRITE) return;
  const most = formatCount(MOST_WRITE);
  throw new Failure(`${formatCount(bytes)} bytes at once are too many for the store`, {
    cause: `it takes ${most}; ${many(puts.length, 'service')} would be written`,
    next,
  });
}

/** Every node would refuse it, and stay behind for ever. */
function checkKept(
  before: readonly WantedService[],
  { services }: SplitConfig['config'],
): void {
  for (const { name, slots: had = USUAL_SLOTS } of before) {
    const now = services.find((one) => one.name === name);
    if (!now || (now.slots ?? USUAL_SLOTS) === had) continue;
    throw new Failure(
      `${now.slotsPlace}: ${name} has ${had} slots, which cannot change`,
      {
        cause: 'every connection would come to another slot',
        next: `write slots = ${had}, or give the service another name`,
      },
    );
  }
}

function keptSeed(): Failure {
  return new Failure('the seed of the fleet cannot change while it has services', {
    cause: 'every connection would come to another slot',
    next: 'leave seed out; or apply service = [] first, which ends all services',
  });
}

/** The leader could write no head that is longer, and would decide nothing any more. */
function checkHead(
  names: Iterable<string>,
  there: ReadonlyMap<string, Entry>,
  keys: Keys,
): void {
  const head = tryParse(() => headIn(there, keys));
  const drained = head instanceof Fault ? new Set<string>() : head.drained;
  const tables = new Map([...names].map((name) => [name, LARGE_REVISION]));
  const text = tryParse(() => formatHead({ common: LARGE_REVISION, tables, drained }));
  if (!(text instanceof Fault)) return;
  throw new Failure(text.message, {
    next: 'apply fewer services, or shorter names; another fleet has another --fleet NAME',
  });
}

/** A store that has lost everything has nodes yet: they cannot take another seed. */
function seedOfNodes(entries: readonly Entry[], keys: Keys): number | undefined {
  const seeds = living(entries, keys.node()).flatMap(([, { value }]) => {
    const node = tryParse(() => parseNode(value));
    return node instanceof Fault ? [] : (node.seed ?? []);
  });
  return seeds[0];
}

/** One that is given counts; else it is the fleet's own, drawn when that is made. */
function seedFor(asked: SlotSeed | undefined, known: number | undefined): number {
  if (typeof asked === 'number') return asked;
  return known ?? randomInt(2 ** 32);
}
