// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** struct l4lb_quad, l4lb_memory and l4lb_names: slots, what hot ones remember, and whom they name. */
import { LITTLE, putU16, putU32, u16, u32 } from './bytes.js';

/** The `previous` of a hot slot whose previous destination is gone. */
export const NOBODY = 0xffff;

/** A slot that moved is hot: it remembers its previous destination, or that this is gone. */
export interface Slot {
  /** The id of its destination, 0 for none. */
  current: number;
  /** The id that older connections go to, NOBODY, or 0 if the slot is cold. */
  previous: number;
  /** When it became hot, in seconds of the clock that is never set. */
  since: number;
  /** When its previous destination was drained: minutes after `since`, plus one. Undefined: it was not. */
  drained?: number;
  /** The id of the destination before the previous one, where destinations decide. */
  second?: number;
  /** What its packets' outer source holds behind the prefix, where destinations decide. */
  names?: number;
}

export const EMPTY_SLOT: Slot = { current: 0, previous: 0, since: 0 };

/** Slots lie four to a word; what hot ones remember and name lies in maps of their own. */
export const QUAD = 4;
const HOT = 0x8000;

/** A slot as it lies in its quad. */
export interface QuadSlot {
  current: number;
  isHot: boolean;
}

/** Four slots; the first is in the lowest bits of a word. */
export function encodeQuad(slots: readonly QuadSlot[]): Buffer {
  const row = new Uint16Array(QUAD);
  slots.forEach(({ current, isHot }, index) => putSlot(row, index, current, isHot));
  return Buffer.from(row.buffer);
}

/** Puts a slot into its place in a row of quads. */
export function putSlot(
  quads: Uint16Array,
  place: number,
  current: number,
  isHot: boolean,
): void {
  quads[LITTLE ? place : place ^ (QUAD - 1)] = isHot ? current | HOT : current;
}

export function decodeQuad(buffer: Buffer): QuadSlot[] {
  return Array.from({ length: QUAD }, (_, index) => {
    const slot = u16(buffer, inQuad(index));
    return { current: slot & ~HOT, isHot: (slot & HOT) !== 0 };
  });
}

function inQuad(index: number): number {
  return 2 * (LITTLE ? index : QUAD - 1 - index);
}

/** A value of `memories`. */
const MEMORY_SIZE = 16;

export type Memory = Omit<Slot, 'current' | 'names'>;

export function encodeMemory(memory: Memory): Buffer {
  const { previous, since, drained = 0, second = 0 } = memory;
  const buffer = Buffer.alloc(MEMORY_SIZE);
  putU16(buffer, previous, 0);
  putU16(buffer, drained, 2);
  putU32(buffer, since, 4);
  putU16(buffer, second, 8);
  return buffer;
}

export function decodeMemory(buffer: Buffer): Memory {
  const [drained, second] = [u16(buffer, 2), u16(buffer, 8)];
  return {
    previous: u16(buffer, 0),
    since: u32(buffer, 4),
    ...(drained === 0 ? {} : { drained }),
    ...(second === 0 ? {} : { second }),
  };
}

/** Names lie two to a word; the first slot's are in its lower half. */
export const PAIR = 2;
const NAMES_SIZE = 8;

export function encodeNames(pair: readonly number[]): Buffer {
  const buffer = Buffer.alloc(NAMES_SIZE);
  pair.forEach((names, index) => buffer.writeUInt32BE(names, inPair(index)));
  return buffer;
}

export function decodeNames(buffer: Buffer): number[] {
  return Array.from({ length: PAIR }, (_, index) => buffer.readUInt32BE(inPair(index)));
}

function inPair(index: number): number {
  return 4 * (LITTLE ? index : PAIR - 1 - index);
}
