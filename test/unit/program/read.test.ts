// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Which changes to entries the writes of a plan become. */
import { describe, expect, test } from '@jest/globals';

import { changesOf } from '../../../src/program/write.js';
import type { MapInfo } from '../../../src/system/bpftool-text.js';
import {
  EMPTY_SLOT,
  NOBODY,
  decodeMemory,
  decodeNames,
  decodeQuad,
} from '../../../src/abi/slot.js';
import type { Slot } from '../../../src/abi/slot.js';
import { decodeKey } from '../../../src/abi/bytes.js';
import { MAP_NAMES, VALUE_SIZES } from '../../../src/abi/maps.js';
import type { Maps } from '../../../src/program/find.js';
import type { State, Write } from '../../../src/plan/state.js';
import { SlotTable } from '../../../src/plan/slots.js';
import { textOf } from '../system/fake-entries.js';

const NAMES = 101;
const MEMORIES = 100;

const mapOf = (name: string, id: number, valueSize: number): MapInfo => ({
  ...{ id, name, kind: 'array', keySize: 4, valueSize, entries: 64 },
});
const PORTABLE = Object.fromEntries(
  MAP_NAMES.map((name, id) => [name, mapOf(name, id, VALUE_SIZES[name])]),
) as unknown as Maps;
const HOST: Maps = {
  ...PORTABLE,
  memories: mapOf('memories', MEMORIES, 16),
  names: mapOf('names', NAMES, 8),
};

const to = (current: number): Slot => ({ ...EMPTY_SLOT, current });
const hot = (current: number, previous: number, since = 7): Slot => ({
  ...{ current, previous, since },
});
const slots = (...all: [key: number, value: Slot][]): Write => ({
  map: 'slots',
  slots: new SlotTable([new Map(all)]),
});
const RETIRED: Write = { map: 'counters', key: 0, value: { packets: 1n, bytes: 2n } };

/** What each change writes: a memory, four slots with + for the hot ones, or another map. */
function told(maps: Maps, writes: Write[], live: State['slots'] = new Map()): string[] {
  return textOf(changesOf(maps, writes, live)).map((line) => {
    const [, id, key = '', value = ''] = line.split(' ');
    const number = decodeKey(Buffer.from(key, 'hex'));
    const bytes = Buffer.from(value, 'hex');
    if (Number(id) === MEMORIES) {
      const { previous, since } = decodeMemory(bytes);
      return `${number} remembers ${previous} since ${since}`;
    }
    if (Number(id) === NAMES) {
      return `pair ${number} names ${decodeNames(bytes).join(' ')}`;
    }
    const name = MAP_NAMES[Number(id)];
    if (name !== 'slots') return name ?? 'no map';
    const four = decodeQuad(bytes);
    const ids = four.map(({ current, isHot }) => `${current}${isHot ? '+' : ''}`);
    return `quad ${number}: ${ids.join(' ')}`;
  });
}

describe('changes to entries', () => {
  test('four slots that are written together are one', () => {
    const writes = [
      slots(...[0, 1, 2, 3, 4, 5].map((key): [number, Slot] => [key, to(key + 1)])),
    ];
    expect(told(HOST, writes)).toEqual(['quad 0: 1 2 3 4', 'quad 1: 5 6 0 0']);
    expect(told(PORTABLE, writes)).toEqual(told(HOST, writes));
  });

  test('the other slots of a quad stay as they are, hot ones too', () => {
    const live = new Map([
      [4, to(1)],
      [5, to(2)],
      [6, hot(3, 1)],
    ]);
    expect(told(HOST, [slots([5, to(9)])], live)).toEqual(['quad 1: 1 9 3+ 0']);
  });

  test('a slot remembers before it is hot', () => {
    const live = new Map([0, 1, 2, 3].map((key) => [key, to(1)]));
    expect(told(HOST, [slots([0, hot(2, 1)], [3, hot(2, 1, 8)])], live)).toEqual([
      '0 remembers 1 since 7',
      '3 remembers 1 since 8',
      'quad 0: 2+ 1 1 2+',
    ]);
  });

  test('a hot slot that moves once more remembers what it did', () => {
    const live = new Map([[0, hot(2, 1)]]);
    expect(told(HOST, [slots([0, hot(3, 1)])], live)).toEqual(['quad 0: 3+ 0 0 0']);
    expect(told(HOST, [slots([0, hot(3, NOBODY)])], live)).toEqual([
      `0 remembers ${NOBODY} since 7`,
      'quad 0: 3+ 0 0 0',
    ]);
  });

  test('whom two slots name is written between what they remember and their quad', () => {
    const naming = (current: number, previous: number, names: number): Slot => ({
      ...hot(current, previous),
      names,
    });
    const live = new Map([
      [4, naming(2, 1, 0x0100)],
      [5, to(1)],
    ]);
    expect(told(HOST, [slots([5, naming(2, 1, 0xfffffe00)])], live)).toEqual([
      '5 remembers 1 since 7',
      `pair 2 names 256 4294966784`,
      'quad 1: 2+ 2+ 0 0',
    ]);
    expect(told(HOST, [slots([4, { ...naming(2, 3, 0x0300), since: 7 }])], live)).toEqual(
      ['4 remembers 3 since 7', `pair 2 names 768 0`, 'quad 1: 2+ 1 0 0'],
    );
  });

  test('a slot that goes cold needs no other line', () => {
    const live = new Map([[0, hot(2, 1)]]);
    expect(told(HOST, [slots([0, to(2)])], live)).toEqual(['quad 0: 2 0 0 0']);
  });

  test('of slots that are cold, what all are to remember comes first', () => {
    const live = new Map([0, 4, 8].map((key) => [key, to(1)]));
    live.set(9, hot(3, 1));
    const moves = [slots([0, hot(2, 1)], [4, hot(2, 1)], [8, hot(2, 1)], [12, to(5)])];
    expect(told(HOST, moves, live)).toEqual([
      ...['0 remembers 1 since 7', '4 remembers 1 since 7'],
      ...['quad 0: 2+ 0 0 0', 'quad 1: 2+ 0 0 0'],
      // Packets read what a hot slot remembers, so its quad comes just behind that.
      ...['8 remembers 1 since 7', 'quad 2: 2+ 3+ 0 0'],
      'quad 3: 5 0 0 0',
    ]);
  });

  test('slots keep their place among other writes', () => {
    const writes = [RETIRED, slots([0, to(1)]), RETIRED, slots([1, to(2)]), RETIRED];
    expect(told(HOST, writes)).toEqual([
      'counters',
      'quad 0: 1 0 0 0',
      'counters',
      'quad 0: 1 2 0 0',
      'counters',
    ]);
  });
});
