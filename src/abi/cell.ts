// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** struct l4lb_cell: one way into a service. */
import { u16, u32, putU16, putU32 } from './bytes.js';
import { VALUE_SIZES } from './maps.js';

export const CELL_USED = 1;
export const CELL_KEEPS_SSH = 2;
/** Not a way in, but a note that its address has ways by port. */
export const CELL_BY_PORT = 4;
/** In a hot slot the destinations decide, and the packet names the previous ones. */
export const CELL_NAMES = 8;
/** UDP in a hot slot stays on the previous destination. */
export const CELL_UDP_STAYS = 16;
/** All packets of its address and protocol go to its service: so fragments may too. */
export const CELL_FRAGMENTS = 32;
/** Each fill moves as few slots as possible: see plan/minimal.ts. */
export const CELL_MINIMAL_TABLE = 64;
/** The source address alone chooses the slot. */
export const CELL_HASH_SOURCE = 128;

/** The kind of a service's table: CELL_MINIMAL_TABLE in words. */
export const TABLES = ['consistent', 'minimal'] as const;
export type TableKind = (typeof TABLES)[number];

/** Who remembers the connections of a hot slot: CELL_NAMES in words. */
export const REMEMBERS = ['balancer', 'destinations'] as const;
export type Remember = (typeof REMEMBERS)[number];

/** A bit in a cell's time: the unit is minutes, otherwise seconds. */
export const MINUTES = 0x8000;

/** Returns a time as a cell can hold it: from nine hours on, whole minutes, rounded up. */
export function storableTime(seconds: number): number {
  return seconds < MINUTES ? seconds : Math.ceil(seconds / 60) * 60;
}

function encodeTime(seconds: number): number {
  return seconds < MINUTES ? seconds : MINUTES | Math.ceil(seconds / 60);
}

function decodeTime(time: number): number {
  return time < MINUTES ? time : (time - MINUTES) * 60;
}

/** One way into a service. */
export interface Cell {
  /** 16 bytes; all zero for any. */
  address: Buffer;
  /** 0 for any. */
  port: number;
  protocol: number;
  /** Seconds until a hot slot may go cold, 0 for the default. */
  idle: number;
  /** Seconds that a drained destination is remembered at most, 0 for no limit. */
  drainDeadline: number;
  /** Of the address: 4, 6; 0 for any. */
  version: number;
  firstSlot: number;
  service: number;
  log2Slots: number;
  flags: number;
}

/** The shift leaves only the upper bits, which are the slot's number. */
const HASH_BITS = 32;

export function encodeCell(cell: Cell): Buffer {
  const buffer = Buffer.alloc(VALUE_SIZES.services);
  putU16(buffer, encodeTime(cell.idle), 0);
  putU16(buffer, encodeTime(cell.drainDeadline), 2);
  cell.address.copy(buffer, 4);
  buffer.writeUInt16BE(cell.port, 20);
  buffer.writeUInt8(cell.protocol, 22);
  buffer.writeUInt8(cell.version, 23);
  putU32(buffer, cell.firstSlot, 24);
  putU16(buffer, cell.service, 28);
  buffer.writeUInt8(HASH_BITS - cell.log2Slots, 30);
  buffer.writeUInt8(cell.flags, 31);
  return buffer;
}

export function decodeCell(buffer: Buffer): Cell {
  return {
    idle: decodeTime(u16(buffer, 0)),
    drainDeadline: decodeTime(u16(buffer, 2)),
    address: buffer.subarray(4, 20),
    port: buffer.readUInt16BE(20),
    protocol: buffer.readUInt8(22),
    version: buffer.readUInt8(23),
    firstSlot: u32(buffer, 24),
    service: u16(buffer, 28),
    log2Slots: HASH_BITS - buffer.readUInt8(30),
    flags: buffer.readUInt8(31),
  };
}

export const EMPTY_CELL: Buffer = Buffer.alloc(VALUE_SIZES.services);
