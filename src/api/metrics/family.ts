// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Metrics of things of one kind, and how numbers are written in them. */
import type { Status } from '../status.js';

export type Value = number | bigint;

/** A metric, and what it says about some thing; null: that could not be seen. */
export interface Metric<Of> {
  name: string;
  type: 'counter' | 'gauge';
  help: string;
  of: (thing: Of) => Value | null;
}

export interface Family<Of> {
  /** The labels that tell the things apart. */
  labels: readonly string[];
  metrics: readonly Metric<Of>[];
  /** The things, each with the values of its labels. */
  things: (status: Status) => Iterable<readonly [values: readonly string[], thing: Of]>;
}

export const truth = (is: boolean): number => (is ? 1 : 0);
export const seconds = (milliseconds: number): number => milliseconds / 1000;
export const unixTime = (time: string): number => seconds(Date.parse(time));
