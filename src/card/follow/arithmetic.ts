// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Works out what is known about a result from what is known about its operands. */
import type { Operation } from '../read/instructions.js';
import type { Range, Value } from './values.js';
import {
  MOST_32,
  MOST_64,
  UNCLEAR,
  constantOf,
  moveOffset,
  range,
  rangeOf,
} from './values.js';

export function calculate(
  operation: Operation,
  bits: 32 | 64,
  target: Value,
  operand: Value,
): Value {
  if (operation === 'move') return bits === 64 ? operand : truncate(rangeOf(operand));
  if (bits === 64 && (target.kind !== 'number' || operand.kind !== 'number')) {
    return calculateAddress(operation, target, operand);
  }
  const [left, right] = [rangeOf(target), rangeOf(operand)];
  if (bits === 64) return calculateNumber(operation, left, right, 64);
  return truncate(rangeOf(calculateNumber(operation, low(left), low(right), 32)));
}

/** Returns the range of the lower 32 bits. */
function low({ least, most, isKnown }: Range): Range {
  const value = constantOf({ least, most, isKnown });
  if (value !== undefined) return rangeOf(range(value & MOST_32, value & MOST_32));
  return most <= MOST_32
    ? { least, most, isKnown }
    : { least: 0n, most: MOST_32, isKnown };
}

function truncate(result: Range): Value {
  return { kind: 'number', ...low(result) };
}

function calculateAddress(operation: Operation, target: Value, operand: Value): Value {
  if (operation !== 'add' && operation !== 'subtract') {
    return calculateNumber(operation, rangeOf(target), rangeOf(operand), 64);
  }
  const isTarget = target.kind !== 'number';
  const pointer = isTarget ? target : operand;
  const step = isTarget ? operand : target;
  if (step.kind !== 'number') {
    // The distance of two pointers can be any number.
    return operation === 'subtract' ? range(0n, MOST_64) : UNCLEAR;
  }
  switch (pointer.kind) {
    case 'stack':
    case 'caller stack':
    case 'map value': {
      const sign = operation === 'add' ? 1 : -1;
      return { ...pointer, offset: moveOffset(pointer.offset, step, sign) };
    }
    case 'packet':
    case 'packet end':
    case 'data':
      return pointer;
    default:
      return UNCLEAR;
  }
}

function calculateNumber(
  operation: Operation,
  left: Range,
  right: Range,
  bits: 32 | 64,
): Value {
  const top = bits === 64 ? MOST_64 : MOST_32;
  const isKnown = left.isKnown && (right.isKnown || operation === 'negate');
  const any = range(0n, top, isKnown);
  const within = (least: bigint, most: bigint): Value =>
    least < 0n || most > top
      ? exact(any, least, most, bits)
      : range(least, most, isKnown);
  const amount = constantOf(right);
  const shift = amount === undefined ? undefined : amount % BigInt(bits);
  switch (operation) {
    case 'add':
      return within(left.least + right.least, left.most + right.most);
    case 'subtract':
      return within(left.least - right.most, left.most - right.least);
    case 'multiply':
      return within(left.least * right.least, left.most * right.most);
    case 'divide':
      if (amount === undefined || amount === 0n) return range(0n, left.most, isKnown);
      return range(left.least / amount, left.most / amount, isKnown);
    case 'modulo':
      // A remainder by zero leaves the dividend as it is.
      if (right.least === 0n || right.most > left.most)
        return range(0n, left.most, isKnown);
      return range(0n, right.most - 1n, isKnown);
    case 'and':
      if (constantOf(left) !== undefined && amount !== undefined) {
        return range(left.least & amount, left.least & amount);
      }
      return range(0n, left.most < right.most ? left.most : right.most, isKnown);
    case 'or':
    case 'xor':
      return either(operation, left, right, isKnown);
    case 'shift left':
      if (shift === undefined) return any;
      return within(left.least << shift, left.most << shift);
    case 'shift right':
      if (shift === undefined) return range(0n, left.most, isKnown);
      return range(left.least >> shift, left.most >> shift, isKnown);
    case 'shift right, signed':
      if (shift === undefined || left.most > top >> 1n) return any;
      return range(left.least >> shift, left.most >> shift, isKnown);
    case 'negate':
      return exact(any, -left.least, -left.most, bits);
    default:
      return any;
  }
}

/** Wraps a single value around. A range that wraps around becomes `any`. */
function exact(any: Value, least: bigint, most: bigint, bits: 32 | 64): Value {
  if (least !== most) return any;
  return range(BigInt.asUintN(bits, least), BigInt.asUintN(bits, least));
}

function either(
  operation: 'or' | 'xor',
  left: Range,
  right: Range,
  isKnown: boolean,
): Value {
  const [one, other] = [constantOf(left), constantOf(right)];
  if (one !== undefined && other !== undefined) {
    const value = operation === 'or' ? one | other : one ^ other;
    return range(value, value);
  }
  const largest = left.most > right.most ? left.most : right.most;
  return range(0n, (1n << BigInt(largest.toString(2).length)) - 1n, isKnown);
}
