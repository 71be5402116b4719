// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The rule about words of maps that a program both reads and adds to. */
import { UPDATE } from '../follow/helpers.js';
import type { Reached } from '../follow/reached.js';
import { where } from '../follow/reached.js';
import type { Finding, Place } from './rules.js';
import { found, remark } from './rules.js';
import { accessOf } from './memory.js';
import { registerOf } from '../follow/state.js';

interface Use {
  place: Place;
  does: 'load' | 'atomic';
  map: string;
  /** Numbers of the value's words that it touches; undefined if they are not known. */
  words: number[] | undefined;
}

const WORD = 4;

/** The card keeps words to add to in another byte order than words to read. */
export function judgeWords(reached: readonly Reached[]): Finding[] {
  const uses = reached.flatMap(useOf);
  const reads = uses.filter(({ does }) => does === 'load');
  const added = uses.filter(({ does }) => does === 'atomic');
  return [
    ...added.flatMap((one) => judgeAdded(one, reads)),
    ...reached.flatMap(({ place, instruction, state }) => {
      if (instruction.action.does !== 'call helper' || instruction.immediate !== UPDATE) {
        return [];
      }
      const map = registerOf(state, 1);
      if (map.kind !== 'map' || !added.some((one) => one.map === map.map)) return [];
      const what = `updates the map \`${map.map}\`, to which it also adds: the card accepts that only while the words added to are zero`;
      return remark('read-and-added', what).map((said) => ({ ...said, place }));
    }),
  ];
}

function useOf({ place, instruction, state }: Reached): Use[] {
  const access = accessOf(instruction, state);
  if (access?.pointer.kind !== 'map value' || access.does === 'store') return [];
  const { map, offset } = access.pointer;
  const { does, size } = access;
  if (typeof offset !== 'number') return [{ place, does, map, words: undefined }];
  const first = Math.floor((offset + instruction.offset) / WORD);
  const last = Math.floor((offset + instruction.offset + size - 1) / WORD);
  const words = Array.from({ length: last - first + 1 }, (_, index) => first + index);
  return [{ place, does, map, words }];
}

function judgeAdded(added: Use, reads: readonly Use[]): Finding[] {
  const read = reads.find(
    ({ map, words }) =>
      map === added.map &&
      (!words || !added.words || words.some((word) => added.words?.includes(word))),
  );
  if (!read) return [];
  const what = `adds to a word of a value of the map \`${added.map}\` that ${where(read.place)} reads`;
  const isSure = read.words && added.words;
  return (isSure ? found : remark)('read-and-added', what).map((said) => ({
    ...said,
    place: added.place,
  }));
}
