// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Follows a function along all paths, and works out what the registers hold before each
 * instruction. Where paths meet, it keeps what holds on both. The kernel's verifier knows
 * more, because it follows each path alone; but this is enough for the rules.
 */
import { branch } from './branches.js';
import type { Instruction } from '../read/instructions.js';
import { notBpf } from '../read/elf.js';
import type { BpfFunction, BpfObject } from '../read/object.js';
import { isProgram } from '../read/object.js';
import type { State } from './state.js';
import { ARGUMENT_REGISTERS, entryState, joinStates, registerOf, step } from './state.js';
import type { Value } from './values.js';
import { join } from './values.js';
import { smallest } from '../../text/lists.js';
import { must } from '../../text/must.js';

export interface Followed {
  function: BpfFunction;
  /** By the instruction's index; undefined if the program never reaches it. */
  states: (State | undefined)[];
}

/** When paths have met this often in one place, bounds are widened, so that loops end. */
const MEETINGS = 16;

/** Follows all programs and their functions. Joins the arguments of all callers. */
export function followAll({ functions }: BpfObject): Followed[] {
  const given = new Map<string, Value[]>();
  const followed = new Map<string, Followed>();
  const queue: string[] = [];
  for (const one of functions.filter(isProgram)) {
    given.set(one.name, [{ kind: 'context' }]);
    queue.push(one.name);
  }
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    const called = functions.find((one) => one.name === name);
    // A function of the kernel, which judgeCalls() reports.
    if (!called) continue;
    const states = follow(called, must(given.get(name), `what ${name} is called with`));
    followed.set(name, { function: called, states });
    for (const { callee, values } of callsIn(called, states)) {
      const before = given.get(callee);
      const now = before ? joinArguments(before, values) : values;
      if (before && now.every((value, index) => value === before[index])) continue;
      given.set(callee, now);
      if (!queue.includes(callee)) queue.push(callee);
    }
  }
  return [...followed.values()];
}

function joinArguments(before: readonly Value[], values: readonly Value[]): Value[] {
  return before.map((value, index) => {
    const other = values[index];
    return other ? join(value, other) : value;
  });
}

function callsIn(
  { instructions }: BpfFunction,
  states: readonly (State | undefined)[],
): { callee: string; values: Value[] }[] {
  return instructions.flatMap((instruction, index) => {
    const state = states[index];
    if (instruction?.action.does !== 'call function' || !state) return [];
    if (instruction.callee === undefined) return [];
    const values = ARGUMENT_REGISTERS.map((number): Value => {
      const value = registerOf(state, number);
      return value.kind === 'stack' ? { ...value, kind: 'caller stack' } : value;
    });
    return [{ callee: instruction.callee, values }];
  });
}

function follow(
  { instructions }: BpfFunction,
  given: readonly Value[],
): (State | undefined)[] {
  const states: (State | undefined)[] = instructions.map(() => undefined);
  const meetings = new Map<number, number>();
  const waiting = new Set<number>([0]);
  states[0] = entryState(given);
  while (waiting.size > 0) {
    // In code order, so that paths meet before either is followed further.
    const index = smallest(waiting);
    waiting.delete(index);
    const instruction = instructions[index];
    // The kernel refuses that too, whatever the values are.
    if (!instruction)
      throw notBpf('it is damaged: a function goes on where it has no instruction');
    const state = must(states[index], `the state before instruction ${index}`);
    for (const { to, after } of waysFrom(instruction, state)) {
      const before = states[to];
      const times = (meetings.get(to) ?? 0) + 1;
      meetings.set(to, times);
      const now = before ? joinStates(before, after, times > MEETINGS) : after;
      if (now === before) continue;
      states[to] = now;
      waiting.add(to);
    }
  }
  return states;
}

function waysFrom(
  instruction: Instruction,
  state: State,
): { to: number; after: State }[] {
  const { action, index, offset } = instruction;
  const next = index + 1;
  switch (action.does) {
    case 'exit':
      return [];
    case 'jump':
      return [{ to: next + offset, after: state }];
    case 'branch': {
      const ways = branch(state, instruction);
      return [
        ...(ways.next ? [{ to: next, after: ways.next }] : []),
        ...(ways.taken ? [{ to: next + offset, after: ways.taken }] : []),
      ];
    }
    case 'load constant':
      return [{ to: next + 1, after: step(state, instruction) }];
    default:
      return [{ to: next, after: step(state, instruction) }];
  }
}
