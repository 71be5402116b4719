// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Rules about a program as a whole: its stack, its length, words that it reads and adds to. Pure. */
import { formatCount } from '../format.js';
import type { Followed } from './follow.js';
import { ADJUST_HEAD, UPDATE } from './helpers.js';
import type { Instruction } from './instructions.js';
import type { Finding, Place } from './rules.js';
import { found, remark } from './rules.js';
import { accessOf } from './rules-memory.js';
import type { State } from './state.js';
import { registerOf } from './state.js';

/** A reached instruction. */
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

interface Use {
  place: Place;
  does: 'load' | 'atomic';
  map: string;
  /** Of a value, by number; nothing where it cannot be told which. */
  words: number[] | undefined;
}

const WORD = 4;

/** The card keeps what is added to in another byte order than what is read. */
export function judgeWords(reached: readonly Reached[]): Finding[] {
  const uses = reached.flatMap(useOf);
  const reads = uses.filter(({ does }) => does === 'load');
  const added = uses.filter(({ does }) => does === 'atomic');
  return [
    ...added.flatMap((one) => judgeAdded(one, reads)),
    ...reached.flatMap(({ place, instruction, state }) => {
      if (instruction.action.does !== 'call helper' || instruction.immediate !== UPDATE) {
        return [];
      }
      const map = registerOf(state, 1);
      if (map.kind !== 'map' || !added.some((one) => one.map === map.map)) return [];
      const what = `updates the map \`${map.map}\`, to which it also adds: the card takes that only where what is added to is zero`;
      return remark('read-and-added', what).map((said) => ({ ...said, place }));
    }),
  ];
}

function useOf({ place, instruction, state }: Reached): Use[] {
  const access = accessOf(instruction, state);
  if (access?.pointer.kind !== 'map value' || access.does === 'store') return [];
  const { map, offset } = access.pointer;
  const { does, size } = access;
  if (typeof offset !== 'number') return [{ place, does, map, words: undefined }];
  const first = Math.floor((offset + instruction.offset) / WORD);
  const last = Math.floor((offset + instruction.offset + size - 1) / WORD);
  const words = Array.from({ length: last - first + 1 }, (_, index) => first + index);
  return [{ place, does, map, words }];
}

function judgeAdded(added: Use, reads: readonly Use[]): Finding[] {
  const read = reads.find(
    ({ map, words }) =>
      map === added.map &&
      (!words || !added.words || words.some((word) => added.words?.includes(word))),
  );
  if (!read) return [];
  const what = `adds to a word of a value of the map \`${added.map}\` that ${where(read.place)} reads`;
  const isSure = read.words && added.words;
  return (isSure ? found : remark)('read-and-added', what).map((said) => ({
    ...said,
    place: added.place,
  }));
}

function where({ function: name, line }: Place): string {
  return line ? `${line.file}:${line.line}` : name;
}

/** Of every program the kernel takes; how many the firmware has the card alone can tell. */
const MOST_STACK = 512;
const STACK_UNIT = 64;

export function judgeStack(bytes: number): Finding[] {
  if (bytes <= MOST_STACK) return [];
  const what = `needs ${bytes} bytes of stack, in units of ${STACK_UNIT} for each function; elsewhere ${MOST_STACK} are all there are, and only its firmware can tell`;
  return remark('stack-size', what).map((said) => ({ ...said, place: undefined }));
}

/** A call puts a return address there, and the registers 6 to 9 of who is called. */
const RETURN_ADDRESS = 4;
const SAVED_REGISTERS = 32;

/** Of all programs the one that needs most, with all that it calls. */
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
    return Math.ceil((own + call) / STACK_UNIT) * STACK_UNIT + Math.max(0, ...below);
  };
  return Math.max(0, ...all.map((one) => depth(one.function.name, false)));
}

function deepest({ instruction, state }: Reached): number {
  const access = accessOf(instruction, state);
  const isCall = instruction.action.does === 'call helper';
  const pointers = [
    ...(access ? [{ pointer: access.pointer, offset: instruction.offset }] : []),
    ...(isCall
      ? [1, 2, 3, 4, 5].map((number) => ({
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

/**
 * The card counts its own instructions, into which the driver translates these, most
 * into more than one. How many it holds is told by its firmware, in 16 bits; this is
 * the one figure that was published.
 */
const PUBLISHED_INSTRUCTIONS = 2800;
const COUNTED_INSTRUCTIONS = 0xffff;

export function judgeLength(instructions: number): Finding[] {
  const say = instructions > COUNTED_INSTRUCTIONS ? found : remark;
  if (instructions <= PUBLISHED_INSTRUCTIONS) return [];
  const what =
    `${formatCount(instructions)} instructions, most of which become several on the card; ` +
    `${formatCount(PUBLISHED_INSTRUCTIONS)} were published as its limit, and only its firmware can tell`;
  return say('instructions', what).map((said) => ({ ...said, place: undefined }));
}

/** Two places, each with its constant, are as slow as one that is variable. */
export function judgeHeads(reached: readonly Reached[]): Finding[] {
  const calls = reached.filter(
    ({ instruction: { action, immediate } }) =>
      action.does === 'call helper' && immediate === ADJUST_HEAD,
  );
  if (calls.length < 2) return [];
  const lines = new Set(calls.map(({ place }) => where(place)));
  const what = `moves the head in ${calls.length} places (${[...lines].join(', ')})`;
  return remark('adjust-head', what).map((said) => ({ ...said, place: undefined }));
}
