// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads the tables from the maps. */
import type { AnswerFrom } from '../abi/answer.js';
import { decodeAnswer } from '../abi/answer.js';
import { valueOf } from '../system/bpftool-text.js';
import type { MapInfo } from '../system/bpftool-text.js';
import { decodeDestination, hadDestination } from '../abi/destination.js';
import { decodeExit } from '../abi/exit.js';
import { CLAIM_SETS, decodePools } from '../abi/pool.js';
import type { Exit } from '../abi/exit.js';
import {
  EMPTY_SLOT,
  PAIR,
  QUAD,
  decodeMemory,
  decodeNames,
  decodeQuad,
} from '../abi/slot.js';
import { decodeCell } from '../abi/cell.js';
import type { Cell } from '../abi/cell.js';
import { decodeDevice } from '../abi/device.js';
import { decodeKey, encodeKey } from '../abi/bytes.js';
import { at, must } from '../text/must.js';
import { readCounters } from './counters.js';
import { readLostExits } from './exit-devices.js';
import type { Maps } from './find.js';
import type { Bpftool } from '../system/bpftool.js';
import type { State, Tables } from '../plan/state.js';
import type { Service } from '../plan/services.js';
import type { Slots } from '../plan/slots.js';
import { SlotTable } from '../plan/slots.js';
import { answersAreCounted } from '../wire/forward.js';
import type { Entry } from '../system/entries.js';

/**
 * Reads everything but the slots, which are wanted of one service only, and but what was
 * counted.
 */
export async function readTables(bpftool: Bpftool, maps: Maps): Promise<Tables> {
  const { device: one, services, destinations: all, exits, answers, pools } = maps;
  const asked = [one, services, all, ...(exits ? [exits] : [])];
  const rest = [...(answers ? [answers] : []), ...(pools ? [pools] : [])];
  const idOf = ({ id }: MapInfo): number => id;
  const sparse = [services, all, ...(exits ? [exits] : [])].map(idOf);
  const dumps = await bpftool.dumps([...asked, ...rest].map(idOf), sparse);
  const [device, cells, destinations] = [at(dumps, 0), at(dumps, 1), at(dumps, 2)];
  const ways = exits && decodeExits(at(dumps, 3));
  const { exit_devices: devices } = maps;
  const isAsked = ways && devices && ways.size > 0;
  const entries = new Map(
    destinations.map((entry) => [
      decodeKey(entry.key),
      decodeDestination(valueOf(entry)),
    ]),
  );
  return {
    sizes: sizesOf(maps),
    device: decodeDevice(valueOf(at(device, 0))),
    cells: decodeCells(cells),
    destinations: entries,
    ...(ways && { exits: ways }),
    ...(answers && { answers: decodeAnswers(at(dumps, asked.length)) }),
    ...(pools && { pools: decodePools(valueOf(at(at(dumps, dumps.length - 1), 0))) }),
    ...(isAsked && { lostExits: await readLostExits(bpftool, devices, ways) }),
    slots: new Map(),
  };
}

/** Reads the tables and what was counted, as a plan needs it that gives ids to others. */
export async function readState(bpftool: Bpftool, maps: Maps): Promise<State> {
  const tables = await readTables(bpftool, maps);
  return { ...tables, ...(await readCounted(bpftool, maps, tables.destinations)) };
}

/**
 * Reads what was counted, for packets and for answers. Only ids that have or had a
 * destination can have counted anything, and answers only those of a destination whose
 * answers are counted.
 */
export async function readCounted(
  bpftool: Bpftool,
  { counters, returned }: Maps,
  destinations: State['destinations'],
): Promise<Pick<State, 'counters' | 'returned'>> {
  const used = [...destinations].filter(([, entry]) => hadDestination(entry));
  const answering = used.filter(([, { forward }]) => answersAreCounted(forward));
  const idsOf = (entries: typeof used): number[] => entries.map(([id]) => id);
  const [of, ofAnswers] = await readCounters(bpftool, [
    { map: counters, ids: idsOf(used) },
    ...(returned ? [{ map: returned, ids: idsOf(answering) }] : []),
  ]);
  return {
    counters: must(of, 'the counters'),
    ...(returned && { returned: must(ofAnswers, 'those of answers') }),
  };
}

/** What all tables hold before anything was written to them: entries of zeros. */
export function untouchedTables(maps: Maps): State {
  const { device, exits, answers, pools, returned } = maps;
  const zeros = ({ valueSize }: MapInfo): Buffer => Buffer.alloc(valueSize);
  return {
    sizes: sizesOf(maps),
    device: decodeDevice(zeros(device)),
    cells: new Map(),
    destinations: new Map(),
    counters: new Map(),
    ...(exits && { exits: new Map() }),
    ...(answers && { answers: new Map() }),
    ...(returned && { returned: new Map() }),
    ...(pools && { pools: [] }),
    slots: new Map(),
  };
}

export function decodeCells(entries: readonly Entry[]): Map<number, Cell> {
  return new Map(
    entries.flatMap((entry) => {
      const cell = decodeCell(valueOf(entry));
      return cell.flags === 0 ? [] : [[decodeKey(entry.key), cell] as const];
    }),
  );
}

function decodeAnswers(entries: readonly Entry[]): Map<string, AnswerFrom> {
  return new Map(
    entries.map((entry) => [entry.key.toString('hex'), decodeAnswer(valueOf(entry))]),
  );
}

function decodeExits(entries: readonly Entry[]): Map<number, Exit> {
  return new Map(
    entries.flatMap((entry) => {
      const found = decodeExit(valueOf(entry));
      return found ? [[decodeKey(entry.key), found] as const] : [];
    }),
  );
}

export function sizesOf(maps: Maps): State['sizes'] {
  return {
    slots: maps.slots.entries * QUAD,
    destinations: maps.destinations.entries - 1,
    cells: maps.services.entries,
    ...(maps.flows && { sets: maps.flows.entries }),
    ...(maps.exits && { canLeave: true }),
    ...(maps.answers && { canRewrite: true }),
    ...(maps.pools && maps.claims && { blocks: maps.claims.entries / CLAIM_SETS }),
  };
}

export async function readSlots(
  bpftool: Bpftool,
  maps: Maps,
  { firstSlot, log2Slots }: Pick<Service, 'firstSlot' | 'log2Slots'>,
): Promise<Slots> {
  const end = firstSlot + (1 << log2Slots);
  const quads = range(Math.floor(firstSlot / QUAD), Math.ceil(end / QUAD));
  const values = await bpftool.lookup(maps.slots.id, quads.map(encodeKey));
  const slots = new SlotTable();
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
  await readNames(bpftool, maps, slots, hot);
  return slots;
}

/** Adds whom hot slots name. */
async function readNames(
  bpftool: Bpftool,
  maps: Maps,
  slots: SlotTable,
  hot: readonly number[],
): Promise<void> {
  if (!maps.names) return;
  const pairs = [...new Set(hot.map((key) => Math.floor(key / PAIR)))];
  const values = await bpftool.lookup(maps.names.id, pairs.map(encodeKey));
  const named = new Map(
    pairs.map((pair, index) => [pair, decodeNames(at(values, index))]),
  );
  for (const key of hot) {
    const names = named.get(Math.floor(key / PAIR))?.[key % PAIR];
    if (names) slots.set(key, { ...must(slots.get(key), `slot ${key}`), names });
  }
}

/** Reads the slots of all services. */
export async function readAllSlots(
  bpftool: Bpftool,
  maps: Maps,
  services: Iterable<Service>,
): Promise<Slots> {
  const all: Slots[] = [];
  for (const service of services) all.push(await readSlots(bpftool, maps, service));
  return new SlotTable(all);
}

function range(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, index) => first + index);
}
