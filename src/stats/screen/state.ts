// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The dashboard's state, a value that needs no terminal. keys.ts changes it for keys and
 * samples, and draw.ts turns it into lines.
 */
import type { Sample } from '../sample.js';

/** How many samples a destination's history holds: one for each column. */
export const HISTORY = 30;

export const SORTS = ['address', 'packets/s', 'bits/s'] as const;

/** By id. If its address changes, the id has a new owner, whose history starts anew. */
export type History = ReadonlyMap<number, { address: string; pps: readonly number[] }>;

interface View {
  sample: Sample;
  history: History;
}

/** Never changed in place, so a pause only has to keep its view. */
export interface ScreenState {
  interface: string;
  /** Seconds. */
  interval: number;
  width: number;
  height: number;
  /** The latest view, and the one shown: the same unless paused. */
  latest: View | undefined;
  shown: View | undefined;
  /** Why no samples come. */
  notice: string | undefined;
  sort: (typeof SORTS)[number];
  reversed: boolean;
  paused: boolean;
  filter: string;
  /** True while keys go into the filter. */
  typing: boolean;
  help: boolean;
  /** How many rows (for `helpTop`, lines of the help) are above the first visible one. */
  top: number;
  helpTop: number;
  quit: boolean;
}

export function initialState(options: {
  interface: string;
  interval: number;
}): ScreenState {
  return {
    interface: options.interface,
    interval: options.interval,
    width: 80,
    height: 24,
    latest: undefined,
    shown: undefined,
    notice: undefined,
    sort: 'address',
    reversed: false,
    paused: false,
    filter: '',
    typing: false,
    help: false,
    top: 0,
    helpTop: 0,
    quit: false,
  };
}
