// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Turns a plan's writes into the lines of a bpftool batch. */
import { encodeKey } from '../abi/bytes.js';
import { EMPTY_CELL, encodeCell } from '../abi/cell.js';
import { encodeCounter } from '../abi/counter.js';
import { encodeDestination } from '../abi/destination.js';
import { encodeDevice } from '../abi/device.js';
import type { Slot } from '../abi/slot.js';
import { EMPTY_SLOT, QUAD, encodeMemory, encodeQuad } from '../abi/slot.js';
import { isHot } from '../plan/hot-slots.js';
import type { State, Write } from '../plan/state.js';
import { updateLine } from '../system/bpftool-text.js';
import type { Maps } from './find.js';

/**
 * The lines of a bpftool batch. Consecutive writes to slots share the lines of their
 * quads. What the slots of a quad are to remember comes just before it. `slots` are the present ones,
 * since a quad is written whole.
 */
export function* linesOf(
  maps: Maps,
  writes: readonly Write[],
  slots: State['slots'],
): Generator<string> {
  const changed = new Map<number, Slot>();
  const slotOf = (key: number): Slot => changed.get(key) ?? slots.get(key) ?? EMPTY_SLOT;
  const quads = new Set<number>();
  const memories = new Map<number, Slot>();
  for (const write of writes) {
    if (write.map === 'slots') {
      const { key, value } = write;
      if (maps.memories && remembersOther(slotOf(key), value)) {
        memories.set(key, value);
      }
      changed.set(key, value);
      quads.add(Math.floor(key / QUAD));
    } else {
      yield* quadLines(maps, quads, slotOf, memories);
      quads.clear();
      memories.clear();
      const map = maps[write.map];
      if (!map) throw new Error(`a plan for a program that has ${write.map}`);
      yield updateLine(map, encodeKey(write.key), encode(write));
    }
  }
  yield* quadLines(maps, quads, slotOf, memories);
}

function remembersOther(there: Slot, value: Slot): boolean {
  return (
    isHot(value) &&
    (there.previous !== value.previous ||
      there.since !== value.since ||
      there.drained !== value.drained ||
      there.second !== value.second ||
      there.names !== value.names)
  );
}

function* quadLines(
  maps: Maps,
  quads: Iterable<number>,
  slotOf: (key: number) => Slot,
  memories: ReadonlyMap<number, Slot>,
): Generator<string> {
  for (const quad of quads) {
    for (let key = quad * QUAD; key < (quad + 1) * QUAD; key++) {
      const memory = memories.get(key);
      if (memory && maps.memories) {
        yield updateLine(maps.memories, encodeKey(key), encodeMemory(memory));
      }
    }
    const four = Array.from({ length: QUAD }, (_, place) => slotOf(quad * QUAD + place));
    const value = four.map((slot) => ({ current: slot.current, isHot: isHot(slot) }));
    yield updateLine(maps.slots, encodeKey(quad), encodeQuad(value));
  }
}

function encode(write: Exclude<Write, { map: 'slots' }>): Buffer {
  switch (write.map) {
    case 'counters':
      return encodeCounter(write.value);
    case 'destinations':
      return encodeDestination(write.value);
    case 'services':
      return write.value ? encodeCell(write.value) : EMPTY_CELL;
    case 'device':
      return encodeDevice(write.value);
    case 'kept':
      return encodeKey(write.value);
  }
}
