// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What is claimed of a register holds for whatever can be in it: tried at random. */
import { describe, expect, test } from '@jest/globals';

import { calculate } from '../../../../src/card/follow/arithmetic.js';
import { branch } from '../../../../src/card/follow/branches.js';
import type {
  Comparison,
  Instruction,
  Operation,
} from '../../../../src/card/read/instructions.js';
import { entryState, registerOf } from '../../../../src/card/follow/state.js';
import type { Range, Value } from '../../../../src/card/follow/values.js';
import {
  constant,
  join,
  moveOffset,
  range,
  rangeOf,
} from '../../../../src/card/follow/values.js';
import { Random } from '../../../fuzz/random.js';

const TIMES = 400;

type Bits = 32 | 64;
type Calculation = (a: bigint, b: bigint, bits: Bits) => bigint;

/** As RFC 9669 has them; operands and result are cut to so many bits. */
const CALCULATIONS: Partial<Record<Operation, Calculation>> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => (b === 0n ? 0n : a / b),
  modulo: (a, b) => (b === 0n ? a : a % b),
  or: (a, b) => a | b,
  and: (a, b) => a & b,
  xor: (a, b) => a ^ b,
  move: (_, b) => b,
  negate: (a) => -a,
  'shift left': (a, b, bits) => a << (b % BigInt(bits)),
  'shift right': (a, b, bits) => a >> (b % BigInt(bits)),
  'shift right, signed': (a, b, bits) => BigInt.asIntN(bits, a) >> (b % BigInt(bits)),
};

const COMPARISONS: Record<Exclude<Comparison, '&'>, (a: bigint, b: bigint) => boolean> = {
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  'signed >': (a, b) => a > b,
  'signed >=': (a, b) => a >= b,
  'signed <': (a, b) => a < b,
  'signed <=': (a, b) => a <= b,
};

/** A number of any length, often a short one. */
function number(random: Random): bigint {
  const bits = BigInt(random.below(65));
  const word = (BigInt(random.below(2 ** 32)) << 32n) | BigInt(random.below(2 ** 32));
  return word & ((1n << bits) - 1n);
}

/** A range, and a number in it; one in three is a constant. */
function some(random: Random): { value: Value & Range; within: bigint } {
  const within = number(random);
  if (random.below(3) === 0) {
    return { value: { kind: 'number', ...rangeOf(constant(within)) }, within };
  }
  const [one, other] = [number(random), number(random)];
  const least = [one, other, within].reduce((a, b) => (a < b ? a : b));
  const most = [one, other, within].reduce((a, b) => (a > b ? a : b));
  return { value: { kind: 'number', least, most, isKnown: false }, within };
}

function holds(value: Value, within: bigint): boolean {
  const { least, most } = rangeOf(value);
  return least <= within && within <= most;
}

describe.each([32, 64] as const)('of %d bits', (bits) => {
  test.each(Object.entries(CALCULATIONS))('%s', (operation, exact) => {
    const random = new Random(bits);
    for (let time = 0; time < TIMES; time++) {
      const [left, right] = [some(random), some(random)];
      const cut = (value: bigint): bigint => BigInt.asUintN(bits, value);
      const wanted = cut(exact(cut(left.within), cut(right.within), bits));
      const result = calculate(operation as Operation, bits, left.value, right.value);
      expect({ left, right, result, isHeld: holds(result, wanted) }).toMatchObject({
        isHeld: true,
      });
    }
  });

  test.each(Object.entries(COMPARISONS))('a branch by %s', (name, exact) => {
    const random = new Random(bits);
    for (let time = 0; time < TIMES; time++) {
      const [left, right] = [some(random), some(random)];
      const seen = (value: bigint): bigint =>
        name.startsWith('signed')
          ? BigInt.asIntN(bits, value)
          : BigInt.asUintN(bits, value);
      const isTaken = exact(seen(left.within), seen(right.within));
      const ways = branch(entryState([left.value, right.value]), {
        ...BRANCH,
        action: {
          does: 'branch',
          comparison: name as Comparison,
          bits,
          withRegister: true,
        },
      });
      const after = isTaken ? ways.taken : ways.next;
      const isHeld =
        after !== undefined &&
        holds(registerOf(after, 1), left.within) &&
        holds(registerOf(after, 2), right.within);
      expect({ left, right, isTaken, isHeld }).toMatchObject({ isHeld: true });
    }
  });
});

const BRANCH: Instruction = {
  index: 0,
  code: 0,
  destination: 1,
  source: 2,
  offset: 1,
  immediate: 0,
  action: { does: 'other' },
  line: undefined,
};

test('where ways meet, either value is held', () => {
  const random = new Random(1);
  for (let time = 0; time < TIMES; time++) {
    const [one, other] = [some(random), some(random)];
    const joined = join(one.value, other.value);
    expect([holds(joined, one.within), holds(joined, other.within)]).toEqual([
      true,
      true,
    ]);
  }
});

describe('where ways meet', () => {
  const stack = (offset: number): Value => ({ kind: 'stack', offset });
  test.each<[string, Value, Value, unknown]>([
    ['the same', stack(-8), stack(-8), { kind: 'stack', offset: -8 }],
    ['a whole word apart', stack(-8), stack(-16), { offset: 'several, aligned' }],
    ['a byte apart', stack(-8), stack(-7), { offset: 'several' }],
    ['a pointer or zero', { kind: 'packet' }, constant(0n), { kind: 'packet' }],
    ['zero or a pointer', constant(0n), { kind: 'packet' }, { kind: 'packet' }],
    ['two kinds', { kind: 'packet' }, stack(-8), { kind: 'unclear' }],
    [
      'values of two maps',
      { kind: 'map value', map: 'one', offset: 0 },
      { kind: 'map value', map: 'other', offset: 0 },
      { kind: 'unclear' },
    ],
  ])('%s', (_, one, other, joined) => {
    expect(join(one, other)).toMatchObject(joined as object);
  });
});

test.each([
  { by: constant(4n), offset: -12 },
  { by: constant(-4n), offset: -20 },
  { by: range(0n, 7n), offset: 'variable' },
  { by: range(0n, 7n, true), offset: 'one of some' },
])('a pointer to -16 that is moved by $by points to $offset', ({ by, offset }) => {
  expect(moveOffset(-16, rangeOf(by), 1)).toBe(offset);
});
