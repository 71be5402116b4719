// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The dashboard without a terminal, as a value: keys.ts says what keys and samples do to
 * it, and draw.ts as which lines it is drawn.
 */
import type { Sample } from '../sample.js';

/** How many samples the history of a destination goes back: a column for each. */
export const HISTORY = 30;

export const SORTS = ['address', 'packets/s', 'bits/s'] as const;

/** The address tells when an id has a new owner, whose history starts anew. */
export type History = ReadonlyMap<number, { address: string; pps: readonly number[] }>;

interface View {
  sample: Sample;
  history: History;
}

/** Never changed in place, so that a pause need only keep hold of its view. */
export interface ScreenState {
  interface: string;
  /** Seconds. */
  interval: number;
  width: number;
  height: number;
  /** What came last, and what is shown: the same unless paused. */
  latest: View | undefined;
  shown: View | undefined;
  /** Why nothing new comes. */
  notice: string | undefined;
  sort: (typeof SORTS)[number];
  reversed: boolean;
  paused: boolean;
  filter: string;
  /** Keys go into the filter. */
  typing: boolean;
  help: boolean;
  /** How many rows, and lines of the help, are scrolled out above. */
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
