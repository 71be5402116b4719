// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Hashes both ends of a connection with a key that only the program knows. */
import { isIpv4 } from './bytes.js';
import type { Connection } from './parse.js';

export type Ends = Pick<Connection, 'source' | 'address' | 'protocol' | 'ports'>;

const WORD = 2n ** 64n;
const ODD_WORD = 0x9e3779b97f4a7c15n;
const KEY_OF_SOURCE = 0xbf58476d1ce4e5b9n;
const KEY_OF_ADDRESS = 0x94d049bb133111ebn;

/** Returns both ports as they lie on the wire, read as one little-endian word. */
export function portsWord({ ports }: Pick<Ends, 'ports'>): number {
  if (!ports) return 0;
  const wire = Buffer.alloc(4);
  wire.writeUInt16BE(ports.source, 0);
  wire.writeUInt16BE(ports.destination, 2);
  return wire.readUInt32LE();
}

/** Returns 64 bits. Each pair of words is multiplied by what only the key tells. */
export function hashOfEnds(secret: bigint, ends: Ends): bigint {
  const { source, address, protocol } = ends;
  const multiply = (key: bigint, first: number, second: number): bigint => {
    const swapped = ((key >> 32n) | (key << 32n)) % WORD;
    return (key + BigInt(first)) * (swapped + BigInt(second));
  };
  const sumOf = (key: bigint, bytes: Buffer): bigint => {
    const word = (index: number): number => bytes.readUInt32LE(index * 4);
    if (isIpv4(bytes)) return multiply(key, 0, word(0));
    const next = (key * ODD_WORD) % WORD;
    return multiply(key, word(0), word(1)) + multiply(next, word(2), word(3));
  };
  const way = (protocol << 16) | ((isIpv4(address) ? 4 : 6) << 24);
  const sum =
    (multiply(secret, portsWord(ends), way) +
      sumOf((secret * KEY_OF_SOURCE) % WORD, source) +
      sumOf((secret * KEY_OF_ADDRESS) % WORD, address)) %
    WORD;
  return ((sum ^ (sum >> 32n)) * ODD_WORD) % WORD;
}
