// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Writes and reads the siblings of a destination, to which it sends packets on. */
import { encodeKey } from '../abi/bytes.js';
import {
  EMPTY_PAIR,
  MOST_SIBLINGS,
  decodeSibling,
  decodeSiblingKey,
  encodePair,
  encodeSibling,
  encodeSiblingKey,
  sumPairs,
} from '../abi/siblings.js';
import type { Pair, Sibling, SiblingKey } from '../abi/siblings.js';
import type { Bpftool } from '../system/bpftool.js';
import { decodeEntry, lookupLine } from '../system/bpftool-text.js';
import type { MapInfo } from '../system/bpftool-text.js';
import { isIpv6 } from '../wire/address.js';
import type { Names } from '../wire/names.js';
import { formatNames, numberOf } from '../wire/names.js';
import { familyOf } from '../wire/outer-source.js';
import { must } from '../text/must.js';
import { mapNamed } from './find.js';
import type { Change } from '../system/entries.js';
import { remove, update } from '../system/entries.js';

/** A destination that can be named. */
export interface NamedHost {
  /** 16 bytes. */
  address: Buffer;
  /** Absent if it is this host. */
  mac?: Buffer;
}

/** What a destination is told about names; every host has a number of its own. */
export interface Siblings {
  names: Names;
  hosts: readonly NamedHost[];
}

type Known = SiblingKey & Sibling;

async function readKnown(bpftool: Pick<Bpftool, 'dump'>, map: MapInfo): Promise<Known[]> {
  const entries = await bpftool.dump(map.id);
  return entries.map(({ key, values }) => ({
    ...decodeSiblingKey(key),
    ...decodeSibling(must(values[0], 'a sibling')),
  }));
}

/**
 * Returns the changes that make these hosts the siblings. A sibling that stays keeps its
 * pair and what was counted there, unless the names are other ones than `before`: by those
 * nothing was counted yet. `now` is by the kernel's clock, in seconds.
 */
export async function siblingChanges(
  bpftool: Pick<Bpftool, 'dump'>,
  maps: readonly MapInfo[],
  { names, hosts }: Siblings,
  before: Names,
  now: number,
): Promise<Change[]> {
  const fresh = encodePair({ ...EMPTY_PAIR, since: BigInt(now) });
  const [map, pairs] = [mapNamed(maps, 'siblings'), mapNamed(maps, 'pairs')];
  const known = await readKnown(bpftool, map);
  const pairOf = new Map(
    known.flatMap(({ address, pair }) =>
      pair === 0 ? [] : [[address.toString('hex'), pair] as const],
    ),
  );
  const free = freePairs(new Set(pairOf.values()));
  const wanted = new Set<string>();
  const updates = hosts.flatMap(({ address, mac }) => {
    const prefix = names[familyOf(address)];
    if (!prefix) return [];
    const version = isIpv6(address) ? 6 : 4;
    const key = encodeSiblingKey({ number: numberOf(prefix, address), version });
    wanted.add(key.toString('hex'));
    if (!mac) {
      const self = encodeSibling({ address, mac: Buffer.alloc(6), pair: 0 });
      return [update(map, key, self)];
    }
    const had = before[familyOf(address)];
    const keeps = had !== undefined && formatNames(had) === formatNames(prefix);
    const kept = pairOf.get(address.toString('hex'));
    const pair = kept ?? must(free.next().value, 'a free pair');
    const value = encodeSibling({ address, mac, pair });
    return [
      ...(keeps && kept !== undefined ? [] : [update(pairs, encodeKey(pair), fresh)]),
      update(map, key, value),
    ];
  });
  const stale = known
    .map(encodeSiblingKey)
    .filter((key) => !wanted.has(key.toString('hex')));
  return [...stale.map((key) => remove(map, key)), ...updates];
}

/** Yields pairs that are unused, then used ones: those of siblings that go. */
function* freePairs(used: ReadonlySet<number>): Generator<number, undefined> {
  for (const wanted of [false, true]) {
    for (let pair = 1; pair < MOST_SIBLINGS; pair++) {
      if (used.has(pair) === wanted) yield pair;
    }
  }
  return undefined;
}

/** A sibling, and what this host had to do with it. */
export interface SiblingCounts extends Pair {
  number: number;
  address: Buffer;
  mac: Buffer;
}

export interface SiblingsRead {
  /** This host's own addresses that can be named. */
  self: Buffer[];
  siblings: SiblingCounts[];
}

export async function readSiblings(
  bpftool: Pick<Bpftool, 'dump' | 'queries'>,
  maps: readonly MapInfo[],
): Promise<SiblingsRead> {
  const pairs = mapNamed(maps, 'pairs');
  const known = await readKnown(bpftool, mapNamed(maps, 'siblings'));
  const others = known
    .filter(({ pair }) => pair !== 0)
    .sort((one, other) => Buffer.compare(one.address, other.address));
  const answers = await bpftool.queries(
    others.map(({ pair }) => lookupLine(pairs, encodeKey(pair))),
  );
  const self = known.filter(({ pair }) => pair === 0).map(({ address }) => address);
  const siblings = others.map(({ number, address, mac }, index) => ({
    ...{ number, address, mac },
    ...sumPairs(decodeEntry(answers[index]).values),
  }));
  return { self, siblings };
}
