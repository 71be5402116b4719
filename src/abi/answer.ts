// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The map `answers`: struct l4lb_answer_key and struct l4lb_answer. */

import { putU16, u16 } from './bytes.js';
import { versionOf } from '../wire/way.js';

/** What a nat destination sends its answers from. */
export interface AnswerKey {
  address: Buffer;
  /** 0 for any port. */
  port: number;
  protocol: number;
}

/** What the program puts in its place. */
export interface AnswerFrom {
  /** The service's. */
  address: Buffer;
  /** 0 if the packet keeps its own. */
  port: number;
  /** Whether this is only for fragments, which have no ports; then both ports are 0. */
  isForFragments: boolean;
  /** The id of the destination, under which the answer is counted. */
  id: number;
}

/** L4LB_ANSWERS: as many fit. */
export const ANSWERS = 1 << 14;
/** L4LB_ANSWER_FRAGMENTS. */
export const ANSWER_FRAGMENTS = 1;

export const ANSWER_KEY_SIZE = 20;
export const ANSWER_SIZE = 24;
const PORT_AT = 16;
const PROTOCOL_AT = 18;
const VERSION_AT = 19;
const FLAGS_AT = 18;
const ID_AT = 22;

export function encodeAnswerKey({ address, port, protocol }: AnswerKey): Buffer {
  const buffer = Buffer.alloc(ANSWER_KEY_SIZE);
  address.copy(buffer);
  buffer.writeUInt16BE(port, PORT_AT);
  buffer.writeUInt8(protocol, PROTOCOL_AT);
  buffer.writeUInt8(versionOf(address), VERSION_AT);
  return buffer;
}

export function decodeAnswerKey(buffer: Buffer): AnswerKey {
  return {
    address: Buffer.from(buffer.subarray(0, PORT_AT)),
    port: buffer.readUInt16BE(PORT_AT),
    protocol: buffer.readUInt8(PROTOCOL_AT),
  };
}

export function encodeAnswer({ address, port, isForFragments, id }: AnswerFrom): Buffer {
  const buffer = Buffer.alloc(ANSWER_SIZE);
  address.copy(buffer);
  buffer.writeUInt16BE(port, PORT_AT);
  buffer.writeUInt8(isForFragments ? ANSWER_FRAGMENTS : 0, FLAGS_AT);
  putU16(buffer, id, ID_AT);
  return buffer;
}

export function decodeAnswer(buffer: Buffer): AnswerFrom {
  return {
    address: Buffer.from(buffer.subarray(0, PORT_AT)),
    port: buffer.readUInt16BE(PORT_AT),
    isForFragments: (buffer.readUInt8(FLAGS_AT) & ANSWER_FRAGMENTS) !== 0,
    id: u16(buffer, ID_AT),
  };
}
