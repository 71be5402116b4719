// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads the tables out of the maps, and turns a plan's writes into commands. */
import type { Cell } from './abi.js';
import {
  EMPTY_CELL,
  VALUE_SIZES,
  decodeCell,
  decodeDestination,
  decodeDevice,
  decodeKey,
  decodeSlot,
  encodeCell,
  encodeCounter,
  encodeDestination,
  encodeDevice,
  encodeKey,
  encodeSlot,
} from './abi.js';
import type { Maps } from './attached.js';
import type { Bpftool, Entry } from './bpftool.js';
import { decodeEntries, hex } from './bpftool.js';
import { retiredCounter, sumCounters } from './counters.js';
import type { Live, Write } from './live.js';
import type { Service } from './services.js';

/** All but the slots, which only one service's are wanted of. */
export async function readTables(bpftool: Bpftool, maps: Maps): Promise<Live> {
  const names = ['device', 'services', 'destinations', 'counters'] as const;
  const answers = await bpftool.queries(
    names.map((name) => `map dump id ${maps[name].id}`),
  );
  const [device = [], cells = [], destinations = [], counters = []] =
    answers.map(decodeEntries);
  return {
    sizes: sizesOf(maps),
    device: decodeDevice(valueOf(device[0]) ?? Buffer.alloc(VALUE_SIZES.device)),
    cells: new Map(
      cells.flatMap((entry) => {
        const cell: Cell = decodeCell(valueOf(entry) ?? EMPTY_CELL);
        return cell.flags === 0 ? [] : [[decodeKey(entry.key), cell] as const];
      }),
    ),
    destinations: new Map(
      destinations.flatMap((entry) => {
        const value = valueOf(entry);
        return value ? [[decodeKey(entry.key), decodeDestination(value)] as const] : [];
      }),
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
    slots: maps.slots.entries,
    destinations: maps.destinations.entries - 1,
    cells: maps.services.entries,
    ...(maps.flows && { sets: maps.flows.entries }),
  };
}

function valueOf(entry: Entry | undefined): Buffer | undefined {
  return entry?.values[0];
}

export async function readSlots(
  bpftool: Bpftool,
  maps: Maps,
  { firstSlot, log2Slots }: Service,
): Promise<Live['slots']> {
  const numbers = Array.from({ length: 1 << log2Slots }, (_, slot) => firstSlot + slot);
  const values = await bpftool.lookup(maps.slots.id, numbers.map(encodeKey));
  return new Map(values.map((value, index) => [numbers[index] ?? 0, decodeSlot(value)]));
}

/** A line of a bpftool batch. */
export function writeLine(maps: Maps, write: Write): string {
  const key = hex(encodeKey(write.key));
  return `map update id ${maps[write.map].id} key hex ${key} value hex ${hex(encode(write))}`;
}

function encode(write: Write): Buffer {
  switch (write.map) {
    case 'counters':
      return encodeCounter(write.value);
    case 'destinations':
      return encodeDestination(write.value);
    case 'slots':
      return encodeSlot(write.value);
    case 'services':
      return write.value ? encodeCell(write.value) : EMPTY_CELL;
    case 'device':
      return encodeDevice(write.value);
  }
}
