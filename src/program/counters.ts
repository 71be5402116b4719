// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Asks for the counters of some ids, in maps that have one for each destination. */
import { encodeKey, decodeKey } from '../abi/bytes.js';
import type { Counter } from '../abi/counter.js';
import { retiredCounter, sumCounters } from '../abi/counter.js';
import type { Bpftool } from '../system/bpftool.js';
import type { MapInfo } from '../system/bpftool-text.js';
import { decodeEntry, lookupLine } from '../system/bpftool-text.js';

/** The questions of a batch for the counters of these ids, and for that of id 0. */
export function askCounters(map: MapInfo, ids: Iterable<number>): string[] {
  const lookups = [0, ...ids].map((id) => lookupLine(map, encodeKey(id)));
  // bpftool opens the map anew for each lookup, which costs as much as two entries of a
  // dump.
  const isDumped = 2 * lookups.length > map.entries;
  return isDumped ? [`map dump id ${map.id}`] : lookups;
}

/** What these questions were answered: the list of a dump, or one entry for each lookup. */
export function countersIn(answers: readonly unknown[]): Map<number, Counter> {
  return new Map(
    answers.flat().map((answer) => {
      const { key, values } = decodeEntry(answer);
      const id = decodeKey(key);
      return [id, id === 0 ? retiredCounter(values) : sumCounters(values)] as const;
    }),
  );
}

/** Reads counters of several maps in one process; of a map without ids, none. */
export async function readCounters(
  bpftool: Pick<Bpftool, 'queries'>,
  asked: readonly { map: MapInfo; ids: readonly number[] }[],
): Promise<Map<number, Counter>[]> {
  const questions = asked.map(({ map, ids }) =>
    ids.length > 0 ? askCounters(map, ids) : [],
  );
  const answers = await bpftool.queries(questions.flat());
  let first = 0;
  return questions.map(({ length }) =>
    countersIn(answers.slice(first, (first += length))),
  );
}
