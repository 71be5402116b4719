// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The map `answers`: struct l4lb_answer_key, struct l4lb_sender_key, struct l4lb_answer. */

import { putU16, u16 } from './bytes.js';
import { versionOf } from '../wire/way.js';

/** What a destination sends its answers from: by link it is the service's. */
export interface AnswerKey {
  address: Buffer;
  /** 0 for any port. */
  port: number;
  protocol: number;
}

/** Another key: who it is that answers for a service by link. */
export interface SenderKey {
  mac: Buffer;
  /** The id of the service. */
  service: number;
}

/** What the program puts in its place. */
export interface AnswerFrom {
  /** The service's. */
  address: Buffer;
  /** 0 if the packet keeps its own. */
  port: number;
  /** Whether this is only for fragments, which have no ports; then both ports are 0. */
  isForFragments: boolean;
  /** Whether all destinations of the service answer so, and a SenderKey tells which of them. */
  isByLink: boolean;
  /** The id of the destination, under which the answer is counted; by link the service's. */
  id: number;
}

/** L4LB_ANSWERS: as many fit. */
export const ANSWERS = 1 << 14;
/** L4LB_ANSWER_FRAGMENTS. */
export const ANSWER_FRAGMENTS = 1;
/** L4LB_ANSWER_LINK. */
export const ANSWER_LINK = 2;

export const ANSWER_KEY_SIZE = 20;
export const ANSWER_SIZE = 24;
const PORT_AT = 16;
const PROTOCOL_AT = 18;
const VERSION_AT = 19;
const SERVICE_AT = 6;
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

/** Its version stays 0. */
export function encodeSenderKey({ mac, service }: SenderKey): Buffer {
  const buffer = Buffer.alloc(ANSWER_KEY_SIZE);
  mac.copy(buffer);
  putU16(buffer, service, SERVICE_AT);
  return buffer;
}

export function decodeAnswerKey(buffer: Buffer): AnswerKey | SenderKey {
  if (buffer.readUInt8(VERSION_AT) === 0) {
    const mac = Buffer.from(buffer.subarray(0, SERVICE_AT));
    return { mac, service: u16(buffer, SERVICE_AT) };
  }
  return {
    address: Buffer.from(buffer.subarray(0, PORT_AT)),
    port: buffer.readUInt16BE(PORT_AT),
    protocol: buffer.readUInt8(PROTOCOL_AT),
  };
}

export function encodeAnswer(answer: AnswerFrom): Buffer {
  const { address, port, isForFragments, isByLink, id } = answer;
  const buffer = Buffer.alloc(ANSWER_SIZE);
  address.copy(buffer);
  buffer.writeUInt16BE(port, PORT_AT);
  buffer.writeUInt8(
    (isForFragments ? ANSWER_FRAGMENTS : 0) | (isByLink ? ANSWER_LINK : 0),
    FLAGS_AT,
  );
  putU16(buffer, id, ID_AT);
  return buffer;
}

export function decodeAnswer(buffer: Buffer): AnswerFrom {
  return {
    address: Buffer.from(buffer.subarray(0, PORT_AT)),
    port: buffer.readUInt16BE(PORT_AT),
    isForFragments: (buffer.readUInt8(FLAGS_AT) & ANSWER_FRAGMENTS) !== 0,
    isByLink: (buffer.readUInt8(FLAGS_AT) & ANSWER_LINK) !== 0,
    id: u16(buffer, ID_AT),
  };
}
