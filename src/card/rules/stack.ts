// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The rule about the stack that a program and the functions it calls need. */
import type { Followed } from '../follow/follow.js';
import type { Reached } from '../follow/reached.js';
import { reachedIn } from '../follow/reached.js';
import type { Finding } from './rules.js';
import { remark } from './rules.js';
import { accessOf } from './memory.js';
import { ARGUMENT_REGISTERS, registerOf } from '../follow/state.js';
import { largest } from '../../text/lists.js';

/** The kernel's limit for every program. Only the card knows its firmware's limit. */
const MOST_STACK = 512;
const STACK_UNIT = 64;

export function judgeStack(bytes: number): Finding[] {
  if (bytes <= MOST_STACK) return [];
  const what = `needs ${bytes} bytes of stack, in units of ${STACK_UNIT} for each function; the usual limit is ${MOST_STACK}, but only the card's firmware decides`;
  return remark('stack-size', what).map((said) => ({ ...said, place: undefined }));
}

/** A call stores the return address; a callee that uses registers 6 to 9 saves them. */
const RETURN_ADDRESS = 4;
const SAVED_REGISTERS = 32;

/** Returns the stack of the program that needs most, with the functions it calls. */
export function stackOf(all: readonly Followed[]): number {
  const depths = new Map(all.map((one) => [one.function.name, one]));
  const depth = (name: string, isCalled: boolean): number => {
    const followed = depths.get(name);
    if (!followed) return 0;
    const reached = reachedIn(followed);
    const own = reached.reduce((most, one) => Math.max(most, deepest(one)), 0);
    const saves = reached.some(
      ({ instruction: { destination } }) => destination >= 6 && destination <= 9,
    );
    const call = isCalled ? RETURN_ADDRESS + (saves ? SAVED_REGISTERS : 0) : 0;
    const callees = new Set(
      reached
        .filter(({ instruction }) => instruction.action.does === 'call function')
        .map(({ instruction }) => instruction.callee),
    );
    const below = [...callees].map((callee) =>
      callee === undefined ? 0 : depth(callee, true),
    );
    return Math.ceil((own + call) / STACK_UNIT) * STACK_UNIT + largest([0, ...below]);
  };
  return largest([0, ...all.map((one) => depth(one.function.name, false))]);
}

function deepest({ instruction, state }: Reached): number {
  const access = accessOf(instruction, state);
  const isCall = instruction.action.does === 'call helper';
  const pointers = [
    ...(access ? [{ pointer: access.pointer, offset: instruction.offset }] : []),
    ...(isCall
      ? ARGUMENT_REGISTERS.map((number) => ({
          pointer: registerOf(state, number),
          offset: 0,
        }))
      : []),
  ];
  return pointers.reduce((most, { pointer, offset }) => {
    if (pointer.kind !== 'stack' || typeof pointer.offset !== 'number') return most;
    return Math.max(most, -(pointer.offset + offset));
  }, 0);
}
