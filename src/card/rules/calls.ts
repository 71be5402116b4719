// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Rules about calls to the kernel's helpers. */
import {
  ADJUST_HEAD,
  CARD_HELPERS,
  DELETE,
  EVENT_OUTPUT,
  LOOKUP,
  TAIL_CALL,
  UPDATE,
  nameOfHelper,
} from '../follow/helpers.js';
import type { Instruction } from '../read/instructions.js';
import type { Said } from './rules.js';
import { found, remark } from './rules.js';
import type { State } from '../follow/state.js';
import { registerOf } from '../follow/state.js';
import { constantOf, rangeOf } from '../follow/values.js';

/** A flag of bpf_perf_event_output: the CPU that runs the program. */
const CURRENT_CPU = 0xffff_ffffn;

/** By helper: the registers that must point to the stack. */
const ON_STACK: Record<number, { register: number; what: string }[]> = {
  [LOOKUP]: [{ register: 2, what: 'the key' }],
  [DELETE]: [{ register: 2, what: 'the key' }],
  [UPDATE]: [
    { register: 2, what: 'the key' },
    { register: 3, what: 'the value' },
  ],
};

export function judgeCalls(instruction: Instruction, state: State): Said[] {
  if (instruction.action.does === 'call function') {
    const { callee } = instruction;
    return callee === undefined
      ? remark('helper', 'calls a function that could not be found')
      : [];
  }
  if (instruction.action.does !== 'call helper') return [];
  if (instruction.callee !== undefined) {
    return found('helper', `calls ${instruction.callee}(), a function of the kernel`);
  }
  const number = instruction.immediate;
  if (number === TAIL_CALL) return found('tail-call', 'calls another program');
  if (!CARD_HELPERS.has(number)) {
    return found(
      'helper',
      `calls ${nameOfHelper(number)}, a helper the card does not have`,
    );
  }
  return [
    ...judgeArguments(number, state),
    ...(number === ADJUST_HEAD ? judgeAdjustHead(state) : []),
    ...(number === EVENT_OUTPUT ? judgeEvent(state) : []),
  ];
}

function judgeArguments(number: number, state: State): Said[] {
  return (ON_STACK[number] ?? []).flatMap(({ register, what }) => {
    const value = registerOf(state, register);
    const name = `${what} of ${nameOfHelper(number)}`;
    switch (value.kind) {
      case 'unclear':
        return remark('helper-argument', `${name} may not be on the stack`);
      case 'stack':
      case 'caller stack':
        return judgeStackArgument(name, value.offset);
      default:
        return found('helper-argument', `${name} is not on the stack`);
    }
  });
}

function judgeStackArgument(name: string, offset: unknown): Said[] {
  if (offset === 'variable') {
    return found('helper-argument', `${name} is at an offset that is not constant`);
  }
  if (typeof offset === 'number' && offset % 4 !== 0) {
    return found('helper-argument', `${name} is not aligned to 4 bytes`);
  }
  return [];
}

function judgeAdjustHead(state: State): Said[] {
  if (constantOf(rangeOf(registerOf(state, 2))) !== undefined) return [];
  return remark('adjust-head', 'moves the head by an amount that is not one constant');
}

function judgeEvent(state: State): Said[] {
  const flags = constantOf(rangeOf(registerOf(state, 3)));
  if (flags !== undefined && (flags & CURRENT_CPU) === CURRENT_CPU) return [];
  return found('helper-argument', 'sends an event to another CPU than BPF_F_CURRENT_CPU');
}
