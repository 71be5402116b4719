// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads the tables out of the maps, and turns a plan's writes into commands. */
import { encodeCounter, retiredCounter, sumCounters } from '../abi/counter.js';
import { decodeDestination, encodeDestination } from '../abi/destination.js';
import {
  EMPTY_SLOT,
  QUAD,
  decodeMemory,
  decodeQuad,
  encodeMemory,
  encodeQuad,
} from '../abi/slot.js';
import type { Slot } from '../abi/slot.js';
import { EMPTY_CELL, decodeCell, encodeCell } from '../abi/cell.js';
import type { Cell } from '../abi/cell.js';
import { decodeDevice, encodeDevice } from '../abi/device.js';
import { decodeKey, encodeKey } from '../abi/bytes.js';
import { at, must } from '../text/must.js';
import type { Maps } from './find.js';
import type { Bpftool } from '../system/bpftool.js';
import { decodeEntries, hex, valueOf } from '../system/bpftool.js';
import type { Live, Write } from '../plan/state.js';
import { isHot } from '../plan/hot-slots.js';
import type { Service } from '../plan/services.js';

/** All but the slots, which only one service's are wanted of. */
export async function readTables(bpftool: Bpftool, maps: Maps): Promise<Live> {
  const names = ['device', 'services', 'destinations', 'counters'] as const;
  const answers = await bpftool.queries(
    names.map((name) => `map dump id ${maps[name].id}`),
  );
  const dumps = answers.map(decodeEntries);
  const [device, cells] = [at(dumps, 0), at(dumps, 1)];
  const [destinations, counters] = [at(dumps, 2), at(dumps, 3)];
  return {
    sizes: sizesOf(maps),
    device: decodeDevice(valueOf(at(device, 0))),
    cells: new Map(
      cells.flatMap((entry) => {
        const cell: Cell = decodeCell(valueOf(entry));
        return cell.flags === 0 ? [] : [[decodeKey(entry.key), cell] as const];
      }),
    ),
    destinations: new Map(
      destinations.map((entry) => [
        decodeKey(entry.key),
        decodeDestination(valueOf(entry)),
      ]),
    ),
    counters: new Map(
      counters.map(({ key, values }) => {
        const id = decodeKey(key);
        return [id, id === 0 ? retiredCounter(values) : sumCounters(values)] as const;
      }),
    ),
    slots: new Map(),
  };
}

export function sizesOf(maps: Maps): Live['sizes'] {
  return {
    slots: maps.slots.entries * QUAD,
    destinations: maps.destinations.entries - 1,
    cells: maps.services.entries,
    ...(maps.flows && { sets: maps.flows.entries }),
  };
}

export async function readSlots(
  bpftool: Bpftool,
  maps: Maps,
  { firstSlot, log2Slots }: Pick<Service, 'firstSlot' | 'log2Slots'>,
): Promise<Live['slots']> {
  const end = firstSlot + (1 << log2Slots);
  const quads = range(Math.floor(firstSlot / QUAD), Math.ceil(end / QUAD));
  const values = await bpftool.lookup(maps.slots.id, quads.map(encodeKey));
  const slots = new Map<number, Slot>();
  const hot: number[] = [];
  values.forEach((value, index) => {
    decodeQuad(value).forEach(({ current, isHot }, inQuad) => {
      const key = at(quads, index) * QUAD + inQuad;
      if (key < firstSlot || key >= end) return;
      slots.set(key, { ...EMPTY_SLOT, current });
      if (isHot) hot.push(key);
    });
  });
  if (!maps.memories) return slots;
  const memories = await bpftool.lookup(maps.memories.id, hot.map(encodeKey));
  memories.forEach((value, index) => {
    const key = at(hot, index);
    const { current } = must(slots.get(key), `slot ${key}`);
    slots.set(key, { current, ...decodeMemory(value) });
  });
  return slots;
}

function range(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, index) => first + index);
}

/**
 * Lines of a bpftool batch. Slots that are written one after another share the lines of
 * their quads, and what they are to remember comes in front of these. `slots` are those
 * that were there: a quad is written whole.
 */
export function* linesOf(
  maps: Maps,
  writes: readonly Write[],
  slots: Live['slots'],
): Generator<string> {
  const changed = new Map<number, Slot>();
  const slotOf = (key: number): Slot => changed.get(key) ?? slots.get(key) ?? EMPTY_SLOT;
  const quads = new Set<number>();
  for (const write of writes) {
    if (write.map === 'slots') {
      const { key, value } = write;
      if (maps.memories && remembersOther(slotOf(key), value)) {
        yield line(maps.memories, key, encodeMemory(value));
      }
      changed.set(key, value);
      quads.add(Math.floor(key / QUAD));
    } else {
      yield* quadLines(maps, quads, slotOf);
      quads.clear();
      const map = maps[write.map];
      if (!map) throw new Error(`a plan for a program that has ${write.map}`);
      yield line(map, write.key, encode(write));
    }
  }
  yield* quadLines(maps, quads, slotOf);
}

function remembersOther(there: Slot, value: Slot): boolean {
  return (
    isHot(value) &&
    (there.previous !== value.previous ||
      there.since !== value.since ||
      there.drained !== value.drained)
  );
}

function* quadLines(
  maps: Maps,
  quads: Iterable<number>,
  slotOf: (key: number) => Slot,
): Generator<string> {
  for (const quad of quads) {
    const four = range(quad * QUAD, (quad + 1) * QUAD).map(slotOf);
    const value = four.map((slot) => ({ current: slot.current, isHot: isHot(slot) }));
    yield line(maps.slots, quad, encodeQuad(value));
  }
}

function line({ id }: { id: number }, key: number, value: Buffer): string {
  return `map update id ${id} key hex ${hex(encodeKey(key))} value hex ${hex(value)}`;
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
