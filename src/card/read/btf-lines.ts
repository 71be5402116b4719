// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Finds the source line of an instruction in the section .BTF.ext. */
import { posix } from 'node:path';

import { at } from '../../text/must.js';
import type { Btf } from './btf.js';

export interface SourceLine {
  file: string;
  line: number;
  /** The line itself, without its indentation. */
  text: string;
}

/** Lines by section name; `offset` is that of the line's first instruction. */
export type Lines = Map<string, { offset: number; source: SourceLine }[]>;

export function readLines(data: Buffer | undefined, btf: Btf): Lines {
  const lines: Lines = new Map();
  if (!data || data.length === 0) return lines;
  let from = data.readUInt32LE(4) + data.readUInt32LE(16);
  const end = from + data.readUInt32LE(20);
  const size = data.readUInt32LE(from);
  from += 4;
  while (from < end) {
    const name = btf.text(data.readUInt32LE(from));
    const number = data.readUInt32LE(from + 4);
    from += 8;
    const records = Array.from({ length: number }, (_, index) =>
      readRecord(data, from + index * size, btf),
    );
    lines.set(name, records);
    from += number * size;
  }
  return shorten(lines);
}

function readRecord(
  data: Buffer,
  at: number,
  btf: Btf,
): { offset: number; source: SourceLine } {
  return {
    offset: data.readUInt32LE(at),
    source: {
      file: posix.normalize(btf.text(data.readUInt32LE(at + 4))),
      line: data.readUInt32LE(at + 12) >>> 10,
      text: btf.text(data.readUInt32LE(at + 8)).trim(),
    },
  };
}

/** Removes the folder that all files of the object lie in. */
function shorten(lines: Lines): Lines {
  const files = [...lines.values()].flat().map(({ source }) => source.file);
  const own = files.filter((file) => !file.startsWith('/usr/'));
  const [first = ''] = own;
  let folder = posix.dirname(first);
  while (!own.every((file) => file.startsWith(`${folder}/`)) && folder.length > 1) {
    folder = posix.dirname(folder);
  }
  for (const { source } of [...lines.values()].flat()) {
    if (source.file.startsWith(`${folder}/`)) {
      source.file = source.file.slice(folder.length + 1);
    }
  }
  return lines;
}

/** Returns the last line that begins at or before the instruction. Offsets ascend. */
export function lineAt(
  lines: Lines,
  section: string,
  offset: number,
): SourceLine | undefined {
  const records = lines.get(section) ?? [];
  let [low, high] = [0, records.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at(records, middle).offset <= offset) low = middle + 1;
    else high = middle;
  }
  return records[low - 1]?.source;
}
