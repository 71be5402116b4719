// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Decodes BPF instructions: RFC 9669. */
import { must } from '../../text/must.js';
import type { SourceLine } from './btf-lines.js';

export const INSTRUCTION_SIZE = 8;

export type Operation =
  | 'add'
  | 'subtract'
  | 'multiply'
  | 'divide'
  | 'or'
  | 'and'
  | 'shift left'
  | 'shift right'
  | 'negate'
  | 'modulo'
  | 'xor'
  | 'move'
  | 'shift right, signed'
  | 'byte order';

/** The index is the upper four bits of the code. */
const OPERATIONS: readonly Operation[] = [
  'add',
  'subtract',
  'multiply',
  'divide',
  'or',
  'and',
  'shift left',
  'shift right',
  'negate',
  'modulo',
  'xor',
  'move',
  'shift right, signed',
  'byte order',
];

export type Comparison =
  | '=='
  | '>'
  | '>='
  | '&'
  | '!='
  | 'signed >'
  | 'signed >='
  | '<'
  | '<='
  | 'signed <'
  | 'signed <=';

const COMPARISONS: Record<number, Comparison> = {
  1: '==',
  2: '>',
  3: '>=',
  4: '&',
  5: '!=',
  6: 'signed >',
  7: 'signed >=',
  10: '<',
  11: '<=',
  12: 'signed <',
  13: 'signed <=',
};

export type Action =
  | { does: 'calculate'; operation: Operation; bits: 32 | 64; withRegister: boolean }
  | { does: 'load constant' }
  | { does: 'load' | 'store' | 'store constant' | 'atomic'; size: number }
  | { does: 'jump' }
  | { does: 'branch'; comparison: Comparison; bits: 32 | 64; withRegister: boolean }
  | { does: 'call helper' | 'call function' | 'exit' }
  /** An instruction that a SmartNIC does not know. */
  | { does: 'other' };

export interface Instruction {
  /** Its place in the function, in units of 8 bytes, as jumps count. */
  index: number;
  code: number;
  destination: number;
  source: number;
  offset: number;
  immediate: number;
  action: Action;
  /** For a load of a constant: all 64 bits. */
  constant?: bigint;
  /** For a load of an address: the name of the map, or the section of the variable. */
  map?: string | undefined;
  data?: string | undefined;
  /** The data is a variable of the kernel, not a section of the object. */
  isOutside?: boolean;
  /** For a call: the function's name. */
  callee?: string | undefined;
  line: SourceLine | undefined;
}

const CLASS_LOAD = 0;
const CLASS_LOAD_FROM = 1;
const CLASS_STORE_CONSTANT = 2;
const CLASS_STORE = 3;
const CLASS_CALCULATE_32 = 4;
const CLASS_JUMP = 5;
const CLASS_JUMP_32 = 6;
const CLASS_CALCULATE_64 = 7;

export const LOAD_CONSTANT = 0x18;
const MODE_MEMORY = 0x60;
const MODE_ATOMIC = 0xc0;
const SIZES: Record<number, number> = { 0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8 };
const JUMP = 0;
const CALL = 8;
const EXIT = 9;
/** The source register of a call to a function of the object itself. */
const OWN_FUNCTION = 1;

/** The immediate of an atomic instruction. FETCH is a flag: return the old value. */
export const ATOMIC_ADD = 0;
export const FETCH = 1;
export const COMPARE_AND_EXCHANGE = 0xf1;

export function actionOf(code: number, source: number, offset: number): Action {
  const kind = code & 7;
  const upper = code >> 4;
  const withRegister = (code & 8) !== 0;
  const size = must(SIZES[code & 0x18], 'a size for each value of these two bits');
  const mode = code & 0xe0;
  switch (kind) {
    case CLASS_LOAD:
      return { does: code === LOAD_CONSTANT ? 'load constant' : 'other' };
    case CLASS_LOAD_FROM:
      return mode === MODE_MEMORY ? { does: 'load', size } : { does: 'other' };
    case CLASS_STORE_CONSTANT:
      return mode === MODE_MEMORY ? { does: 'store constant', size } : { does: 'other' };
    case CLASS_STORE:
      if (mode === MODE_MEMORY) return { does: 'store', size };
      return mode === MODE_ATOMIC ? { does: 'atomic', size } : { does: 'other' };
    case CLASS_CALCULATE_32:
    case CLASS_CALCULATE_64: {
      const operation = OPERATIONS[upper];
      const bits = kind === CLASS_CALCULATE_64 ? 64 : 32;
      // A byte swap of 64 bits, signed moves and divisions came with -mcpu=v4.
      const isNew = offset !== 0 || (operation === 'byte order' && bits === 64);
      if (!operation || isNew) return { does: 'other' };
      return { does: 'calculate', operation, bits, withRegister };
    }
    default:
      return jumpOf(kind, upper, source, withRegister);
  }
}

function jumpOf(
  kind: number,
  upper: number,
  source: number,
  withRegister: boolean,
): Action {
  if (kind === CLASS_JUMP) {
    if (upper === JUMP) return { does: 'jump' };
    if (upper === EXIT) return { does: 'exit' };
    if (upper === CALL) {
      return { does: source === OWN_FUNCTION ? 'call function' : 'call helper' };
    }
  }
  const comparison = COMPARISONS[upper];
  if (!comparison) return { does: 'other' };
  const bits = kind === CLASS_JUMP_32 ? 32 : 64;
  return { does: 'branch', comparison, bits, withRegister };
}
