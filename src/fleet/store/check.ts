// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What both stores demand of keys, places, values and writes. */
import { isUtf8 } from 'node:buffer';

import { Failure } from '../../text/failure.js';
import { formatCount } from '../../text/format.js';
import { printableLine } from '../../text/printable.js';
import type { Compare, Entry, Lease, Put } from './store.js';
import { MOST_KEY, MOST_KEYS, MOST_VALUE, MOST_WRITE } from './store.js';

/** Controls, format characters, line separators, halves of pairs, and what is no character. */
const UNSAFE = /[\p{C}\p{Zl}\p{Zp}]/u;
/** Half of a pair of UTF-16, which UTF-8 cannot have. */
const HALF = /\p{Cs}/u;

/** Whether it can be one of our keys: a path of visible text that ends in no slash. */
export function isKey(key: string): boolean {
  return (
    key.startsWith('/') &&
    !key.endsWith('/') &&
    !UNSAFE.test(key) &&
    Buffer.byteLength(key) <= MOST_KEY
  );
}

export function isInPlace(key: string, place: string): boolean {
  return place.endsWith('/') ? key.startsWith(place) : key === place;
}

/** Throws unless this is a key, or a path that ends in a slash. */
export function checkPlace(place: string): void {
  if (place === '/' || isKey(place.replace(/\/$/, ''))) return;
  throw new Failure(`"${printableLine(place)}" is no key and no path of keys`);
}

/** Throws if a write could never be made. Returns its keys with what happens to each. */
export function checkWrite(compare: readonly Compare[], puts: readonly Put[]): void {
  const keys = new Set<string>();
  let bytes = 0;
  for (const put of puts) {
    checkKey(put.key);
    if (keys.has(put.key)) throw refused(`it names ${put.key} twice`);
    keys.add(put.key);
    if (!('remove' in put)) bytes += checkedBytes(put.key, put.value);
  }
  for (const { key } of compare) checkKey(key);
  if (bytes > MOST_WRITE) {
    throw refused(`its values have ${formatCount(bytes)} bytes`, MOST_WRITE);
  }
  if (Math.max(puts.length, compare.length) > MOST_KEYS) {
    throw refused(`it has ${puts.length} changes`, MOST_KEYS);
  }
}

function checkKey(key: string): void {
  if (!isKey(key)) throw refused(`"${printableLine(key)}" is no key`);
}

function checkedBytes(key: string, value: string): number {
  const bytes = Buffer.byteLength(value);
  if (bytes > MOST_VALUE) {
    throw refused(`the value of ${key} has ${formatCount(bytes)} bytes`, MOST_VALUE);
  }
  if (HALF.test(value)) throw refused(`the value of ${key} is no text`);
  return bytes;
}

function refused(why: string, most?: number): Failure {
  const limit = most === undefined ? '' : `, and ${formatCount(most)} is the most`;
  const advice = {
    cause: 'a store takes only so much at once',
    next: 'change fewer services, or services with fewer destinations, at once',
  };
  return new Failure(
    `a write cannot be made: ${why}${limit}`,
    most === undefined ? {} : advice,
  );
}

/** Makes an entry of bytes that anybody may have written. */
export function entryOf(
  key: string,
  bytes: Buffer,
  revisions: Pick<Entry, 'revision' | 'created' | 'isLeased'>,
): Entry {
  if (bytes.length > MOST_VALUE) {
    const fault = `${formatCount(bytes.length)} bytes, and ${formatCount(MOST_VALUE)} is the most`;
    return { key, value: '', ...revisions, fault };
  }
  const value = textOf(bytes);
  return value === undefined
    ? { key, value: '', ...revisions, fault: 'it is no text in UTF-8' }
    : { key, value, ...revisions };
}

/** The text in UTF-8; undefined: it is none. */
export function textOf(bytes: Buffer): string | undefined {
  return isUtf8(bytes) ? bytes.toString() : undefined;
}

/** The leases that a write names. */
export function leasesOf(puts: readonly Put[]): Lease[] {
  return puts.flatMap((put) => ('remove' in put || !put.lease ? [] : [put.lease]));
}

/** A lease that is longer than a day is a mistake. */
export function checkSeconds(seconds: number): void {
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= 86_400) return;
  throw new Failure(`a lease cannot last ${seconds} s: from 1 to 86,400 s`);
}
