// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What is said to etcd's gateway and what it says, in our terms. Pure. */
import { Failure } from '../../text/failure.js';
import { entryOf, isInPlace, isKey, textOf } from './check.js';
import type { Fields } from './json.js';
import {
  Strange,
  base64,
  bytes,
  fields,
  flag,
  integer,
  list,
  parse,
  text,
} from './json.js';
import type { Compare, Entry, Event, Put } from './store.js';
import { TooOld } from './store.js';
import { refusalIn, shortened } from './trouble.js';

export function revisionOf(answer: Fields): number {
  const revision = integer(fields(answer.header).revision);
  if (revision < 1) throw new Strange('no revision');
  return revision;
}

/** All keys below a path are those from it up to the path with the next last byte. */
export function rangeOf(place: string): { key: string; range_end?: string } {
  const key = base64(place);
  return place.endsWith('/')
    ? { key, range_end: base64(`${place.slice(0, -1)}0`) }
    : { key };
}

export function watchOf(place: string, after: number): object {
  const start = { start_revision: String(after + 1), progress_notify: true };
  return { create_request: { ...rangeOf(place), ...start } };
}

export function comparison(compare: Compare): object {
  const key = base64(compare.key);
  return 'revision' in compare
    ? { key, target: 'MOD', mod_revision: String(compare.revision) }
    : { key, target: 'CREATE', create_revision: String(compare.created) };
}

export function change(put: Put): object {
  const key = base64(put.key);
  if ('remove' in put) return { request_delete_range: { key } };
  const value = base64(put.value);
  return { request_put: { key, value, ...(put.lease && { lease: put.lease.id }) } };
}

/** Nothing for a key that cannot be ours. */
function keyIn(kv: Fields, place: string): string | undefined {
  const key = textOf(bytes(kv.key));
  return key !== undefined && isKey(key) && isInPlace(key, place) ? key : undefined;
}

export function entryIn(kv: Fields, place: string): Entry | undefined {
  const key = keyIn(kv, place);
  if (key === undefined) return undefined;
  const revision = integer(kv.mod_revision);
  return entryOf(key, bytes(kv.value), {
    revision,
    created: integer(kv.create_revision),
    // A number of 63 bits, of which only 0 matters: then it is left out.
    isLeased: !['', '0'].includes(text(kv.lease)),
  });
}

export function revisionIn(event: Event): number {
  return event.kind === 'put' ? event.entry.revision : event.revision;
}

export interface Watched {
  /** etcd has begun to watch. */
  isBegun: boolean;
  /** The revision of the whole store: more may have changed up to it than was sent. */
  head: number;
  events: Event[];
}

export function watchedIn(line: string, place: string): Watched {
  const message = parse(line);
  const refusal = refusalIn(message);
  if (refusal) throw refusal;
  const result = fields(message.result);
  const compacted = integer(result.compact_revision);
  if (compacted > 0) {
    throw new TooOld(`etcd keeps no changes before revision ${compacted}`);
  }
  if (flag(result.canceled)) {
    throw new Failure(
      `etcd ended a watch: ${shortened(text(result.cancel_reason)) || 'no reason'}`,
    );
  }
  const events = list(result.events).flatMap((event): Event[] => {
    const kv = fields(event.kv);
    if (event.type !== 'DELETE') {
      const entry = entryIn(kv, place);
      return entry ? [{ kind: 'put', entry }] : [];
    }
    const key = keyIn(kv, place);
    return key === undefined
      ? []
      : [{ kind: 'delete', key, revision: integer(kv.mod_revision) }];
  });
  return {
    isBegun: flag(result.created),
    head: integer(fields(result.header).revision),
    events,
  };
}
