// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Turns a plan's writes into changes to the entries of maps. */
import type { AnswerFrom } from '../abi/answer.js';
import { encodeAnswer } from '../abi/answer.js';
import { encodeKey, encodeWords } from '../abi/bytes.js';
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
  putSlot,
} from '../abi/slot.js';
import { must } from '../text/must.js';
import { isHot } from '../plan/hot-slots.js';
import { SlotTable } from '../plan/slots.js';
import type { State, Write } from '../plan/state.js';
import type { MapInfo } from '../system/bpftool-text.js';
import type { Maps } from './find.js';
import type { Change } from '../system/entries.js';
import { remove, update } from '../system/entries.js';

/**
 * The changes to the maps. What the slots of a quad are to remember and to name comes before
 * the quad. `slots` are the present ones, since a quad is written whole.
 */
export function* changesOf(
  maps: Maps,
  writes: readonly Write[],
  slots: State['slots'],
): Generator<Change> {
  let present = slots;
  const last = writes.findLast((write) => write.map === 'slots');
  for (const write of writes) {
    if (write.map === 'slots') {
      yield* slotChanges(maps, write.slots, present);
      if (write !== last) present = new SlotTable([present, write.slots]);
      continue;
    }
    const map = maps[write.map];
    if (write.map === 'exit_numbers') {
      yield* numberChanges(map, write.key, write.value);
      continue;
    }
    if (!map) throw new Error(`a plan for a program that has ${write.map}`);
    if (write.map === 'exits') yield* exitChanges(maps, write.key, write.value);
    else if (write.map === 'answers') yield answerChange(map, write.key, write.value);
    else yield update(map, encodeKey(write.key), encode(write));
  }
}

/** Quads that are written together. */
const GROUP = 128;

/**
 * What a cold slot is to remember nobody reads before it is hot, so that of a whole group
 * comes before its quads. A quad with a slot that is hot already comes by itself, just
 * behind what its slots remember from then on.
 */
function* slotChanges(
  maps: Maps,
  written: SlotTable,
  present: State['slots'],
): Generator<Change> {
  const group: QuadGroup = { quads: [], remembered: [], named: [] };
  const slotOf: SlotOf = (key) => written.get(key) ?? present.get(key) ?? EMPTY_SLOT;
  for (const quad of quadsIn(written)) {
    const isAlone = hasHot(quad, present);
    if (isAlone || group.quads.length === GROUP) yield* endGroup(maps, group, slotOf);
    group.quads.push(quad);
    if (hasHot(quad, written)) {
      addMemories(maps, group, quad, written, present, slotOf);
    }
    if (isAlone) yield* endGroup(maps, group, slotOf);
  }
  yield* endGroup(maps, group, slotOf);
}

type SlotOf = (key: number) => Slot;

interface QuadGroup {
  quads: number[];
  remembered: Change[];
  named: Change[];
}

function quadsIn(slots: SlotTable): number[] {
  const quads: number[] = [];
  let last = -1;
  slots.forEach((_, key) => {
    const quad = Math.floor(key / QUAD);
    if (quad !== last) quads.push(quad);
    last = quad;
  });
  return quads;
}

function hasHot(quad: number, slots: State['slots']): boolean {
  for (let key = quad * QUAD; slots.size > 0 && key < (quad + 1) * QUAD; key++) {
    const slot = slots.get(key);
    if (slot && isHot(slot)) return true;
  }
  return false;
}

/** Only what differs: most hot slots that move again remember what they did. */
function addMemories(
  { memories, names }: Maps,
  { remembered, named }: QuadGroup,
  quad: number,
  written: SlotTable,
  present: State['slots'],
  slotOf: SlotOf,
): void {
  const pairs = new Set<number>();
  for (let key = quad * QUAD; key < (quad + 1) * QUAD; key++) {
    const value = written.get(key);
    if (!value || !isHot(value)) continue;
    const there = present.get(key) ?? EMPTY_SLOT;
    if (memories && remembersOther(there, value)) {
      remembered.push(update(memories, encodeKey(key), encodeMemory(value)));
    }
    if (there.names !== value.names) pairs.add(Math.floor(key / PAIR));
  }
  for (const pair of names ? pairs : []) {
    const both = [PAIR * pair, PAIR * pair + 1].map((key) => slotOf(key).names ?? 0);
    named.push(update(must(names, 'names'), encodeKey(pair), encodeNames(both)));
  }
}

function remembersOther(there: Slot, value: Slot): boolean {
  return (
    there.previous !== value.previous ||
    there.since !== value.since ||
    there.drained !== value.drained ||
    there.second !== value.second
  );
}

function* endGroup(
  { slots: map }: Maps,
  { quads, remembered, named }: QuadGroup,
  slotOf: SlotOf,
): Generator<Change> {
  if (quads.length === 0) return;
  yield* remembered.splice(0);
  yield* named.splice(0);
  const keys = encodeWords(quads);
  const row = new Uint16Array(QUAD * quads.length);
  quads.splice(0).forEach((quad, index) => {
    for (let place = 0; place < QUAD; place++) {
      const slot = slotOf(quad * QUAD + place);
      putSlot(row, index * QUAD + place, slot.current, isHot(slot));
    }
  });
  const values = Buffer.from(row.buffer);
  const sizes = { keySize: map.keySize, valueSize: map.valueSize };
  yield { map: map.id, keys, values, ...sizes };
}

/** What packets need of an exit comes before the device that makes it usable. */
function exitChanges(
  { exits, exit_devices: devices }: Maps,
  key: number,
  value: Exit,
): Change[] {
  return [
    update(must(exits, 'exits'), encodeKey(key), encodeExit(value)),
    update(must(devices, 'their devices'), encodeKey(key), encodeKey(value.ifindex)),
  ];
}

/** A program of an earlier build has no such map. A key that is not there cannot be deleted. */
function numberChanges(
  map: MapInfo | undefined,
  ifindex: number,
  value: number | undefined,
): Change[] {
  if (!map) return [];
  const key = encodeKey(ifindex);
  const written = update(map, key, encodeKey(value ?? 0));
  return value === undefined ? [written, remove(map, key)] : [written];
}

function answerChange(map: MapInfo, hex: string, value: AnswerFrom | undefined): Change {
  const key = Buffer.from(hex, 'hex');
  return value ? update(map, key, encodeAnswer(value)) : remove(map, key);
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
