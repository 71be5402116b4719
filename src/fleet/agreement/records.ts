// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What a fleet keeps in its store besides documents: see keys.ts. */
import { Fault } from '../../text/fault.js';
import { printableLine } from '../../text/printable.js';
import type { Hand } from './document.js';
import { isHand } from './document.js';
import { FORMAT, isFlag, isList, isText, isTuple, isWhole, readFields } from './json.js';

/** What is the same for all services. */
export interface Common {
  /** The keys of a config file above its services. */
  toml: string;
  /** Of slots. Whoever knows it can aim at one. */
  seed: number;
}

export interface Head {
  /** The revision of what is common. */
  common: number;
  /** The revision of each service's document. */
  tables: ReadonlyMap<string, number>;
  /** Nodes that shall get no packets. */
  drained: ReadonlySet<string>;
}

/** What a node has applied of a service. */
export interface Applied {
  revision: number;
  /** See sumOfSlots(). */
  sum: string;
  /** It has not needed the oldest set for the idle time. */
  isSettled: boolean;
}

export interface NodeRecord {
  /** Of l4lb. */
  version: string;
  tables: ReadonlyMap<string, Applied>;
  /** It announces itself as drained: it was told to, or it is behind. */
  isDrained: boolean;
  /** What is wrong with it, in words; empty: nothing. */
  fault: string;
  /** Of the device that it balances on. */
  addresses: readonly string[];
  /** Of its slots, which it keeps though the store may lose everything. */
  seed?: number | undefined;
}

const MOST_HEAD = 2048;
const MOST = 1_000_000;
const MOST_SHOWN = 500;
const SEEDS = 2 ** 32;

export function formatCommon({ toml, seed }: Common): string {
  return JSON.stringify({ format: FORMAT, toml, seed });
}

export function parseCommon(text: string): Common {
  const what = 'what is common to all services';
  const { toml, seed } = readFields(text, what, MOST);
  if (!isText(toml) || !isSeed(seed)) throw new Fault(`it is not ${what}`);
  return { toml, seed };
}

/** Revision 0 is that of this head itself: what it tells of is written with it. */
export function formatHead({ common, tables, drained }: Head): string {
  const all = { format: FORMAT, common, tables: [...tables], drained: [...drained] };
  const text = JSON.stringify(all);
  if (text.length <= MOST_HEAD) return text;
  throw new Fault(
    `a fleet holds no more services: their names and revisions have ${text.length} characters, and ${MOST_HEAD} is the most`,
  );
}

/** `revision` is that of the head itself. */
export function parseHead(text: string, revision: number): Head {
  const what = 'the head of a fleet';
  const { common, tables, drained } = readFields(text, what, MOST_HEAD);
  const isWell =
    isWhole(common) &&
    isList(tables, isTuple(isText, isWhole)) &&
    isList(drained, isText);
  if (!isWell) throw new Fault(`it is not ${what}`);
  const known = (own: number): number => (own === 0 ? revision : own);
  return {
    common: known(common),
    tables: new Map(tables.map(([name, own]) => [name, known(own)])),
    drained: new Set(drained),
  };
}

export function formatNode(node: NodeRecord): string {
  const { version, tables, isDrained, fault, addresses, seed } = node;
  const all = [...tables].map(([name, { revision, sum, isSettled }]) => [
    ...[name, revision, sum, isSettled],
  ]);
  return JSON.stringify({
    ...{ format: FORMAT, version, tables: all, drained: isDrained, fault, addresses },
    seed,
  });
}

export function parseNode(text: string): NodeRecord {
  const fields = readFields(text, 'a node', MOST);
  const { version, tables, drained, fault, addresses, seed } = fields;
  const isWell =
    isText(version) &&
    isList(tables, isTuple(isText, isWhole, isText, isFlag)) &&
    isFlag(drained) &&
    isText(fault) &&
    isList(addresses, isText) &&
    (seed === undefined || isSeed(seed));
  if (!isWell) throw new Fault('it is not a node');
  return {
    ...{ version: shown(version), isDrained: drained, fault: shown(fault), addresses },
    ...(seed !== undefined && { seed }),
    tables: new Map(
      tables.map(([name, revision, sum, isSettled]) => [
        name,
        { revision, sum: shown(sum), isSettled },
      ]),
    ),
  };
}

const isSeed = (value: unknown): value is number => isWhole(value) && value < SEEDS;

/** Text of another node, for people. */
function shown(text: string): string {
  return printableLine(text.slice(0, MOST_SHOWN));
}

export function formatHands(hands: ReadonlyMap<string, Hand>): string {
  const all = [...hands].map(([name, { byHand = null, weightByHand = null }]) => [
    ...[name, byHand, weightByHand],
  ]);
  return JSON.stringify({ format: FORMAT, hands: all });
}

export function parseHands(text: string): Map<string, Hand> {
  const what = 'what hands decided';
  const { hands } = readFields(text, what, MOST);
  if (!isList(hands, isHand)) throw new Fault(`it is not ${what}`);
  return new Map(
    hands.map(([name, byHand, weight]) => [
      name,
      { byHand: byHand ?? undefined, weightByHand: weight ?? undefined },
    ]),
  );
}
