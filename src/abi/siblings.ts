// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The structs of programs/decap.h about siblings: the maps `siblings` and `pairs`. */
import { decodeWords, encodeWords, putU16, putU64, u16, u64 } from './bytes.js';
import { at } from '../text/must.js';

export interface SiblingKey {
  number: number;
  version: 4 | 6;
}

export interface Sibling {
  /** 16 bytes. */
  address: Buffer;
  mac: Buffer;
  /** In `pairs`; 0: it is this host, under another address. */
  pair: number;
}

/** Packets and when the last of them came, in seconds of CLOCK_MONOTONIC. */
export interface PairEvents {
  packets: bigint;
  last: bigint;
}

/** What this host and one sibling had to do with each other. */
export interface Pair {
  /** When the tool made the sibling known, in seconds of CLOCK_MONOTONIC. */
  since: bigint;
  found: PairEvents;
  sent: PairEvents & { bytes: bigint };
  named: PairEvents;
}

/** DECAP_SIBLINGS: entries of `siblings` and of `pairs`. */
export const MOST_SIBLINGS = 4096;

export function encodeSiblingKey({ number, version }: SiblingKey): Buffer {
  return encodeWords([number, version]);
}

export function decodeSiblingKey(key: Buffer): SiblingKey {
  const words = decodeWords(key);
  return { number: at(words, 0), version: at(words, 1) === 6 ? 6 : 4 };
}

export function encodeSibling({ address, mac, pair }: Sibling): Buffer {
  const index = Buffer.alloc(2);
  putU16(index, pair, 0);
  return Buffer.concat([address, mac, index]);
}

export function decodeSibling(value: Buffer): Sibling {
  return {
    address: Buffer.from(value.subarray(0, 16)),
    mac: Buffer.from(value.subarray(16, 22)),
    pair: u16(value, 22),
  };
}

export function encodePair({ since, found, sent, named }: Pair): Buffer {
  const words = [
    since,
    ...[found.packets, found.last],
    ...[sent.packets, sent.bytes, sent.last],
    ...[named.packets, named.last],
  ];
  const value = Buffer.alloc(8 * words.length);
  words.forEach((word, index) => putU64(value, word, 8 * index));
  return value;
}

function decodePair(value: Buffer): Pair {
  const word = (index: number): bigint => u64(value, 8 * index);
  return {
    since: word(0),
    found: { packets: word(1), last: word(2) },
    sent: { packets: word(3), bytes: word(4), last: word(5) },
    named: { packets: word(6), last: word(7) },
  };
}

const NEVER: PairEvents = { packets: 0n, last: 0n };
export const EMPTY_PAIR: Pair = {
  since: 0n,
  found: NEVER,
  sent: { ...NEVER, bytes: 0n },
  named: NEVER,
};

/** The sum over the CPUs, and the last time on any of them. */
export function sumPairs(values: readonly Buffer[]): Pair {
  return values.map(decodePair).reduce(
    (one, other) => ({
      since: one.since > other.since ? one.since : other.since,
      found: addEvents(one.found, other.found),
      sent: {
        ...addEvents(one.sent, other.sent),
        bytes: one.sent.bytes + other.sent.bytes,
      },
      named: addEvents(one.named, other.named),
    }),
    EMPTY_PAIR,
  );
}

function addEvents(one: PairEvents, other: PairEvents): PairEvents {
  return {
    packets: one.packets + other.packets,
    last: one.last > other.last ? one.last : other.last,
  };
}
