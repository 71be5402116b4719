// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Loads an object without attaching it. */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';

import { BpftoolFailure } from '../system/bpftool-text.js';
import type { MapInfo, ProgramInfo } from '../system/bpftool-text.js';
import { DECAP_PROGRAM_NAME, PROGRAM_NAME } from '../abi/maps.js';
import { BLOCK_PORTS, CLAIM_SETS } from '../abi/pool.js';
import { PORT_SIZE } from '../abi/port.js';
import type { Bpftool } from '../system/bpftool.js';
import { Failure } from '../text/failure.js';
import { fillExitDevices, shareable } from './exit-devices.js';
import { noObject } from './objects.js';
import type { Pins } from './pins.js';
import { adviceOnLoading } from './refusal.js';

export interface Loaded extends ProgramInfo {
  pin: string;
  maps: MapInfo[];
}

export interface LoadOptions {
  /** Device for which an offloaded program is loaded. */
  device?: string | undefined;
  /** Maps that the program uses in place of the object's own. */
  reuse?: MapInfo[];
  /** The number of sets of flows, if not the object's. */
  sets?: number | undefined;
  /** The number of blocks of ports, if not the object's. */
  blocks?: number | undefined;
  /** The lock of the process that loads: see Bpftool.load(). */
  lock?: number | undefined;
}

/** The kernel or the card refused an object; nothing else failed. */
export class NotTaken extends Failure {}

/** Loads an object without attaching it. Its maps are new, unless others are given. */
export async function loadObject(
  bpftool: Bpftool,
  pins: Pins,
  object: string,
  options: LoadOptions = {},
): Promise<Loaded> {
  if (!existsSync(object)) throw noObject(object);
  const pin = pins.next();
  try {
    const reuse = options.reuse
      ? shareable(options.reuse)
      : await makeMaps(bpftool, pins, options);
    const { device, lock } = options;
    await bpftool.load(object, pin, { device, reuse, lock });
  } catch (error) {
    if (!(error instanceof BpftoolFailure)) throw error;
    const { device } = options;
    throw new NotTaken(
      `the kernel does not take ${basename(object)}: ${error.reason}`,
      device === undefined
        ? {
            cause: 'the kernel is too old for this build, or the file is no XDP object',
            next: `bpftool prog load ${object} /sys/fs/bpf/try type xdp, to see all that it says`,
          }
        : adviceOnLoading(error.output, { device, object }),
    );
  }
  const program = await bpftool.programWithMaps('pinned', pin);
  if (program.name !== PROGRAM_NAME && program.name !== DECAP_PROGRAM_NAME) {
    throw new Failure(
      `${basename(object)} is not l4lb: its program is ${program.name || 'nameless'}`,
      {
        cause: 'it is another program, or comes from a release with another ABI',
        next: 'make objects, and load what that makes',
      },
    );
  }
  if (options.reuse) await fillExitDevices(bpftool, program.maps);
  return { ...program, pin };
}

/** Size of a set in bytes: struct l4lb_set. */
export const SET_SIZE = 64;

/** Sizes that the user chooses; undefined: as the object has it. */
export type ChosenSizes = Pick<LoadOptions, 'sets' | 'blocks'>;

/** The maps whose sizes are not those of the object. */
export function chosenSizes({
  sets,
  blocks,
}: ChosenSizes): { name: string; valueSize: number; entries: number }[] {
  const all = [
    { name: 'flows', valueSize: SET_SIZE, entries: sets },
    { name: 'claims', valueSize: SET_SIZE, entries: blocks && blocks * CLAIM_SETS },
    { name: 'ports', valueSize: PORT_SIZE, entries: blocks && blocks * BLOCK_PORTS },
  ];
  return all.flatMap(({ entries, ...map }) =>
    entries === undefined ? [] : [{ ...map, entries }],
  );
}

/** Makes these maps. */
export async function makeMaps(
  bpftool: Bpftool,
  pins: Pins,
  sizes: ChosenSizes,
): Promise<MapInfo[]> {
  const made: MapInfo[] = [];
  for (const { name, valueSize, entries } of chosenSizes(sizes)) {
    const pin = pins.next();
    await bpftool.createArray(pin, name, valueSize, entries);
    made.push(await bpftool.mapPinned(pin));
  }
  return made;
}
