// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What the checkers of a fleet say about destinations, and what most of them say. One
 * balancer whose link is broken sees everything down; so a destination is down only if most
 * of those that are alive and have asked it say so.
 */
import type { StateName } from '../../health/condition.js';
import { Fault } from '../../text/fault.js';
import { FORMAT, isList, isText, isTuple, readFields } from './json.js';

/** How one checker sees one destination: `unknown` is no vote, `suspect` one of its checks failed. */
export type Vote = 'up' | 'suspect' | 'down' | 'unknown';
export type Verdict = Exclude<Vote, 'unknown'>;

/** What one node saw last, by service; a destination that is not named is up. */
export type Seen = ReadonlyMap<string, ReadonlyMap<string, Exclude<Vote, 'up'>>>;

/** What a checker says of a destination that it asks. */
export function voteOf({ state }: { state: StateName }): Vote {
  if (state === 'unknown' || state === 'suspect') return state;
  return state === 'down' || state === 'dead' ? 'down' : 'up';
}

/** Characters. */
const LONGEST = 1_000_000;

export function formatSeen(seen: Seen): string {
  const services = [...seen].map(([name, destinations]) => [name, [...destinations]]);
  return JSON.stringify({ format: FORMAT, services });
}

const isDoubt = (value: unknown): value is Exclude<Vote, 'up'> =>
  value === 'down' || value === 'suspect' || value === 'unknown';
const isVotes = (value: unknown): value is [string, Exclude<Vote, 'up'>][] =>
  isList(value, isTuple(isText, isDoubt));

/** Reads what a node said; throws a Fault if it is none of that. */
export function parseSeen(text: string): Seen {
  const what = 'what a checker sees';
  const { services } = readFields(text, what, LONGEST);
  if (!isList(services, isTuple(isText, isVotes))) throw new Fault(`it is not ${what}`);
  return new Map(services.map(([name, votes]) => [name, new Map(votes)]));
}

/**
 * What most say of each destination; undefined where too few say anything: then nothing
 * changes. `live` are all nodes that are alive, whether they say anything or not.
 */
export function majority(
  service: string,
  destinations: readonly string[],
  seen: ReadonlyMap<string, Seen>,
  live: number,
): (Verdict | undefined)[] {
  const all = [...seen.values()].flatMap((one) => one.get(service) ?? []);
  const needed = Math.max(1, Math.floor(live / 2) + 1);
  return destinations.map((name) => {
    const votes = all
      .map((one) => one.get(name) ?? 'up')
      .filter((vote) => vote !== 'unknown');
    if (votes.length < needed) return undefined;
    // Of two, one is not most.
    const isMost = (count: number): boolean => count * 2 > votes.length;
    const downs = votes.filter((vote) => vote === 'down').length;
    if (isMost(downs)) return 'down';
    const suspects = votes.filter((vote) => vote === 'suspect').length;
    return isMost(downs + suspects) ? 'suspect' : 'up';
  });
}
