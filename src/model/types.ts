// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The model: a second opinion on what the program does with a frame, written from
 * the RFCs and from what the tables mean, not from the program. The fuzzer and
 * l4lb-explain hold the two against each other. Where it could be fast or plain it
 * is plain.
 *
 * Here: what goes into the model and what comes out. Addresses of packets are as
 * on the wire, of 4 or 16 bytes; those of tables are always of 16.
 */
import type { Build } from '../abi/maps.js';
import type { FlowRecord } from '../abi/record.js';
import type { Destination } from '../abi/destination.js';
import type { Slot } from '../abi/slot.js';
import type { Cell } from '../abi/cell.js';
import type { Device } from '../abi/device.js';
import type { Action, VerdictName } from '../abi/verdicts.js';

/** What the model reads of each table; the rest is there for speed. */
export type ModelDevice = Pick<
  Device,
  'slotSeed' | 'mac' | 'sessionPort' | 'log2Sets' | 'flags'
>;
export type ModelCell = Pick<
  Cell,
  'address' | 'port' | 'protocol' | 'firstSlot' | 'service' | 'log2Slots' | 'flags'
>;
export type ModelDestination = Pick<
  Destination,
  'address' | 'mac' | 'service' | 'weight' | 'source' | 'spread' | 'largestInner'
>;

export interface Tables {
  build: Build;
  device: ModelDevice;
  /** Ways and notes. Where they lie is the program's affair. */
  cells: readonly ModelCell[];
  /** What is missing is empty. */
  slots: ReadonlyMap<number, Slot>;
  /** All entries of the table: an id that is missing is beyond its end. */
  destinations: ReadonlyMap<number, ModelDestination>;
}

/** What the program itself writes and reads again, and what else it looks at. */
export interface ProgramState {
  /** By set; a set that is missing is empty. */
  flows: ReadonlyMap<number, readonly FlowRecord[]>;
  /** Nanoseconds of the clock that is never set. */
  now: bigint;
  /** Whether the rate allows to answer a packet that is too big. */
  mayTell: boolean;
  /** Whether it allows to record a connection that begins in a hot slot. */
  mayRecord: boolean;
  /** Whether it allows to answer an echo request. */
  mayEcho: boolean;
}

export interface RecordWrite {
  set: number;
  place: number;
  record: FlowRecord;
}

/** How the model came to its answer, for people. Absent: it did not get so far. */
export interface Reasons {
  cell?: ModelCell;
  hash?: number;
  slotNumber?: number;
  slot?: Slot;
  /** Why this destination of a hot slot. */
  hot?: string;
  destination?: ModelDestination;
}

export interface Answer {
  verdict: VerdictName;
  action: Action;
  frame: Buffer;
  /** Of the destination that is counted, where the verdict is balanced. */
  id?: number;
  /** What is counted with the verdict. */
  bytes: number;
  record?: RecordWrite;
  /** A slot, and the seconds that are written for it. */
  kept?: { slot: number; seconds: number };
  reasons: Reasons;
}
