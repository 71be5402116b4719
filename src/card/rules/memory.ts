// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Rules about reading and writing memory: the context, maps, the stack. */
import type { Action, Instruction } from '../read/instructions.js';
import { ATOMIC_ADD, FETCH } from '../read/instructions.js';
import type { Said } from './rules.js';
import { found, remark } from './rules.js';
import type { State } from '../follow/state.js';
import { registerOf } from '../follow/state.js';
import type { Offset, Value } from '../follow/values.js';

/** The fields of struct xdp_md, by offset. */
const CONTEXT_FIELDS: Record<number, string> = {
  0: 'data',
  4: 'data_end',
  8: 'data_meta',
  12: 'ingress_ifindex',
  16: 'rx_queue_index',
  20: 'egress_ifindex',
};
const READABLE = new Set([0, 4]);

export interface Access {
  does: 'load' | 'store' | 'atomic';
  size: number;
  /** The value of the register that holds the address. */
  pointer: Value;
}

export function accessOf(
  { action, source, destination }: Instruction,
  state: State,
): Access | undefined {
  if (!isAccess(action)) return undefined;
  const register = action.does === 'load' ? source : destination;
  return { does: action.does, size: action.size, pointer: registerOf(state, register) };
}

function isAccess(action: Action): action is Action & { does: Access['does'] } {
  return action.does === 'load' || action.does === 'store' || action.does === 'atomic';
}

export function judgeMemory(instruction: Instruction, state: State): Said[] {
  if (instruction.data !== undefined) {
    const which = instruction.isOutside
      ? `the variable ${instruction.data}, which is not in the object`
      : `a variable in the section ${instruction.data}`;
    return found('global-variable', `uses ${which}`);
  }
  const access = accessOf(instruction, state);
  if (!access) return [];
  const { does, pointer } = access;
  const verb = does === 'load' ? 'reads' : does === 'store' ? 'writes' : 'adds to';
  const atomic = does === 'atomic' ? judgeAtomic(instruction, pointer) : [];
  if (atomic.length > 0) return atomic;
  switch (pointer.kind) {
    case 'context':
      return judgeContext(instruction, access);
    case 'map value':
      if (does === 'store') {
        return found('map-store', `writes into a value of the map \`${pointer.map}\``);
      }
      return judgeOffset(
        'map-offset',
        `${verb} a value of the map \`${pointer.map}\``,
        pointer.offset,
      );
    case 'stack':
    case 'caller stack':
      return judgeOffset('stack-offset', `${verb} the stack`, pointer.offset);
    case 'unclear':
    case 'number':
      return remark('pointer-kind', `${verb} memory of an unknown kind`);
    default:
      return [];
  }
}

function judgeContext({ offset }: Instruction, { does, size }: Access): Said[] {
  const field = CONTEXT_FIELDS[offset] ?? `byte ${offset}`;
  if (does === 'load' && READABLE.has(offset) && size === 4) return [];
  return found(
    'context',
    `${does === 'load' ? 'reads' : 'writes'} ${field} of struct xdp_md`,
  );
}

function judgeAtomic({ immediate }: Instruction, pointer: Value): Said[] {
  if (immediate === (ATOMIC_ADD | FETCH)) {
    return found('atomic', 'adds atomically and uses the old value');
  }
  if (immediate !== ATOMIC_ADD) {
    return found('atomic', 'changes memory atomically other than by adding');
  }
  return pointer.kind === 'map value' || pointer.kind === 'unclear'
    ? []
    : found('atomic', 'adds atomically to memory outside of maps');
}

export function judgeOffset(
  rule: 'map-offset' | 'stack-offset',
  what: string,
  offset: Offset,
): Said[] {
  if (typeof offset === 'number' || offset === 'several, aligned') return [];
  if (offset === 'variable')
    return found(rule, `${what} at an offset that is not constant`);
  // In a map's value the card accepts any constant offset.
  if (rule === 'map-offset') return [];
  return offset === 'several'
    ? found(rule, `${what} at offsets that are not the same modulo 4`)
    : remark(rule, `${what} at several offsets, which may differ modulo 4`);
}
