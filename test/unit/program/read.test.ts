// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Which lines of a batch the writes of a plan become. */
import { describe, expect, test } from '@jest/globals';

import { linesOf } from '../../../src/program/write.js';
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
const slot = (key: number, value: Slot): Write => ({ map: 'slots', key, value });
const RETIRED: Write = { map: 'counters', key: 0, value: { packets: 1n, bytes: 2n } };

/** What each line writes: a memory, four slots with + for the hot ones, or another map. */
function told(maps: Maps, writes: Write[], slots: State['slots'] = new Map()): string[] {
  return [...linesOf(maps, writes, slots)].map((line) => {
    const match = /^map update id (\d+) key hex (.+) value hex (.+)$/.exec(line);
    const [, id = '', key = '', value = ''] = match ?? [];
    const bytes = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
    const number = decodeKey(bytes(key));
    if (Number(id) === MEMORIES) {
      const { previous, since } = decodeMemory(bytes(value));
      return `${number} remembers ${previous} since ${since}`;
    }
    if (Number(id) === NAMES) {
      return `pair ${number} names ${decodeNames(bytes(value)).join(' ')}`;
    }
    const name = MAP_NAMES[Number(id)];
    if (name !== 'slots') return name ?? 'no map';
    const four = decodeQuad(bytes(value));
    const ids = four.map(({ current, isHot }) => `${current}${isHot ? '+' : ''}`);
    return `quad ${number}: ${ids.join(' ')}`;
  });
}

describe('lines of a batch', () => {
  test('four slots that are written together are one', () => {
    const writes = [0, 1, 2, 3, 4, 5].map((key) => slot(key, to(key + 1)));
    expect(told(HOST, writes)).toEqual(['quad 0: 1 2 3 4', 'quad 1: 5 6 0 0']);
    expect(told(PORTABLE, writes)).toEqual(told(HOST, writes));
  });

  test('the other slots of a quad stay as they are, hot ones too', () => {
    const live = new Map([
      [4, to(1)],
      [5, to(2)],
      [6, hot(3, 1)],
    ]);
    expect(told(HOST, [slot(5, to(9))], live)).toEqual(['quad 1: 1 9 3+ 0']);
  });

  test('a slot remembers before it is hot', () => {
    const live = new Map([0, 1, 2, 3].map((key) => [key, to(1)]));
    expect(told(HOST, [slot(0, hot(2, 1)), slot(3, hot(2, 1, 8))], live)).toEqual([
      '0 remembers 1 since 7',
      '3 remembers 1 since 8',
      'quad 0: 2+ 1 1 2+',
    ]);
  });

  test('a hot slot that moves once more remembers what it did', () => {
    const live = new Map([[0, hot(2, 1)]]);
    expect(told(HOST, [slot(0, hot(3, 1))], live)).toEqual(['quad 0: 3+ 0 0 0']);
    expect(told(HOST, [slot(0, hot(3, NOBODY))], live)).toEqual([
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
    expect(told(HOST, [slot(5, naming(2, 1, 0xfffffe00))], live)).toEqual([
      '5 remembers 1 since 7',
      `pair 2 names 256 4294966784`,
      'quad 1: 2+ 2+ 0 0',
    ]);
    expect(told(HOST, [slot(4, { ...naming(2, 3, 0x0300), since: 7 })], live)).toEqual([
      '4 remembers 3 since 7',
      `pair 2 names 768 0`,
      'quad 1: 2+ 1 0 0',
    ]);
  });

  test('a slot that goes cold needs no other line', () => {
    const live = new Map([[0, hot(2, 1)]]);
    expect(told(HOST, [slot(0, to(2))], live)).toEqual(['quad 0: 2 0 0 0']);
  });

  test('slots keep their place among other writes', () => {
    const writes = [RETIRED, slot(0, to(1)), RETIRED, slot(1, to(2)), RETIRED];
    expect(told(HOST, writes)).toEqual([
      'counters',
      'quad 0: 1 0 0 0',
      'counters',
      'quad 0: 1 2 0 0',
      'counters',
    ]);
  });
});
