// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What happened: who did it, why, and how it is marked in the plots. */
import type { Entry } from '../../api/events.js';
import { whatHappened } from '../../api/words.js';

export type Weight = 'bad' | 'good' | 'plain';

export interface Told {
  id: number;
  time: number;
  text: string;
  /** The file, the checks, a hand, the fleet, l4lbd itself. */
  who: string;
  weight: Weight;
  service: string | undefined;
  /** Of slots; undefined: none moved. */
  moved: { moved: number; ideal: number } | undefined;
}

const CAUSES = { start: 'start', file: 'file', health: 'checks', hand: 'by hand' };
const CAUSE = new Map(Object.entries(CAUSES));

export function told(entry: Entry): Told {
  return {
    ...{ id: entry.id, time: Date.parse(entry.time), text: whatHappened(entry) },
    ...{ who: whoOf(entry), weight: weightOf(entry) },
    service: 'service' in entry ? entry.service : undefined,
    moved:
      entry.kind === 'filled' ? { moved: entry.moved, ideal: entry.ideal } : undefined,
  };
}

function whoOf(entry: Entry): string {
  switch (entry.kind) {
    case 'hand':
      return 'by hand';
    case 'filled':
      return CAUSE.get(entry.cause) ?? entry.cause;
    case 'state':
    case 'panic':
    case 'backup':
    case 'postponed':
      return 'checks';
    case 'started':
    case 'reloaded':
      return 'file';
    case 'decided':
      return CAUSE.get(entry.cause) ?? entry.cause;
    case 'leads':
    case 'settled':
      return 'fleet';
    case 'ready':
    case 'followed':
    case 'trouble':
      return 'l4lbd';
  }
}

function weightOf(entry: Entry): Weight {
  if (entry.kind === 'trouble') return 'bad';
  if (entry.kind === 'panic' || entry.kind === 'backup')
    return entry.begins ? 'bad' : 'good';
  if (entry.kind !== 'state') return 'plain';
  if (entry.after === 'up' || entry.after === 'starting') return 'good';
  return entry.after === 'unknown' ? 'plain' : 'bad';
}

/** The latest first, without those that there are already. */
export function withEvent(
  before: readonly Told[],
  entry: Entry,
  most: number,
): readonly Told[] {
  const [latest] = before;
  return latest && latest.id >= entry.id
    ? before
    : [told(entry), ...before].slice(0, most);
}

/** A mark stands for all that happened within so many milliseconds. */
export interface Mark {
  time: number;
  weight: Weight;
  texts: string[];
}

/** Those of a service, or of all, as marks that do not hide each other; the oldest first. */
export function marksOf(
  events: readonly Told[],
  service: string | undefined,
  within: number,
): Mark[] {
  const marks: Mark[] = [];
  for (const { time, weight, text, ...one } of [...events].reverse()) {
    if (service !== undefined && one.service !== undefined && one.service !== service)
      continue;
    const last = marks.at(-1);
    if (last && time - last.time < within) {
      last.texts.push(text);
      if (weight === 'bad' || last.weight === 'plain') last.weight = weight;
    } else {
      marks.push({ time, weight, texts: [text] });
    }
  }
  return marks;
}
