// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What `entries/entries` is asked, as text, and what it would print. */
import { encodeWords, u32 } from '../../../src/abi/bytes.js';
import type { Change, Entry } from '../../../src/system/entries.js';

const KINDS = ['update', 'delete', 'lookup', 'dump'];
const HEADER = 20;

/** Each entry as `update MAP KEY VALUE`, in hexadecimal, joined by `; `. */
export function requestText(file: Buffer): string {
  const lines: string[] = [];
  for (let start = 0; start < file.length;) {
    const [kind = 0, map = 0, keySize = 0, valueSize = 0, count = 0] = Array.from(
      { length: 5 },
      (_, word) => u32(file, start + 4 * word),
    );
    const keys = start + HEADER;
    const values = keys + count * keySize;
    const hex = (from: number, size: number): string =>
      size === 0 ? '' : ` ${file.toString('hex', from, from + size)}`;
    if (count === 0) lines.push(`${KINDS[kind]} ${map}`);
    for (let index = 0; index < count; index++) {
      const key = hex(keys + index * keySize, keySize);
      lines.push(
        `${KINDS[kind]} ${map}${key}${hex(values + index * valueSize, valueSize)}`,
      );
    }
    start = values + count * valueSize;
  }
  return lines.join('; ');
}

/** Each entry of these changes, as above. */
export function textOf(changes: Iterable<Change>): string[] {
  return [...changes].flatMap(({ map, keys, keySize, values, valueSize }) =>
    Array.from({ length: keys.length / keySize }, (_, index) => {
      const key = keys.toString('hex', index * keySize, (index + 1) * keySize);
      const value = values?.toString('hex', index * valueSize, (index + 1) * valueSize);
      return values ? `update ${map} ${key} ${value}` : `delete ${map} ${key}`;
    }),
  );
}

/** What it prints of these entries, of which there is at least one. */
export function printed(...answers: (readonly Entry[])[]): string {
  const parts = answers.flatMap((entries) => {
    const [first] = entries;
    const sizes = [
      first?.key.length ?? 0,
      first?.values[0]?.length ?? 0,
      first?.values.length ?? 0,
    ];
    const all = entries.flatMap(({ key, values }) => [key, ...values]);
    return [encodeWords([...sizes, entries.length]), ...all];
  });
  return Buffer.concat(parts).toString('latin1');
}
