// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Reads what etcd's gateway writes: JSON in which false, 0 and what is empty are left out,
 * numbers of 64 bits are text, and keys and values are base64. Pure.
 *
 * Only names that we know are looked up, so it does not matter which others there are.
 */

import { Failure } from '../../text/failure.js';

/** It is not what etcd answers. */
export class Strange extends Failure {
  constructor(what: string) {
    super(`etcd does not answer as it should: ${what}`);
  }
}

export type Fields = Partial<Record<string, unknown>>;

/** An object; nothing if it was left out. */
export function fields(value: unknown): Fields {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw new Strange('no object');
  return value;
}

export function list(value: unknown): Fields[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new Strange('no list');
  return value.map(fields);
}

/** A number of 64 bits: 0 if it was left out. Revisions never come near to 2^53. */
export function integer(value: unknown): number {
  if (value === undefined) return 0;
  const number = typeof value === 'string' && value !== '' ? Number(value) : value;
  if (Number.isSafeInteger(number)) return number as number;
  throw new Strange('no whole number');
}

export function flag(value: unknown): boolean {
  return value === true;
}

export function text(value: unknown): string {
  if (value === undefined) return '';
  if (typeof value === 'string') return value;
  throw new Strange('no text');
}

export function bytes(value: unknown): Buffer {
  return Buffer.from(text(value), 'base64');
}

export function base64(value: string): string {
  return Buffer.from(value).toString('base64');
}

/** Parses one document; throws Strange if it is none. */
export function parse(document: string): Fields {
  try {
    return fields(JSON.parse(document));
  } catch (error) {
    if (error instanceof SyntaxError) throw new Strange('no JSON');
    throw error;
  }
}
