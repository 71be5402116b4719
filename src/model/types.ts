// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The model is a second opinion on what the program does with a frame. It follows the
 * RFCs and the meaning of the tables, not the program's code. The fuzzer and l4lb-explain
 * compare the two. The model prefers plain code to fast code.
 *
 * This file declares what goes into the model and what comes out. A packet's addresses
 * have 4 or 16 bytes, as on the wire; a table's addresses always have 16.
 */
import type { Build } from '../abi/maps.js';
import type { AnswerFrom, AnswerKey, SenderKey } from '../abi/answer.js';
import type { Pool } from '../abi/pool.js';
import type { Claim, Port } from '../abi/port.js';
import type { FlowRecord } from '../abi/record.js';
import type { Destination } from '../abi/destination.js';
import type { Exit } from '../abi/exit.js';
import type { Slot } from '../abi/slot.js';
import type { Cell } from '../abi/cell.js';
import type { Device } from '../abi/device.js';
import type { Action, VerdictName } from '../abi/verdicts.js';

/** The fields that the model reads; the other fields only make the program fast. */
export type ModelDevice = Pick<
  Device,
  'slotSeed' | 'mac' | 'sessionPort' | 'log2Sets' | 'flags' | 'names'
>;
export type ModelCell = Pick<
  Cell,
  'address' | 'port' | 'protocol' | 'firstSlot' | 'service' | 'log2Slots' | 'flags'
>;
export type ModelDestination = Pick<
  Destination,
  | 'address'
  | 'mac'
  | 'service'
  | 'weight'
  | 'isForgotten'
  | 'source'
  | 'spread'
  | 'largestPacket'
  | 'forward'
  | 'port'
  | 'exit'
  | 'block'
>;

/** A device that packets leave by, if it is not the one that they came in on. */
export type ModelExit = Pick<Exit, 'mac' | 'vlan'> & { isThere: boolean };

/** What a destination sends its answers from, and what nat puts back in its place. */
export interface ModelAnswer {
  key: AnswerKey;
  value: AnswerFrom;
}

/** The destination of a service by link that has a MAC address. */
export interface ModelSender {
  key: SenderKey;
  id: number;
}

export interface Tables {
  build: Build;
  device: ModelDevice;
  /** Ways and notes, in any order: only the program cares where they lie. */
  cells: readonly ModelCell[];
  /** A slot that is missing here is empty. */
  slots: Pick<ReadonlyMap<number, Slot>, 'get'> & Iterable<[number, Slot]>;
  /** The key of the hash that finds records; 0 before there are any. */
  secret: bigint;
  /** By number; undefined in a build that cannot send by another device. */
  exits?: ReadonlyMap<number, ModelExit> | undefined;
  /** In any order; undefined in a build without nat. */
  answers?: readonly ModelAnswer[] | undefined;
  /** In any order; undefined in a build that does not know answers of services by link. */
  senders?: readonly ModelSender[] | undefined;
  /** The addresses that full-nat sends from; undefined in a build without it. */
  pools?: readonly Pool[] | undefined;
  /** How many sets `claims` has: ports beyond are nobody's. */
  claimSets?: number | undefined;
  /** All entries of the table: an id that is missing here lies beyond its end. */
  destinations: ReadonlyMap<number, ModelDestination>;
}

/** What the program writes and reads again, the time, and its limits. */
export interface ProgramState {
  /** Records by set; a set that is missing here is empty. */
  flows: ReadonlyMap<number, readonly FlowRecord[]>;
  /** Who has full-nat's ports, by set; in one that is missing here all are free. */
  claims?: ReadonlyMap<number, readonly Claim[]>;
  /** By number: the connection that has a port. */
  ports?: ReadonlyMap<number, Port>;
  /** Nanoseconds of CLOCK_MONOTONIC. */
  now: bigint;
  /** Whether the limit allows another answer to a packet that is too big. */
  mayTell: boolean;
  /** Whether the limit allows another record of a connection that begins. */
  mayRecord: boolean;
  /** Whether the limit allows another answer to an echo request. */
  mayEcho: boolean;
}

export interface RecordWrite {
  set: number;
  place: number;
  record: FlowRecord;
}

/** What is written of a port of full-nat. */
export interface PortWrite {
  number: number;
  claim?: Claim;
  port?: Port;
}

/** The port of full-nat that a packet has, or that it is an answer to. */
export interface PortReason {
  number: number;
  /** Ours. */
  address: Buffer;
  port: number;
  why: string;
  /** Of the connection: both ends as its client sees them. */
  of: Pick<Port, 'client' | 'clientPort' | 'address' | 'servicePort' | 'protocol'>;
  /** What its claim says now. */
  claim: Claim;
}

/** Why the model gave its answer, for people. Steps that it did not reach are absent. */
export interface Reasons {
  cell?: ModelCell;
  hash?: number;
  slotNumber?: number;
  slot?: Slot;
  /** Why a hot slot's packet goes to this destination. */
  hot?: string;
  destination?: ModelDestination;
  /** By full-nat. */
  port?: PortReason;
  /** Why full-nat has no port for it. */
  noPort?: string;
  /** The service by link whose address it comes from, if none of its destinations sent it. */
  noSender?: number;
}

export interface Answer {
  verdict: VerdictName;
  action: Action;
  frame: Buffer;
  /** The destination that the packet is counted for, if it reaches one. */
  id?: number;
  /** The number of bytes that is counted under the verdict. */
  bytes: number;
  records?: RecordWrite[];
  /** What is written to `claims` and `ports`. */
  ports?: PortWrite[];
  /** The destination whose answer it is, in `returned`. */
  returned?: number;
  /** What is written to `kept`: the slot and the time in seconds. */
  kept?: { slot: number; seconds: number };
  reasons: Reasons;
}
