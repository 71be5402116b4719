// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Whether there is room for records of new connections: datapath/flows.h says who needs it. */
import type { Done } from '../abi/limits.js';
import { MOST_RECORDS } from '../abi/limits.js';
import type { FlowRecord } from '../abi/record.js';
import { SEEN_SECONDS } from '../abi/record.js';
import { largest } from '../text/lists.js';
import { many } from '../text/format.js';
import { Unseen } from '../text/unseen.js';

/** L4LB_FORGOTTEN, in seconds: then even a lasting record may be replaced. */
const FORGOTTEN = 900 * SEEN_SECONDS;
/** L4LB_YOUNG: then an established one may be that does not last. */
const YOUNG = 16 * SEEN_SECONDS;
const SEEN_WRAPS = 1 << 16;

/**
 * One in twenty new connections finds no room then. As records are spread at random, a
 * bit more than half of all places are taken.
 */
const NEARLY_FULL = 0.05;
/** For how long it is told that the limit was reached, in seconds. */
const LATELY = 300;

export interface RecordsRead {
  /** How many sets the program has. */
  sets: number;
  /** How many of them were looked at, and in how many of these no SYN may replace any record. */
  seen: number;
  full: number;
  /** How many seconds ago a CPU reached the limit of new records; undefined: not lately. */
  limited: number | undefined;
}

/** `now` is in seconds of the clock that the program reads. */
export function judgeRecords(
  sets: number,
  seen: readonly FlowRecord[][],
  done: readonly Done[],
  now: number,
): RecordsRead {
  const reached = done.filter(({ count }) => count >= MOST_RECORDS);
  const limited = now - largest(reached.map(({ second }) => second));
  return {
    sets,
    seen: seen.length,
    full: seen.filter((set) => set.every((one) => isProtected(one, now))).length,
    limited: limited <= LATELY ? Math.max(0, limited) : undefined,
  };
}

/** As is_protected() and rank() have it. */
function isProtected(
  { established, lasting, ended, seen }: FlowRecord,
  now: number,
): boolean {
  const units = Math.floor(now / SEEN_SECONDS) - seen;
  const age = (((units % SEEN_WRAPS) + SEEN_WRAPS) % SEEN_WRAPS) * SEEN_SECONDS;
  return established && !ended && age <= (lasting ? FORGOTTEN : YOUNG);
}

export function fullShare({ full, seen }: RecordsRead): number {
  return seen === 0 ? 0 : full / seen;
}

export function isNearlyFull(records: RecordsRead): boolean {
  return fullShare(records) >= NEARLY_FULL;
}

/** The megabytes that l4lb-load --flows makes records take, to give them more room. */
export function moreMegabytes({ sets }: RecordsRead): number {
  return Math.min(8192, Math.max(1, Math.floor((sets * 64) / 2 ** 20)) * 4);
}

/** What is known of the records; undefined where no service keeps any. */
export type Records = RecordsRead | Unseen | undefined;

/** What is wrong with the records, in lines; none if there is room. */
export function describeRecords(records: Records): string[] {
  if (records === undefined) return [];
  if (records instanceof Unseen) return [records.why];
  const lines: string[] = [];
  if (isNearlyFull(records)) {
    const percent = Math.round(fullShare(records) * 100);
    lines.push(
      `records are nearly full: ${percent}% of new connections in hot slots find no room, and go to the previous destination`,
    );
  }
  if (records.limited !== undefined) {
    lines.push(
      `the limit of ${many(MOST_RECORDS, 'new record')} a second was reached ${records.limited} s ago: more new connections in hot slots went to the previous destination`,
    );
  }
  return lines;
}

/** Null where no service keeps records; what could not be read is said. */
export function recordsJson(records: Records): Record<string, unknown> | null {
  if (records === undefined) return null;
  if (records instanceof Unseen) return { unseen: records.why };
  return {
    nearly_full: isNearlyFull(records),
    full_share: Number(fullShare(records).toFixed(4)),
    limit_reached_s_ago: records.limited ?? null,
  };
}
