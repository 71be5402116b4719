// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What somebody decides about a destination of a fleet, on whatever node: the store keeps it. */
import type { ByHandResult } from '../api/status.js';
import type { Action } from '../daemon/by-hand.js';
import { Conflict, decideByHand, notThere } from '../daemon/by-hand.js';
import type { Service } from '../daemon/kept-service.js';
import { weightsOf } from '../daemon/kept-service.js';
import type { Given } from '../health/weights.js';
import { Fault, tryParse } from '../text/fault.js';
import { at } from '../text/must.js';
import type { Hand, NamedSet } from './agreement/document.js';
import type { Keys } from './agreement/keys.js';
import { formatHands, parseHands } from './agreement/records.js';
import { foldOptions, movesBetween } from './agreement/sets.js';
import type { Documents } from './documents.js';
import type { Store } from './store/store.js';

export interface AskedByHand {
  store: Store;
  keys: Keys;
  services: readonly Service[];
  documents: Documents;
  service: string;
  destination: string;
  action: Action;
  weight?: number | undefined;
  dryRun: boolean;
}

const NONE: ReadonlyMap<string, Hand> = new Map();

export async function changeByHand(asked: AskedByHand): Promise<ByHandResult> {
  const { store, keys, service, destination, action, weight, dryRun } = asked;
  const one = asked.services.find(({ health }) => health.name === service);
  const there = one?.health.find(destination);
  if (!one || !there) throw notThere(service, one && destination);
  const key = keys.hand(service);
  const [entry] = (await store.read(key)).entries;
  // What is none of that decides nothing, so the next decision takes its place.
  const read = tryParse(() => (entry ? parseHands(entry.value) : NONE));
  const hands = read instanceof Fault ? NONE : read;
  const before = {
    byHand: undefined,
    weightByHand: undefined,
    ...hands.get(destination),
  };
  const after = decideByHand(before, action, weight, destination);
  const isAny = after.byHand !== undefined || after.weightByHand !== undefined;
  const next = new Map([...hands].filter(([name]) => name !== destination));
  if (isAny) next.set(destination, after);
  if (!dryRun) {
    const compare = [{ key, revision: entry?.revision ?? 0 }];
    const revision = await store.write(compare, [{ key, value: formatHands(next) }]);
    if (revision === undefined) {
      throw new Conflict('somebody else decided about the same service at this moment', {
        next: 'look at the status, and ask again',
      });
    }
  }
  return { ...outcome(asked, one, after), dry_run: dryRun };
}

/** What follows from it, as this node sees the destinations; the leader decides. */
function outcome(
  { service, destination, documents }: AskedByHand,
  one: Service,
  after: ReturnType<typeof decideByHand>,
): Omit<ByHandResult, 'dry_run'> {
  const { health, resolved } = one;
  const there = health.find(destination);
  const before = { byHand: there?.byHand, weightByHand: there?.weightByHand };
  health.setByHand(destination, after);
  const { given } = health.shares(performance.now());
  health.setByHand(destination, before);
  const set = (all: readonly Given[]): NamedSet =>
    new Map(health.destinations.map(({ name }, index) => [name, at(all, index)]));
  const fold = foldOptions(resolved, documents.config?.names ?? {});
  const [moved, ideal] = movesBetween(set(one.live), set(given), fold);
  return {
    ...{ service, destination, by_hand: after.byHand ?? null },
    weight: after.weightByHand ?? there?.weight ?? 0,
    weight_by_hand: after.weightByHand ?? null,
    ...{ slots_moved: moved, slots_ideal: ideal, weights: weightsOf(one, given) },
  };
}
