// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What a slot remembers when it moves, and when it may forget. Pure. How packets
 * use it, and why, is told in datapath/flows.h.
 */
import type { Slot } from './abi.js';
import { NOBODY } from './abi.js';

/** Seconds without a packet for a slot's previous, until the slot may go cold. */
export const DEFAULT_IDLE = 300;

export function isHot(slot: Slot): boolean {
  return slot.previous !== 0;
}

/**
 * A slot after it goes to a destination. `stands` tells which ids still have
 * theirs; without `now` the program is of a build that remembers nothing.
 */
export function moveSlot(
  slot: Slot,
  to: number,
  stands: (id: number) => boolean,
  now: number | undefined,
): Slot {
  if (now === undefined) return { current: to, previous: 0, since: 0 };
  if (isHot(slot)) {
    // Whoever began since is on record, so the first previous stays; but one that
    // is gone for good is forgotten at once, and the records are kept for the rest.
    const isGone = slot.previous !== NOBODY && !stands(slot.previous);
    return { ...slot, current: to, previous: isGone ? NOBODY : slot.previous };
  }
  if (to === slot.current) return slot;
  // Nobody is on an empty slot, or on a destination that is gone.
  if (!stands(slot.current)) return { current: to, previous: 0, since: 0 };
  return { current: to, previous: slot.current, since: now };
}

export interface Settling {
  /** The slot as it is after it went cold. */
  cold: Slot;
  /** Seconds until it may; 0 where it may now. */
  wait: number;
}

/**
 * A hot slot may go cold when for the idle time no packet of it went elsewhere
 * than to its current destination: then nobody is left who would notice. With a
 * deadline it may then at the latest, whoever notices.
 */
export function settling(
  slot: Slot,
  kept: number,
  now: number,
  idle: number,
  deadline = Infinity,
): Settling {
  const last = Math.max(slot.since, kept);
  const until = Math.min(last + idle, slot.since + deadline);
  return {
    cold: { current: slot.current, previous: 0, since: 0 },
    wait: Math.max(0, until - now),
  };
}
