// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The rules of a Netronome Agilio. They come from its Linux driver (nfp: the checks it
 * adds to the kernel's verifier, and its translator) and from the published limits of
 * its firmware.
 */
import type { SourceLine } from '../read/btf-lines.js';

/** By rule: what to write instead. */
export const RULES = {
  'map-kind': 'an array or a hash; count with __sync_fetch_and_add() instead of per CPU',
  'map-flags': 'no map_flags',
  'map-entry': 'a smaller value, or two maps under one key',
  'map-entries': 'fewer entries: for l4lb smaller SLOTS, DESTINATIONS or CELLS',
  'global-variable':
    'a map with one entry, or a constant in the code (#define, const on the stack)',
  helper: 'do without it, or leave these packets to the host: return XDP_PASS',
  'tail-call': 'one program: put the code in its place',
  'helper-argument':
    'copy it to a variable on the stack, aligned to 4 bytes, and pass that',
  'map-store':
    'add to it with __sync_fetch_and_add(), or bpf_map_update_elem() the whole value',
  'map-offset':
    'constant offsets: unroll the loop, or make each element an entry of its own',
  atomic:
    '__sync_fetch_and_add() of 4 or 8 bytes into a value of a map, its result unused',
  'read-and-added': 'another map or member: only the tools may read the words added to',
  modulo: 'a constant to divide by; a power of two is a mask',
  divide: 'a constant divisor, for / and % alike, and a dividend of 32 bits',
  multiply: '__u32, compiled with -mcpu=v3, which has registers of 32 bits',
  instruction: 'compile with -mcpu=v3 or older',
  context: 'only data and data_end',
  'stack-offset': 'constant indices: unroll the loop, or name the elements one by one',
  'stack-size':
    'fewer or smaller variables and arrays, in fewer functions that call each other',
  frags: 'SEC("xdp")',
  'pointer-kind': 'one access for each kind of pointer, each in its own branch',
  'adjust-head': 'one call with a constant: the card needs no checks for that',
  instructions: 'less in the program; leave rare packets to the host: return XDP_PASS',
} as const;

export type RuleName = keyof typeof RULES;

/** The card refuses a finding. A remark it may accept, or only the card can tell. */
export type Severity = 'finding' | 'remark';

export interface Place {
  function: string;
  line: SourceLine | undefined;
}

export interface Said {
  rule: RuleName;
  severity: Severity;
  what: string;
}

export interface Finding extends Said {
  /** Undefined if the finding is about a map or the whole object. */
  place: Place | undefined;
}

export function found(rule: RuleName, what: string): Said[] {
  return [{ rule, severity: 'finding', what }];
}

export function remark(rule: RuleName, what: string): Said[] {
  return [{ rule, severity: 'remark', what }];
}
