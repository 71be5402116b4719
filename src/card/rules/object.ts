// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Rules about maps and sections, which do not depend on the code. */
import { formatCount } from '../../text/format.js';
import type { MapDeclaration } from '../read/maps.js';
import { MAP_ARRAY, MAP_HASH, MAP_PERF_EVENT_ARRAY, nameOfKind } from '../read/maps.js';
import type { BpfObject } from '../read/object.js';
import type { Reached } from '../follow/reached.js';
import type { Said } from './rules.js';
import { found } from './rules.js';

/** Bytes of an entry: key and value, each rounded up to 8. */
const MOST_BYTES = 64;
/** The firmware's published limit for the entries of all maps together. */
export const MOST_ENTRIES = 3_072_000;

export function judgeObject(
  { maps, functions, dataSections }: BpfObject,
  reached: readonly Reached[],
): Said[] {
  const onCard = maps.filter(isOnCard);
  const entries = entriesOnCard(maps);
  const frags = functions.filter(({ section }) => section.startsWith('xdp.frags'));
  return [
    ...maps.flatMap(judgeMap),
    ...(entries > MOST_ENTRIES
      ? found(
          'map-entries',
          `${formatCount(entries)} entries in all maps together (${onCard.map(withEntries).join(', ')}); ` +
            `the card holds ${formatCount(MOST_ENTRIES)}`,
        )
      : []),
    ...dataSections
      .filter((name) => reached.every(({ instruction }) => instruction.data !== name))
      .flatMap((name) =>
        found(
          'global-variable',
          `the section ${name} holds variables that no program uses`,
        ),
      ),
    ...frags.flatMap(({ name, section }) =>
      found(
        'frags',
        `${name} is for frames in several buffers: its section is ${section}`,
      ),
    ),
  ];
}

export function entriesOnCard(maps: readonly MapDeclaration[]): number {
  return maps.filter(isOnCard).reduce((sum, { entries }) => sum + entries, 0);
}

/** A ring for events stays on the host. */
function isOnCard({ kind }: MapDeclaration): boolean {
  return kind !== MAP_PERF_EVENT_ARRAY;
}

function withEntries({ name, entries }: MapDeclaration): string {
  return `${name} ${formatCount(entries)}`;
}

function judgeMap(map: MapDeclaration): Said[] {
  if (!isOnCard(map)) return [];
  const { name, kind, keySize, valueSize, flags } = map;
  if (kind !== MAP_ARRAY && kind !== MAP_HASH) {
    return found('map-kind', `the map \`${name}\` is of kind ${nameOfKind(kind)}`);
  }
  const size = roundUp(keySize) + roundUp(valueSize);
  return [
    ...(flags === 0
      ? []
      : found('map-flags', `the map \`${name}\` has the flags 0x${flags.toString(16)}`)),
    ...(size <= MOST_BYTES
      ? []
      : found(
          'map-entry',
          `an entry of the map \`${name}\` has ${size} bytes, key and value each rounded up to 8; ` +
            `the card takes ${MOST_BYTES}`,
        )),
  ];
}

function roundUp(size: number): number {
  return Math.ceil(size / 8) * 8;
}
