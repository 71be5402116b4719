// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** struct l4lb_record: a connection that began in a hot slot. */
import { u16, u32, u64 } from './bytes.js';

/** The unit, in seconds, in which records note when they were seen. */
export const SEEN_SECONDS = 4;

/** One record of `flows`, of a connection that began in a hot slot. */
export interface FlowRecord {
  /** 0: empty. Without the bits that are named below. */
  signature: number;
  destination: number;
  /** A packet came after the SYN. */
  established: boolean;
  /** And another one after that. */
  lasting: boolean;
  /** A FIN or RST came after that. */
  ended: boolean;
  /** In units of 4 seconds, 16 bits. */
  seen: number;
}

const RECORD_SIZE = 8;
/** L4LB_RECORDS: as many are in a set. */
export const RECORDS = 8;
export const ESTABLISHED = 0x40000000;
export const LASTING = 0x20000000;
const ENDED = 0x8000;

/** The value of `secret`: the key of the hash that finds records. */
export function decodeSecret(value: Buffer): bigint {
  return u64(value, 0);
}

/** The records of one set. */
export function decodeRecords(set: Buffer): FlowRecord[] {
  return Array.from({ length: set.length / RECORD_SIZE }, (_, place) => {
    const at = place * RECORD_SIZE;
    const signature = u32(set, at);
    const destination = u16(set, at + 4);
    const established = (signature & ESTABLISHED) !== 0;
    return {
      // In a record that is not established the other bit says nothing.
      signature: (signature & ~(ESTABLISHED | LASTING)) >>> 0,
      destination: destination & ~ENDED,
      established,
      lasting: established && (signature & LASTING) !== 0,
      ended: (destination & ENDED) !== 0,
      seen: u16(set, at + 6),
    };
  });
}
