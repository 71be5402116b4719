// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What an object would have once it is loaded: its program's name, and its maps. The
 * verifier takes a third of a second or more for a load that only serves to learn this.
 */
import { readFileSync } from 'node:fs';

import { readDeclarations } from '../card/read/object.js';
import { nameOfKind } from '../card/read/maps.js';
import type { MapInfo } from '../system/bpftool-text.js';
import { Failure } from '../text/failure.js';
import { chosenSizes } from './load.js';
import type { ChosenSizes } from './load.js';

/** A map that is not there yet. */
export type MapShape = Omit<MapInfo, 'id'>;

/**
 * Undefined if the object does not say it plainly: whoever loads it hears from the kernel
 * what is wrong with it.
 */
export function declaredBy(
  object: string,
  sizes: ChosenSizes,
): { name: string; maps: MapShape[] } | undefined {
  const declared = readIfThere(object);
  const [name, ...others] = declared?.programs ?? [];
  if (!declared || name === undefined || others.length > 0) return undefined;
  // Loaders make maps of global variables, and name them after the file.
  if (declared.dataSections.length > 0) return undefined;
  const chosen = new Map(chosenSizes(sizes).map((one) => [one.name, one.entries]));
  const maps = declared.maps.map(
    ({ name: map, kind, keySize, valueSize, entries }): MapShape => ({
      ...{ name: map, kind: nameOfKind(kind), keySize, valueSize },
      entries: chosen.get(map) ?? entries,
    }),
  );
  return { name, maps };
}

function readIfThere(object: string): ReturnType<typeof readDeclarations> | undefined {
  try {
    return readDeclarations(readFileSync(object));
  } catch (error) {
    if (error instanceof Failure || (error as NodeJS.ErrnoException).code !== undefined) {
      return undefined;
    }
    throw error;
  }
}
