// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The instructions that a program can reach, with their places in the source. */
import type { Followed } from './follow.js';
import type { Instruction } from '../read/instructions.js';
import type { Place } from '../rules/rules.js';
import type { State } from './state.js';

export interface Reached {
  place: Place;
  instruction: Instruction;
  state: State;
}

export function reachedIn({ function: called, states }: Followed): Reached[] {
  return called.instructions.flatMap((instruction, index) => {
    const state = states[index];
    if (!instruction || !state) return [];
    return [
      { place: { function: called.name, line: instruction.line }, instruction, state },
    ];
  });
}

export function where({ function: name, line }: Place): string {
  return line ? `${line.file}:${line.line}` : name;
}
