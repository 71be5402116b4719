// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Counts the hot slots that a fill leaves, where nothing is settled after it. */
import { reachable } from './cells.js';
import { idleOf, isHot, settling } from './hot-slots.js';
import { smallest } from '../text/lists.js';
import type { Service } from './services.js';
import { servicesIn } from './services.js';
import type { State, Tables } from './state.js';
import { slotsIn } from './state.js';

export interface StillHot {
  hot: number;
  /** Seconds until the next slot may go cold, unless it is needed; 0 where none is hot. */
  wait: number;
}

export function countHot(live: Tables, service: Service): number {
  return [...slotsIn(live, service).values()].filter(isHot).length;
}

/** Of the slots that the state has. */
export function stillHot(live: State, now: number): StillHot {
  const waits = [...servicesIn(reachable(live)).values()].flatMap((service) =>
    [...slotsIn(live, service).values()].filter(isHot).map((slot) => {
      const isDrained = live.destinations.get(slot.previous)?.weight === 0;
      const deadline = isDrained ? service.drainDeadline || undefined : undefined;
      return settling(slot, 0, now, idleOf(service), deadline).wait;
    }),
  );
  return { hot: waits.length, wait: waits.length === 0 ? 0 : smallest(waits) };
}
