// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Works out what a branch says about the registers that it compares. */
import type { Comparison, Instruction } from '../read/instructions.js';
import type { State } from './state.js';
import { operandOf, registerOf } from './state.js';
import type { Range, Value } from './values.js';
import { MOST_32, MOST_64, constantOf, range } from './values.js';

export interface Ways {
  /** Undefined if the program never takes this way; `next` likewise. */
  taken: State | undefined;
  next: State | undefined;
}

const OPPOSITE: Record<Comparison, Comparison | undefined> = {
  '==': '!=',
  '!=': '==',
  '>': '<=',
  '<=': '>',
  '<': '>=',
  '>=': '<',
  'signed >': 'signed <=',
  'signed <=': 'signed >',
  'signed <': 'signed >=',
  'signed >=': 'signed <',
  '&': undefined,
};

export function branch(state: State, instruction: Instruction): Ways {
  const { action } = instruction;
  if (action.does !== 'branch') return { taken: state, next: state };
  const { comparison, bits, withRegister } = action;
  const left = registerOf(state, instruction.destination);
  const right = operandOf(state, instruction, withRegister);
  if (left.kind !== 'number' || right.kind !== 'number') {
    return { taken: state, next: state };
  }
  const follow = (how: Comparison | undefined): State | undefined => {
    const known = how && compare(how, left, right, bits);
    if (known === undefined) return state;
    if (known === 'never') return undefined;
    const registers = [...state.registers];
    registers[instruction.destination] = known.left;
    if (withRegister) registers[instruction.source] = known.right;
    return { ...state, registers };
  };
  return { taken: follow(comparison), next: follow(OPPOSITE[comparison]) };
}

type Known = { left: Value; right: Value } | 'never' | undefined;

/** Signed comparisons equal unsigned ones as long as no number can be negative. */
function compare(how: Comparison, left: Range, right: Range, bits: 32 | 64): Known {
  const isSigned = how.startsWith('signed ');
  const top = (bits === 64 ? MOST_64 : MOST_32) >> (isSigned ? 1n : 0n);
  const isWithin = left.most <= top && right.most <= top;
  switch (isSigned ? how.slice('signed '.length) : how) {
    case '==':
      return isWithin ? equal(left, right) : undefined;
    case '!=':
      return isWithin ? unequal(left, right) : undefined;
    case '>':
      return isWithin ? swap(below(right, left, 1n)) : undefined;
    case '>=':
      return isWithin ? swap(below(right, left, 0n)) : undefined;
    case '<':
      return isWithin ? below(left, right, 1n) : undefined;
    case '<=':
      return isWithin ? below(left, right, 0n) : undefined;
    default:
      return undefined;
  }
}

function swap(known: Known): Known {
  return typeof known === 'object' ? { left: known.right, right: known.left } : known;
}

function equal(left: Range, right: Range): Known {
  const least = left.least > right.least ? left.least : right.least;
  const most = left.most < right.most ? left.most : right.most;
  if (least > most) return 'never';
  const both = range(least, most, left.isKnown || right.isKnown);
  return { left: both, right: both };
}

function unequal(left: Range, right: Range): Known {
  const [one, other] = [constantOf(left), constantOf(right)];
  if (one !== undefined && one === other) return 'never';
  return { left: without(left, other), right: without(right, one) };
}

function without({ least, most, isKnown }: Range, value: bigint | undefined): Value {
  if (least === value) return range(least + 1n, most, isKnown);
  if (most === value) return range(least, most - 1n, isKnown);
  return { kind: 'number', least, most, isKnown };
}

/** Narrows both ranges, given that `smaller` is at least `by` below `larger`. */
function below(smaller: Range, larger: Range, by: bigint): Known {
  const most = larger.most - by < smaller.most ? larger.most - by : smaller.most;
  const least = smaller.least + by > larger.least ? smaller.least + by : larger.least;
  if (most < smaller.least || least > larger.most) return 'never';
  return {
    left: range(smaller.least, most, smaller.isKnown),
    right: range(least, larger.most, larger.isKnown),
  };
}
