// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads the types that map declarations use, from a BPF object's section .BTF. */
import type { Failure } from '../../text/failure.js';
import { notBpf, textAt } from './elf.js';

export interface Member {
  name: string;
  type: number;
}

export type Type =
  | { kind: 'sized'; name: string; size: number; members: Member[] }
  | { kind: 'pointer'; to: number }
  | { kind: 'array'; of: number; length: number }
  /** A typedef, const, volatile or another name for the same. */
  | { kind: 'alias'; to: number }
  | { kind: 'variable'; name: string; type: number }
  /** Variables of a section. */
  | { kind: 'section'; name: string; variables: number[] }
  | { kind: 'other' };

export interface Btf {
  types: Type[];
  text: (offset: number) => string;
}

const INTEGER = 1;
const POINTER = 2;
const ARRAY = 3;
const STRUCT = 4;
const UNION = 5;
const ENUM = 6;
const PROTOTYPE = 13;
const VARIABLE = 14;
const SECTION = 15;
const FLOAT = 16;
const DECLARATION_TAG = 17;
const ENUM64 = 19;
/** typedef, volatile, const, restrict, and a tag of a type. */
const ALIASES = new Set([8, 9, 10, 11, 18]);
const POINTER_SIZE = 8;

/** Returns no types if the object was compiled without -g. */
export function readBtf(data: Buffer | undefined): Btf {
  if (!data || data.length === 0) return { types: [], text: () => '' };
  const header = data.readUInt32LE(4);
  const start = header + data.readUInt32LE(8);
  const end = start + data.readUInt32LE(12);
  const strings = data.subarray(header + data.readUInt32LE(16));
  const text = (offset: number): string => textAt(strings, offset);
  // Types are numbered from 1; 0 is void.
  const types: Type[] = [{ kind: 'other' }];
  for (let at = start; at < end;) {
    const { type, size } = readType(data, at, text);
    types.push(type);
    at += size;
  }
  return { types, text };
}

/** Reads a type, and how many bytes its record has. */
function readType(
  data: Buffer,
  at: number,
  text: Btf['text'],
): { type: Type; size: number } {
  const word = (number: number): number => data.readUInt32LE(at + 4 * number);
  const name = text(word(0));
  const number = word(1) & 0xffff;
  const kind = (word(1) >>> 24) & 0x1f;
  const list = (words: number, member: number): number[] =>
    Array.from({ length: number }, (_, index) => word(3 + index * words + member));
  switch (kind) {
    case STRUCT:
    case UNION: {
      const members = list(3, 0).map((one, index) => ({
        name: text(one),
        type: word(4 + 3 * index),
      }));
      return {
        type: { kind: 'sized', name, size: word(2), members },
        size: 12 + 12 * number,
      };
    }
    case POINTER:
      return { type: { kind: 'pointer', to: word(2) }, size: 12 };
    case ARRAY:
      return { type: { kind: 'array', of: word(3), length: word(5) }, size: 24 };
    case VARIABLE:
      return { type: { kind: 'variable', name, type: word(2) }, size: 16 };
    case SECTION:
      return {
        type: { kind: 'section', name, variables: list(3, 0) },
        size: 12 + 12 * number,
      };
    default:
      return {
        type: ALIASES.has(kind)
          ? { kind: 'alias', to: word(2) }
          : [INTEGER, FLOAT, ENUM, ENUM64].includes(kind)
            ? { kind: 'sized', name, size: word(2), members: [] }
            : { kind: 'other' },
        size: 12 + restOf(kind, number),
      };
  }
}

function restOf(kind: number, number: number): number {
  if (kind === INTEGER || kind === DECLARATION_TAG) return 4;
  if (kind === ENUM || kind === PROTOTYPE) return 8 * number;
  return kind === ENUM64 ? 12 * number : 0;
}

/** Follows typedefs and qualifiers to the type behind them. */
export function resolve({ types }: Btf, id: number): Type {
  let next = id;
  // A chain that is longer than the list of types goes in a circle.
  for (let steps = 0; steps <= types.length; steps++) {
    const type = types[next];
    if (!type) throw notBpf('it is damaged: its BTF names a type that is not there');
    if (type.kind !== 'alias') return type;
    next = type.to;
  }
  throw isCircular();
}

/** Returns the bytes of a type. `depth` counts the arrays around it. */
export function sizeOf(btf: Btf, id: number, depth = 0): number {
  if (depth > btf.types.length) throw isCircular();
  const type = resolve(btf, id);
  switch (type.kind) {
    case 'sized':
      return type.size;
    case 'pointer':
      return POINTER_SIZE;
    case 'array':
      return type.length * sizeOf(btf, type.of, depth + 1);
    default:
      return 0;
  }
}

function isCircular(): Failure {
  return notBpf('it is damaged: a type of its BTF refers to itself');
}
