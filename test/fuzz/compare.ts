// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What the maps hold after a chunk, against what the model expects. */
import type { FlowRecord } from '../../src/abi/record.js';
import { encodeKey } from '../../src/abi/bytes.js';
import { sumCounters } from '../../src/abi/counter.js';
import type { Dumped } from './engines.js';
import { encodeRecords } from './records.js';

export interface ExpectedMaps {
  verdicts: Map<number, string>;
  counters: Map<number, string>;
  records: Map<number, FlowRecord[]>;
  kept: Map<number, number>;
  returned: Map<number, string>;
  /** As bytes; all others are zeros. */
  claims: Map<number, Buffer>;
  ports: Map<number, Buffer>;
}

export class Sums {
  readonly #sums = new Map<number, [number, number]>();

  add(key: number, bytes: number): void {
    const [packets, all] = this.#sums.get(key) ?? [0, 0];
    this.#sums.set(key, [packets + 1, all + bytes]);
  }

  text(): Map<number, string> {
    return new Map(
      [...this.#sums].map(([key, [packets, all]]) => [
        key,
        `${packets} packets, ${all} bytes`,
      ]),
    );
  }
}

export function compareMaps(dumped: Dumped, expected: ExpectedMaps): string[] {
  const found = [
    ...compareSums('verdict', counted(dumped.get('verdicts')), expected.verdicts),
    ...compareSums('destination', counted(dumped.get('counters')), expected.counters),
  ];
  found.push(
    ...compareSums('returned', counted(dumped.get('returned')), expected.returned),
    ...compareSparse('claims of set', dumped.get('claims'), expected.claims),
    ...compareSparse('port', dumped.get('ports'), expected.ports),
  );
  for (const [set, value] of (dumped.get('flows') ?? []).entries()) {
    const wanted = encodeRecords(expected.records.get(set) ?? []);
    if (value.equals(wanted)) continue;
    found.push(
      `records of set ${set}: model ${hexWords(wanted)}, program ${hexWords(value)}`,
    );
  }
  for (const [slot, value] of (dumped.get('kept') ?? []).entries()) {
    const wanted = encodeKey(expected.kept.get(slot) ?? 0);
    if (value.equals(wanted)) continue;
    found.push(
      `kept of slot ${slot}: model ${wanted.readUInt32LE()}, program ${value.readUInt32LE()}`,
    );
  }
  return found;
}

/** Counters that are not zero, as text that can be compared. */
export function counted(values: readonly Buffer[] = []): Map<number, string> {
  const sums = new Map<number, string>();
  for (const [key, value] of values.entries()) {
    const { packets, bytes } = sumCounters([value]);
    if (packets > 0n) sums.set(key, `${packets} packets, ${bytes} bytes`);
  }
  return sums;
}

function hexWords(bytes: Buffer): string {
  return bytes.toString('hex').replaceAll(/.{16}(?!$)/g, '$& ');
}

export function compareSums(
  kind: string,
  program: ReadonlyMap<number, string>,
  wanted: ReadonlyMap<number, string>,
): string[] {
  const keys = [...new Set([...program.keys(), ...wanted.keys()])];
  return keys.flatMap((key) => {
    const [ours, theirs] = [wanted.get(key) ?? 'none', program.get(key) ?? 'none'];
    return ours === theirs ? [] : [`${kind} ${key}: model ${ours}, program ${theirs}`];
  });
}

function compareSparse(
  kind: string,
  program: readonly Buffer[] = [],
  wanted: ReadonlyMap<number, Buffer>,
): string[] {
  const found: string[] = [];
  const tell = (key: number, ours: Buffer | undefined, theirs?: Buffer): void => {
    const words = (bytes?: Buffer): string => (bytes ? hexWords(bytes) : 'zeros');
    found.push(`${kind} ${key}: model ${words(ours)}, program ${words(theirs)}`);
  };
  // It skips the holes.
  program.forEach((value, key) => {
    const ours = wanted.get(key);
    if (!ours?.equals(value)) tell(key, ours, value);
  });
  for (const [key, ours] of wanted) {
    if (program[key] === undefined && ours.some((byte) => byte !== 0)) tell(key, ours);
  }
  return found;
}
