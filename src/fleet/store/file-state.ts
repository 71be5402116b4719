// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What a store in a folder has, without the values, and what a write makes of it. Values lie
 * in files of their own, which are never changed: a change names another file. Pure.
 */
import { Fault } from '../../text/fault.js';
import { many } from '../../text/format.js';
import type { Compare, Put } from './store.js';

/** A value that was put. */
export interface Kept {
  key: string;
  revision: number;
  created: number;
  /** The name of its file. */
  file: string;
  bytes: number;
  lease?: string | undefined;
}

/** A key that was removed, with the revision that did it. */
export interface Removed {
  key: string;
  revision: number;
}

export type Change = Kept | Removed;

export interface State {
  /** Another folder has another one, and so has one that was made anew. */
  id: string;
  revision: number;
  /** The last revision whose changes are not in the log any more. */
  forgotten: number;
  entries: ReadonlyMap<string, Kept>;
  /** By revision. */
  log: readonly Change[];
}

/** Like etcd's, the first revision is 1. */
export function emptyState(id: string): State {
  return { id, revision: 1, forgotten: 1, entries: new Map(), log: [] };
}

const MOST_CHANGES = 1000;
/** Bytes of the values in the log. */
const MOST_LOGGED = 32 << 20;

/** What a write makes of a state, and the files that it needs; undefined: it may not. */
export function written(
  state: State,
  compare: readonly Compare[],
  puts: readonly Put[],
): { state: State; files: Map<string, Buffer> } | undefined {
  if (!compare.every((one) => holds(state, one))) return undefined;
  const revision = state.revision + 1;
  const entries = new Map(state.entries);
  const changes: Change[] = [];
  const files = new Map<string, Buffer>();
  for (const put of puts) {
    const { key } = put;
    const before = entries.get(key);
    if ('remove' in put) {
      if (entries.delete(key)) changes.push({ key, revision });
      continue;
    }
    const file = `${revision}-${files.size}`;
    const content = Buffer.from(put.value);
    files.set(file, content);
    const kept = {
      ...{ key, revision, created: before?.created ?? revision },
      ...{ file, bytes: content.length, lease: put.lease?.id },
    };
    entries.set(key, kept);
    changes.push(kept);
  }
  // As in etcd, what changes nothing makes no revision.
  if (changes.length === 0) return { state, files };
  const log = [...state.log, ...changes];
  return { state: trimmed({ ...state, revision, entries, log }), files };
}

function holds({ entries }: State, compare: Compare): boolean {
  const entry = entries.get(compare.key);
  return 'revision' in compare
    ? (entry?.revision ?? 0) === compare.revision
    : (entry?.created ?? 0) === compare.created;
}

/** Forgets the oldest revisions, each whole. */
function trimmed(state: State): State {
  let bytes = 0;
  let first = state.log.length;
  while (first > 0 && state.log.length - first < MOST_CHANGES && bytes <= MOST_LOGGED) {
    bytes += bytesOf(state.log[--first]);
  }
  if (first === 0) return state;
  const forgotten = state.log[first - 1]?.revision ?? state.forgotten;
  const log = state.log.filter(({ revision }) => revision > forgotten);
  return { ...state, forgotten, log };
}

function bytesOf(change: Change | undefined): number {
  return change && 'file' in change ? change.bytes : 0;
}

/** The files that a state needs. */
export function filesOf({ entries, log }: State): Set<string> {
  const kept = [...entries.values(), ...log.filter((change) => 'file' in change)];
  return new Set(kept.map(({ file }) => file));
}

/** In JSON: a list for each key, since a key may be any name. */
export function formatState({ id, revision, forgotten, entries, log }: State): string {
  const version = 1;
  const kept = [...entries.values()].map(rowOf);
  return JSON.stringify({
    version,
    id,
    revision,
    forgotten,
    entries: kept,
    log: log.map(rowOf),
  });
}

function rowOf(change: Change): unknown[] {
  const { key, revision } = change;
  if (!('file' in change)) return [key, revision];
  const { created, file, bytes, lease } = change;
  return [key, revision, created, file, bytes, ...(lease === undefined ? [] : [lease])];
}

/** Throws a Fault if it is no state of ours. */
export function parseState(text: string): State {
  const { version, id, revision, forgotten, entries, log } = objectIn(text);
  if (version !== 1) throw new Fault('it is of another version');
  if (!isCount(revision) || !isCount(forgotten) || typeof id !== 'string') {
    throw new Fault('a number is missing');
  }
  const kept = changesIn(entries).map((change): [string, Kept] => {
    if (!('file' in change)) throw new Fault('an entry has no file');
    return [change.key, change];
  });
  return { id, revision, forgotten, entries: new Map(kept), log: changesIn(log) };
}

export function objectIn(text: string): Partial<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new Fault('it is not JSON');
}

function changesIn(rows: unknown): Change[] {
  if (!Array.isArray(rows)) throw new Fault('a list is missing');
  return rows.map((row: unknown) => {
    if (!Array.isArray(row)) throw new Fault('a row is no list');
    const [key, revision, created, file, bytes, lease] = row as unknown[];
    if (typeof key !== 'string' || !isCount(revision))
      throw new Fault('a row has no key');
    if (row.length === 2) return { key, revision };
    // It becomes a part of a path.
    if (typeof file !== 'string' || !/^\d{1,16}-\d{1,3}$/.test(file)) {
      throw new Fault(`${many(row.length, 'cell')}, and none names a file`);
    }
    if (!isCount(created) || !isCount(bytes)) throw new Fault('a number is missing');
    if (lease !== undefined && typeof lease !== 'string') throw new Fault('no lease');
    return { key, revision, created, file, bytes, lease };
  });
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
