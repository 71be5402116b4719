// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Registers and stack before an instruction, and how an instruction changes them. */
import { calculate } from './arithmetic.js';
import { LOOKUP, READING_HELPERS } from './helpers.js';
import type { Instruction } from '../read/instructions.js';
import { COMPARE_AND_EXCHANGE, FETCH } from '../read/instructions.js';
import { must } from '../../text/must.js';
import type { Value } from './values.js';
import { UNCLEAR, bytes, constant, join, widen } from './values.js';

export interface State {
  registers: readonly Value[];
  /** Spilled registers by offset, a negative multiple of 8. */
  stack: ReadonlyMap<number, Value>;
}

export const REGISTERS = 11;
export const FRAME_REGISTER = 10;
export const ARGUMENT_REGISTERS = [1, 2, 3, 4, 5];
const SLOT = 8;

/** Fields of struct xdp_md. */
const DATA = 0;
const DATA_END = 4;

export function entryState(called: readonly Value[]): State {
  const registers: Value[] = Array.from({ length: REGISTERS }, () => UNCLEAR);
  called.forEach((value, index) => (registers[index + 1] = value));
  registers[FRAME_REGISTER] = { kind: 'stack', offset: 0 };
  return { registers, stack: new Map() };
}

export function registerOf({ registers }: State, number: number): Value {
  return registers[number] ?? UNCLEAR;
}

/** Joins the states of two paths. Returns `one` itself if nothing has changed. */
export function joinStates(one: State, other: State, isLoop: boolean): State {
  const merge = (before: Value, now: Value): Value => {
    const joined = join(before, now);
    return isLoop ? widen(before, joined) : joined;
  };
  let isSame = true;
  const registers = one.registers.map((before, number) => {
    const now = merge(before, registerOf(other, number));
    isSame &&= now === before;
    return now;
  });
  const stack = new Map<number, Value>();
  for (const [slot, before] of one.stack) {
    const there = other.stack.get(slot);
    const now = there && merge(before, there);
    isSame &&= now === before;
    if (now) stack.set(slot, now);
  }
  return isSame ? one : { registers, stack };
}

/** Returns the state after an instruction that does not jump. */
export function step(state: State, instruction: Instruction): State {
  const { action, destination } = instruction;
  switch (action.does) {
    case 'calculate': {
      const { operation, bits, withRegister } = action;
      const result =
        operation === 'byte order'
          ? bytes(instruction.immediate / 8)
          : calculate(
              operation,
              bits,
              registerOf(state, destination),
              operandOf(state, instruction, withRegister),
            );
      return withRegisters(state, [[destination, result]]);
    }
    case 'load constant':
      return withRegisters(state, [[destination, constantIn(instruction)]]);
    case 'load':
      return withRegisters(state, [
        [destination, loaded(state, instruction, action.size)],
      ]);
    case 'store':
      return stored(
        state,
        instruction,
        action.size,
        registerOf(state, instruction.source),
      );
    case 'store constant':
      return stored(
        state,
        instruction,
        action.size,
        constant(BigInt(instruction.immediate)),
      );
    case 'atomic': {
      const after = stored(state, instruction, action.size, bytes(action.size));
      const { immediate, source } = instruction;
      if ((immediate & FETCH) === 0) return after;
      const old = immediate === COMPARE_AND_EXCHANGE ? 0 : source;
      return withRegisters(after, [[old, bytes(action.size)]]);
    }
    case 'call helper':
    case 'call function':
      return called(state, instruction);
    default:
      return state;
  }
}

export function operandOf(
  state: State,
  { source, immediate }: Instruction,
  withRegister: boolean,
): Value {
  return withRegister ? registerOf(state, source) : constant(BigInt(immediate));
}

function constantIn({ map, data, constant: value }: Instruction): Value {
  if (map !== undefined) return { kind: 'map', map };
  if (data !== undefined) return { kind: 'data', section: data };
  return constant(must(value, 'the constant of a load'));
}

function withRegisters(
  state: State,
  changes: readonly (readonly [number, Value])[],
): State {
  const registers = [...state.registers];
  for (const [number, value] of changes) registers[number] = value;
  return { ...state, registers };
}

function loaded(state: State, { source, offset }: Instruction, size: number): Value {
  const from = registerOf(state, source);
  if (from.kind === 'context' && offset === DATA) return { kind: 'packet' };
  if (from.kind === 'context' && offset === DATA_END) return { kind: 'packet end' };
  if (from.kind !== 'stack' || typeof from.offset !== 'number') {
    return from.kind === 'unclear' && size === SLOT ? UNCLEAR : bytes(size);
  }
  const at = from.offset + offset;
  if (size !== SLOT || at % SLOT !== 0) return bytes(size);
  return state.stack.get(at) ?? UNCLEAR;
}

function stored(
  state: State,
  { destination, offset }: Instruction,
  size: number,
  value: Value,
): State {
  const to = registerOf(state, destination);
  // This may write anywhere, so nothing on the stack is known any more.
  if (to.kind === 'unclear') return { ...state, stack: new Map() };
  if (to.kind !== 'stack') return state;
  if (typeof to.offset !== 'number') return { ...state, stack: new Map() };
  const at = to.offset + offset;
  const stack = new Map(state.stack);
  const first = Math.floor(at / SLOT) * SLOT;
  for (let slot = first; slot < at + size; slot += SLOT) stack.set(slot, bytes(SLOT));
  if (size === SLOT && at === first) stack.set(at, value);
  return { ...state, stack };
}

/** A call clears the argument registers, and may write to what they point to. */
function called(state: State, { action, immediate }: Instruction): State {
  const isLookup = action.does === 'call helper' && immediate === LOOKUP;
  const map = registerOf(state, 1);
  const result: Value =
    isLookup && map.kind === 'map'
      ? { kind: 'map value', map: map.map, offset: 0 }
      : action.does === 'call helper' && !isLookup
        ? bytes(SLOT)
        : UNCLEAR;
  const after = withRegisters(state, [
    [0, result],
    ...ARGUMENT_REGISTERS.map((number) => [number, UNCLEAR] as const),
  ]);
  const isStackGiven = ARGUMENT_REGISTERS.some(
    (number) => registerOf(state, number).kind === 'stack',
  );
  const onlyReads = action.does === 'call helper' && READING_HELPERS.has(immediate);
  return isStackGiven && !onlyReads ? { ...after, stack: new Map() } : after;
}
