// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What the store knows about a fleet, for whoever looks at it from anywhere. */
import { Fault, tryParse } from '../../text/fault.js';
import { printableLine } from '../../text/printable.js';
import type { Document } from '../agreement/document.js';
import { disagreements } from '../agreement/disagreements.js';
import { parseDocument } from '../agreement/document.js';
import type { Keys } from '../agreement/keys.js';
import { leaderIn, living, named } from '../agreement/keys.js';
import type { NodeRecord } from '../agreement/records.js';
import { parseCommon, parseNode } from '../agreement/records.js';
import { weightsOf } from '../agreement/wanted.js';
import { headIn } from '../leader.js';
import type { Entry, Store } from '../store/store.js';

export interface Overview {
  fleet: string;
  store: string;
  /** Null: nobody decides. */
  leader: string | null;
  services: ServiceOverview[];
  nodes: NodeOverview[];
  drained: string[];
  /** What cannot be right, in words. */
  faults: string[];
}

export interface ServiceOverview {
  name: string;
  /** Null: the leader has decided nothing of it yet. */
  revision: number | null;
  sets: number;
  panic: boolean;
  on_backup: boolean;
  down: boolean;
  destinations: {
    name: string;
    weight: number;
    wanted: number;
    forgotten: boolean;
    by_hand: string | null;
  }[];
}

export interface NodeOverview {
  name: string;
  version: string;
  leads: boolean;
  drained: boolean;
  fault: string | null;
  tables: {
    service: string;
    revision: number;
    /** It has what the leader decided last. */
    up_to_date: boolean;
    sum: string;
    settled: boolean;
  }[];
}

export async function overviewOf(
  store: Store,
  keys: Keys,
  fleet: string,
): Promise<Overview> {
  const { entries } = await store.read(keys.root);
  const all = new Map(entries.map((entry) => [entry.key, entry]));
  const faults: string[] = [];
  const read = <T>(
    place: string,
    parse: (text: string) => T,
    which: typeof named<Entry> = named,
  ): Map<string, T> => {
    const found = new Map<string, T>();
    for (const [name, { key, value, revision, fault }] of which(all.values(), place)) {
      const one = fault === undefined ? tryParse(() => parse(value)) : new Fault(fault);
      if (one instanceof Fault)
        faults.push(`${key}, revision ${revision}: ${one.message}`);
      else found.set(name, one);
    }
    return found;
  };
  const common = all.get(keys.common);
  if (!common) faults.push('there is no such fleet yet: l4lb fleet apply makes it');
  const toml = common && tryParse(() => parseCommon(common.value).toml);
  const weights = (text: string): Map<string, number> =>
    weightsOf(typeof toml === 'string' ? toml : '', text);
  const wanted = read(keys.wanted(), weights);
  const documents = read(keys.table(), (text) => parseDocument(text, weights));
  for (const [, { key, isLeased }] of named(all.values(), keys.node())) {
    if (!isLeased)
      faults.push(`${key} hangs on no lease, so it is no node that is alive`);
  }
  const nodes = read(keys.node(), parseNode, living);
  const head = tryParse(() => headIn(all, keys));
  if (head instanceof Fault) faults.push(`${keys.head}: ${head.message}`);
  const leader = leaderIn(all.get(keys.leader));
  if (leader === null && nodes.size > 0)
    faults.push('no node leads, so nothing is decided');
  if (leader !== null && !nodes.has(leader))
    faults.push(`${leader} leads, but is not alive: nothing is decided`);
  if (nodes.size === 0) faults.push('no node is alive');
  const names = [...new Set([...wanted.keys(), ...documents.keys()])];
  const revisionOf = (name: string): number | null =>
    all.get(keys.table(name))?.revision ?? null;
  const services = names.map((name) =>
    serviceOverview(name, revisionOf(name), documents.get(name), wanted.get(name)),
  );
  const own = [...nodes].map(([name, node]) =>
    nodeOverview(name, node, { leader, revisionOf }),
  );
  return {
    ...{ fleet, store: store.name, leader, services, nodes: own },
    drained: head instanceof Fault ? [] : [...head.drained].map(printableLine),
    faults: [...faults, ...disagreements(nodes)].map(printableLine),
  };
}

function serviceOverview(
  name: string,
  revision: number | null,
  document: Document | undefined,
  wanted: ReadonlyMap<string, number> | undefined,
): ServiceOverview {
  const newest = document?.sets.at(-1);
  const destinations = [
    ...new Set([...(newest?.keys() ?? []), ...(wanted?.keys() ?? [])]),
  ];
  return {
    ...{ name, revision, sets: document?.sets.length ?? 0 },
    panic: document?.isPanic ?? false,
    on_backup: document?.onBackup ?? false,
    down: document?.isDown ?? false,
    destinations: destinations.map((one) => ({
      name: one,
      weight: newest?.get(one)?.weight ?? 0,
      wanted: wanted?.get(one) ?? 0,
      forgotten: newest?.get(one)?.isForgotten ?? false,
      by_hand: document?.hands.get(one)?.byHand ?? null,
    })),
  };
}

function nodeOverview(
  name: string,
  { version, isDrained, fault, tables }: NodeRecord,
  {
    leader,
    revisionOf,
  }: { leader: string | null; revisionOf: (name: string) => number | null },
): NodeOverview {
  return {
    ...{ name, version, leads: name === leader, drained: isDrained },
    fault: fault === '' ? null : fault,
    tables: [...tables].map(([service, { revision, sum, isSettled }]) => ({
      ...{ service, revision, up_to_date: revision === revisionOf(service) },
      ...{ sum, settled: isSettled },
    })),
  };
}
