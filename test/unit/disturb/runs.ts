// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Runs of l4lb-disturb, made up for its tests. */
import type { Schedule } from '../../../src/disturb/changes.js';
import { addressOf, makeSchedule, parseChange } from '../../../src/disturb/changes.js';
import type { Outcome, Recording } from '../../../src/disturb/judge.js';
import { judge } from '../../../src/disturb/judge.js';
import type { ClientEvent } from '../../../src/disturb/protocol.js';

export function schedule(destinations: number, ...changes: string[]): Schedule {
  return makeSchedule(destinations, changes.map(parseChange));
}

/** Destination 1 goes at 1000, then the program is replaced at 2000; each takes 100. */
export const GOES = schedule(2, 'remove 1', 'replace');
export const MOMENTS = [
  { began: 1000, ended: 1100 },
  { began: 2000, ended: 2100 },
];

export function open(id: number, number: number, began = 10): ClientEvent {
  return { event: 'open', at: began + 1, id, began, name: addressOf({ number }) };
}

export function lost(
  id: number,
  at: number,
  more: { since?: number; why?: string } = {},
): ClientEvent {
  return { event: 'lost', at, id, began: 10, since: at, why: 'reset', ...more };
}

export function count(at: number, active: number): ClientEvent {
  const rest = { opened: 4, connecting: 0, sent: 100, received: 97, dropped: 3 };
  return { event: 'count', at, active, ...rest };
}

export function record(...events: ClientEvent[]): Recording {
  return {
    schedule: GOES,
    started: 0,
    moments: MOMENTS,
    events,
    halfOpen: [],
    flood: undefined,
  };
}

export const judged = (...events: ClientEvent[]): Outcome => judge(record(...events));
