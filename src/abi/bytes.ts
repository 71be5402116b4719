// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Words in a map's value. Integers are in the order of the host, which runs program and
 * tools alike; addresses and ports are in network order.
 */
import { endianness } from 'node:os';

export const LITTLE = endianness() === 'LE';

export function u16(buffer: Buffer, at: number): number {
  return LITTLE ? buffer.readUInt16LE(at) : buffer.readUInt16BE(at);
}

export function u32(buffer: Buffer, at: number): number {
  return LITTLE ? buffer.readUInt32LE(at) : buffer.readUInt32BE(at);
}

export function u64(buffer: Buffer, at: number): bigint {
  return LITTLE ? buffer.readBigUInt64LE(at) : buffer.readBigUInt64BE(at);
}

export function putU16(buffer: Buffer, value: number, at: number): void {
  if (LITTLE) buffer.writeUInt16LE(value, at);
  else buffer.writeUInt16BE(value, at);
}

export function putU32(buffer: Buffer, value: number, at: number): void {
  if (LITTLE) buffer.writeUInt32LE(value, at);
  else buffer.writeUInt32BE(value, at);
}

export function putU64(buffer: Buffer, value: bigint, at: number): void {
  if (LITTLE) buffer.writeBigUInt64LE(value, at);
  else buffer.writeBigUInt64BE(value, at);
}

/** Several words of 4 bytes, as a struct holds them. */
export function encodeWords(words: readonly number[]): Buffer {
  return Buffer.from(Uint32Array.from(words).buffer);
}

export function decodeWords(buffer: Buffer): number[] {
  return Array.from({ length: buffer.length / 4 }, (_, index) => u32(buffer, 4 * index));
}

/**
 * Every map is an array, so its keys are numbers of four bytes. There may be a million
 * keys, and a buffer from node's pool takes a fraction of the time.
 */
export function encodeKey(key: number): Buffer {
  const buffer = Buffer.allocUnsafe(4);
  putU32(buffer, key, 0);
  return buffer;
}

export function decodeKey(buffer: Buffer): number {
  return u32(buffer, 0);
}
