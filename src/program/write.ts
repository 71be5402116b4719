// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Turns a plan's writes into the lines of a bpftool batch. */
import type { AnswerFrom } from '../abi/answer.js';
import { encodeAnswer } from '../abi/answer.js';
import { encodeKey } from '../abi/bytes.js';
import { EMPTY_CELL, encodeCell } from '../abi/cell.js';
import { encodeCounter } from '../abi/counter.js';
import { encodeDestination } from '../abi/destination.js';
import { encodeDevice } from '../abi/device.js';
import { encodePools } from '../abi/pool.js';
import { encodeExit } from '../abi/exit.js';
import type { Exit } from '../abi/exit.js';
import type { Slot } from '../abi/slot.js';
import {
  EMPTY_SLOT,
  PAIR,
  QUAD,
  encodeMemory,
  encodeNames,
  encodeQuad,
} from '../abi/slot.js';
import { must } from '../text/must.js';
import { isHot } from '../plan/hot-slots.js';
import { SlotTable } from '../plan/slots.js';
import type { State, Write } from '../plan/state.js';
import type { MapInfo } from '../system/bpftool-text.js';
import { deleteLine, updateLine } from '../system/bpftool-text.js';
import type { Maps } from './find.js';

/** Slots that are to be written: all as they will be, and what changes. */
interface Pending {
  slotOf: (key: number) => Slot;
  quads: Set<number>;
  /** By slot. */
  memories: Map<number, Slot>;
  /** Pairs of slots that are to name others than before. */
  names: Set<number>;
}

/**
 * The lines of a bpftool batch. Consecutive writes to slots share the lines of their
 * quads. What the slots of a quad are to remember and to name comes just before it. `slots` are the
 * present ones, since a quad is written whole.
 */
export function* linesOf(
  maps: Maps,
  writes: readonly Write[],
  slots: State['slots'],
): Generator<string> {
  const changed = new SlotTable();
  const slotOf = (key: number): Slot => changed.get(key) ?? slots.get(key) ?? EMPTY_SLOT;
  const none = (): Pending => ({
    ...{ slotOf, quads: new Set(), memories: new Map(), names: new Set() },
  });
  let pending = none();
  for (const write of writes) {
    if (write.map === 'slots') {
      const { key, value } = write;
      if (isHot(value)) {
        const there = slotOf(key);
        if (remembersOther(there, value)) pending.memories.set(key, value);
        if (there.names !== value.names) pending.names.add(Math.floor(key / PAIR));
      }
      changed.set(key, value);
      pending.quads.add(Math.floor(key / QUAD));
    } else {
      yield* quadLines(maps, pending);
      pending = none();
      const map = maps[write.map];
      if (write.map === 'exit_numbers') {
        yield* numberLines(map, write.key, write.value);
        continue;
      }
      if (!map) throw new Error(`a plan for a program that has ${write.map}`);
      if (write.map === 'exits') yield* exitLines(maps, write.key, write.value);
      else if (write.map === 'answers') yield answerLine(map, write.key, write.value);
      else yield updateLine(map, encodeKey(write.key), encode(write));
    }
  }
  yield* quadLines(maps, pending);
}

function remembersOther(there: Slot, value: Slot): boolean {
  return (
    there.previous !== value.previous ||
    there.since !== value.since ||
    there.drained !== value.drained ||
    there.second !== value.second
  );
}

function* quadLines(
  { memories, names, slots }: Maps,
  pending: Pending,
): Generator<string> {
  for (const quad of pending.quads) {
    const four: Slot[] = [];
    for (let key = quad * QUAD; key < (quad + 1) * QUAD; key++) {
      four.push(pending.slotOf(key));
      const memory = pending.memories.get(key);
      if (memory && memories) {
        yield updateLine(memories, encodeKey(key), encodeMemory(memory));
      }
    }
    for (let index = 0; names && index < QUAD; index += PAIR) {
      const pair = (quad * QUAD + index) / PAIR;
      if (pending.names.has(pair)) {
        const both = four.slice(index, index + PAIR).map((slot) => slot.names ?? 0);
        yield updateLine(names, encodeKey(pair), encodeNames(both));
      }
    }
    const value = four.map((slot) => ({ current: slot.current, isHot: isHot(slot) }));
    yield updateLine(slots, encodeKey(quad), encodeQuad(value));
  }
}

/** What packets need of an exit comes before the device that makes it usable. */
function exitLines(
  { exits, exit_devices: devices }: Maps,
  key: number,
  value: Exit,
): string[] {
  return [
    updateLine(must(exits, 'exits'), encodeKey(key), encodeExit(value)),
    updateLine(must(devices, 'their devices'), encodeKey(key), encodeKey(value.ifindex)),
  ];
}

/** A program of an earlier build has no such map. A key that is not there cannot be deleted. */
function numberLines(
  map: MapInfo | undefined,
  ifindex: number,
  value: number | undefined,
): string[] {
  if (!map) return [];
  const key = encodeKey(ifindex);
  const update = updateLine(map, key, encodeKey(value ?? 0));
  return value === undefined ? [update, deleteLine(map, key)] : [update];
}

function answerLine(map: MapInfo, hex: string, value: AnswerFrom | undefined): string {
  const key = Buffer.from(hex, 'hex');
  return value ? updateLine(map, key, encodeAnswer(value)) : deleteLine(map, key);
}

function encode(
  write: Exclude<Write, { map: 'slots' | 'exits' | 'exit_numbers' | 'answers' }>,
): Buffer {
  switch (write.map) {
    case 'counters':
    case 'returned':
      return encodeCounter(write.value);
    case 'destinations':
      return encodeDestination(write.value);
    case 'services':
      return write.value ? encodeCell(write.value) : EMPTY_CELL;
    case 'device':
      return encodeDevice(write.value);
    case 'pools':
      return encodePools(write.value);
    case 'kept':
      return encodeKey(write.value);
  }
}
