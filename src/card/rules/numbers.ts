// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Rules about arithmetic, and about instructions that the card does not have. */
import type { Instruction } from '../read/instructions.js';
import type { Said } from './rules.js';
import { found, remark } from './rules.js';
import type { State } from '../follow/state.js';
import { operandOf, registerOf } from '../follow/state.js';
import type { Value } from '../follow/values.js';
import { MOST_32, constantOf, rangeOf } from '../follow/values.js';

export function judgeNumbers(instruction: Instruction, state: State): Said[] {
  const { action, immediate, destination } = instruction;
  if (action.does === 'other' || action.does === 'store constant') {
    const code = `0x${instruction.code.toString(16).padStart(2, '0')}`;
    return found('instruction', `the card has no instruction ${code}`);
  }
  if (action.does !== 'calculate') return [];
  const { operation, bits, withRegister } = action;
  const left = registerOf(state, destination);
  const right = operandOf(state, instruction, withRegister);
  // A negative constant is a number above 2^63 to an operation of 64 bits.
  const isNegative = !withRegister && immediate < 0;
  switch (operation) {
    case 'modulo':
      return found('modulo', 'takes a remainder');
    case 'multiply':
      if (bits === 64 && isNegative) {
        return found(
          'multiply',
          `multiplies 64 bits by ${immediate}, whose sign makes them wider than 32`,
        );
      }
      return wide('multiply', 'multiplies', withRegister ? [left, right] : [left]);
    case 'divide':
      if (withRegister && constantOf(rangeOf(right)) === undefined) {
        return found('divide', 'divides by a variable');
      }
      if (isNegative) return found('divide', `divides by ${immediate}`);
      return wide('divide', 'divides', withRegister ? [left, right] : [left]);
    case 'byte order':
      // On a little-endian host this changes nothing, but it still is an instruction.
      return withRegister
        ? []
        : found('instruction', 'the card cannot convert to little-endian');
    default:
      return [];
  }
}

function wide(
  rule: 'multiply' | 'divide',
  verb: string,
  operands: readonly Value[],
): Said[] {
  const unclear = operands.some(({ kind }) => kind === 'unclear');
  if (operands.every((operand) => rangeOf(operand).most <= MOST_32)) return [];
  return unclear
    ? remark(rule, `${verb} a value that may not be below 2^32`)
    : found(rule, `${verb} a value that is not known to be below 2^32`);
}
