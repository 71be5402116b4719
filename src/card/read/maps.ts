// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads the maps that an object declares in its section .maps. */
import type { Failure } from '../../text/failure.js';
import type { Btf, Member } from './btf.js';
import { resolve, sizeOf } from './btf.js';
import { notBpf } from './elf.js';

export interface MapDeclaration {
  name: string;
  /** The number of enum bpf_map_type. */
  kind: number;
  keySize: number;
  valueSize: number;
  entries: number;
  flags: number;
}

export const MAP_HASH = 1;
export const MAP_ARRAY = 2;
export const MAP_PERF_EVENT_ARRAY = 4;

/** bpftool's names, by number. */
const KIND_NAMES = [
  'unspecified',
  'hash',
  'array',
  'prog_array',
  'perf_event_array',
  'percpu_hash',
  'percpu_array',
  'stack_trace',
  'cgroup_array',
  'lru_hash',
  'lru_percpu_hash',
  'lpm_trie',
  'array_of_maps',
  'hash_of_maps',
  'devmap',
  'sockmap',
  'cpumap',
  'xskmap',
  'sockhash',
  'cgroup_storage',
  'reuseport_sockarray',
  'percpu_cgroup_storage',
  'queue',
  'stack',
  'sk_storage',
  'devmap_hash',
  'struct_ops',
  'ringbuf',
];

export function nameOfKind(kind: number): string {
  return KIND_NAMES[kind] ?? `of kind ${kind}`;
}

export function readMaps(btf: Btf): MapDeclaration[] {
  const section = btf.types.find(
    (type) => type.kind === 'section' && type.name === '.maps',
  );
  if (section?.kind !== 'section') return [];
  return section.variables.map((id) => {
    const variable = resolve(btf, id);
    if (variable.kind !== 'variable') throw notAMap();
    const type = resolve(btf, variable.type);
    if (type.kind !== 'sized') throw notAMap();
    return readMap(btf, variable.name, type.members);
  });
}

function notAMap(): Failure {
  return notBpf('it is damaged: the section .maps has something else than a map');
}

/**
 * __uint(member, n) points to an array of n elements, __type(member, t) to a t. A member
 * that the source leaves out is 0.
 */
function readMap(btf: Btf, name: string, members: readonly Member[]): MapDeclaration {
  const target = (member: string): number => {
    const found = members.find((one) => one.name === member);
    const pointer = found && resolve(btf, found.type);
    return pointer?.kind === 'pointer' ? pointer.to : 0;
  };
  const number = (member: string): number => {
    const type = resolve(btf, target(member));
    return type.kind === 'array' ? type.length : 0;
  };
  return {
    name,
    kind: number('type'),
    keySize: number('key_size') || sizeOf(btf, target('key')),
    valueSize: number('value_size') || sizeOf(btf, target('value')),
    entries: number('max_entries'),
    flags: number('map_flags'),
  };
}
