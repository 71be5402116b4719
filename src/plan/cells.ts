// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Places ways in the cells of the `services` map.
 *
 * The program reads a cell with one load, at the place that the hash of address, port and
 * protocol gives. So no two ways may share a cell, and the seed is chosen accordingly.
 */
import { at } from '../text/must.js';
import type { Cell } from '../abi/cell.js';
import {
  CELL_BY_PORT,
  CELL_FRAGMENTS,
  CELL_HASH_SOURCE,
  CELL_KEEPS_SSH,
  CELL_UDP_STAYS,
  CELL_USED,
} from '../abi/cell.js';
import { NoRoom } from './no-room.js';
import { ANY_ADDRESS } from '../wire/address.js';
import type { HashWords } from './seed-search.js';
import { indexOf, isHopeful, searchSeed, withOddHalves } from './seed-search.js';
import { wordsOf } from '../wire/hash.js';
import { TCP } from '../wire/protocols.js';
import type { Way } from '../wire/way.js';
import { versionOf, wayKey } from '../wire/way.js';

/** The cell of a way under a seed: see read_cell() in datapath/service.h. */
export function cellIndex(way: Way, seed: number, cells: number): number {
  return indexOf(hashWords(way), seed, cells);
}

function hashWords({ address, port, protocol }: Way): HashWords {
  const wire = ((port & 0xff) << 8) | (port >> 8);
  return {
    address: wordsOf(address),
    last: wire | (protocol << 16) | (versionOf(address) << 24),
  };
}

/**
 * Adds the notes for fragments. Fragments have no ports, so the program looks them up in
 * the cell of their address for all ports. An address that is balanced by port gets a
 * note in that cell, unless a way lies there already. The note takes fragments only where
 * it is certain which service gets them.
 */
export function withNotes(ways: readonly Cell[]): Cell[] {
  const plain = ways.map((way) => ({ ...way, flags: way.flags & ~CELL_FRAGMENTS }));
  const anyWays = new Map(
    plain
      .filter(({ address }) => address.equals(ANY_ADDRESS))
      .map((way) => [way.protocol, way]),
  );
  const groups = new Map<string, Cell[]>();
  for (const way of plain) {
    const key = wayKey({ ...way, port: 0 });
    const group = groups.get(key);
    if (group) group.push(way);
    else groups.set(key, [way]);
  }
  const notes: Cell[] = [];
  for (const group of groups.values()) {
    const forAll = group.find(({ port }) => port === 0);
    // Ports that are not named go by the way on all addresses.
    const rest = forAll ?? anyWays.get(at(group, 0).protocol);
    const taker = takerOfFragments(rest ? [...group, rest] : group);
    if (!forAll && group[0]) notes.push(noteFor(group[0], taker));
    else if (forAll && taker) forAll.flags |= CELL_FRAGMENTS;
  }
  return [...plain, ...notes];
}

function noteFor({ address, protocol, version }: Cell, taker: Cell | undefined): Cell {
  const note = { address, port: 0, protocol, version, idle: 0, drainDeadline: 0 };
  if (!taker) {
    return { ...note, firstSlot: 0, service: 0, log2Slots: 0, flags: CELL_BY_PORT };
  }
  const { firstSlot, service, log2Slots } = taker;
  const flags = taker.flags & (CELL_HASH_SOURCE | CELL_UDP_STAYS);
  return {
    ...note,
    firstSlot,
    service,
    log2Slots,
    flags: CELL_BY_PORT | CELL_FRAGMENTS | flags,
  };
}

/**
 * The way whose service takes the fragments of an address. There is one if all packets of
 * these ways go to the same service, this service needs no ports to choose the slot, and
 * none of the packets is ssh that the host would keep.
 */
function takerOfFragments(ways: readonly Cell[]): Cell | undefined {
  const [first] = ways;
  const isSure = ways.every(
    ({ service, protocol, flags }) =>
      service === first?.service &&
      (flags & CELL_HASH_SOURCE) !== 0 &&
      !(protocol === TCP && flags & CELL_KEEPS_SSH),
  );
  return isSure ? first : undefined;
}

/**
 * The cells that the program can find. After a change of seed that was cut short, others
 * still lie where the old seed had put them.
 */
export function reachable(live: {
  cells: ReadonlyMap<number, Cell>;
  device: { cellSeed: number };
  sizes: { cells: number };
}): Map<number, Cell> {
  const isFound = ([key, cell]: [number, Cell]): boolean =>
    cellIndex(cell, live.device.cellSeed, live.sizes.cells) === key;
  return new Map([...live.cells].filter(isFound));
}

export function isWay(cell: Cell): boolean {
  return (cell.flags & CELL_USED) !== 0;
}

export interface Placement {
  seed: number;
  /** All wanted ways, by cell. */
  cells: Map<number, Cell>;
}

/**
 * Gives every wanted way a cell of its own, under the present seed if possible. Another
 * seed must suit the live ways as well: their cells under the new seed are written before
 * the program is told of it, so they must be free until then.
 */
export function placeCells(
  wanted: readonly Cell[],
  live: ReadonlyMap<number, Cell>,
  seed: number,
  size: number,
): Placement {
  const words = wanted.map(hashWords);
  // A device that was never filled has no seed.
  const first = withOddHalves(seed);
  const stay = place(wanted, words, first, size);
  if (stay) return { seed: first, cells: stay };
  const numbers = new Map(wanted.map((way, number) => [wayKey(way), number]));
  const occupied = new Map(
    [...live].map(([index, way]) => [index, numbers.get(wayKey(way)) ?? -1]),
  );
  const another = isHopeful(words, size)
    ? searchSeed(words, occupied, seed, size)
    : undefined;
  const cells = another === undefined ? undefined : place(wanted, words, another, size);
  if (another !== undefined && cells) return { seed: another, cells };
  throw new NoRoom(`${wanted.length} ways into services do not fit the ${size} cells`, {
    cause:
      'each address, port and protocol takes a cell, and so does each address with ports',
    next: 'name fewer ways, or all of them anew, or use the host build with its 1,024 cells',
  });
}

/** Undefined where two ways would share a cell. */
function place(
  wanted: readonly Cell[],
  words: readonly HashWords[],
  seed: number,
  size: number,
): Map<number, Cell> | undefined {
  const cells = new Map<number, Cell>();
  for (const [number, cell] of wanted.entries()) {
    const index = indexOf(at(words, number), seed, size);
    if (cells.has(index)) return undefined;
    cells.set(index, cell);
  }
  return cells;
}
