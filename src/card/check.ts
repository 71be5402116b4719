// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Checks an object against all rules. */
import { followAll } from './follow/follow.js';
import { readObject } from './read/object.js';
import type { Reached } from './follow/reached.js';
import { reachedIn } from './follow/reached.js';
import type { Finding, Said } from './rules/rules.js';
import { judgeCalls } from './rules/calls.js';
import { judgeMemory } from './rules/memory.js';
import { judgeNumbers } from './rules/numbers.js';
import { entriesOnCard, judgeObject } from './rules/object.js';
import { judgeHeads, judgeLength } from './rules/program.js';
import { judgeStack, stackOf } from './rules/stack.js';
import { judgeWords } from './rules/added-words.js';

export interface Verdict {
  findings: Finding[];
  remarks: Finding[];
  instructions: number;
  /** Bytes, rounded up to the card's units. */
  stack: number;
  maps: number;
  entries: number;
}

export function checkObject(file: Buffer): Verdict {
  const object = readObject(file);
  const followed = followAll(object);
  const reached = followed.flatMap(reachedIn);
  const stack = stackOf(followed);
  const instructions = followed.reduce(
    (sum, one) => sum + one.function.instructions.length,
    0,
  );
  const all = [
    ...judgeObject(object, reached).map((said): Finding => ({
      ...said,
      place: undefined,
    })),
    ...reached.flatMap(judgeInstruction),
    ...judgeWords(reached),
    ...judgeHeads(reached),
    ...judgeStack(stack),
    ...judgeLength(instructions),
  ];
  return {
    findings: all.filter(({ severity }) => severity === 'finding'),
    remarks: all.filter(({ severity }) => severity === 'remark'),
    instructions,
    stack,
    maps: object.maps.length,
    entries: entriesOnCard(object.maps),
  };
}

function judgeInstruction({ place, instruction, state }: Reached): Finding[] {
  const said: Said[] = [
    ...judgeNumbers(instruction, state),
    ...judgeMemory(instruction, state),
    ...judgeCalls(instruction, state),
  ];
  return said.map((one) => ({ ...one, place }));
}
