// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What a slot remembers when it moves, and when it may forget. datapath/flows.h says how
 * packets use this, and why.
 */
import { CELL_NAMES } from '../abi/cell.js';
import { NOBODY } from '../abi/slot.js';
import type { Slot } from '../abi/slot.js';

/**
 * Seconds without a packet for a slot's previous destination until the slot may go cold.
 */
const DEFAULT_IDLE = 300;
/** The same where destinations decide: a hot slot then costs next to nothing. */
const DEFAULT_IDLE_OF_NAMES = 3600;

/** How long a service's slots stay hot without need. */
export function idleOf({ idle, flags }: { idle: number; flags: number }): number {
  return idle || (flags & CELL_NAMES ? DEFAULT_IDLE_OF_NAMES : DEFAULT_IDLE);
}

export function isHot(slot: Slot): boolean {
  return slot.previous !== 0;
}

/** The weight of the destination with this id; undefined if it is gone or forgotten. */
export type WeightOf = (id: number) => number | undefined;

/**
 * The slot after it moved to a destination. Without `now` the program is of a build whose
 * slots remember nothing.
 */
export function moveSlot(
  slot: Slot,
  to: number,
  weightOf: WeightOf,
  now: number | undefined,
): Slot {
  if (now === undefined) return coldSlot(to);
  if (isHot(slot)) {
    const moved = { ...slot, current: to, previous: stillOn(slot, to, weightOf) };
    return noteDrained(slot, moved, weightOf, now);
  }
  if (to === slot.current) return slot;
  // No connection is on an empty slot, or on a destination that is gone.
  if (weightOf(slot.current) === undefined) return coldSlot(to);
  const moved = { current: to, previous: slot.current, since: now };
  return noteDrained(slot, moved, weightOf, now);
}

/** Where connections without a record are, once a hot slot moves. */
function stillOn(slot: Slot, to: number, weightOf: WeightOf): number {
  const { current, previous } = slot;
  const stands = (id: number): boolean => weightOf(id) !== undefined;
  // Connections that began since have a record, so the first previous destination stays.
  // If that is gone for good, it is forgotten at once, and the records are kept for the
  // rest.
  if (previous !== NOBODY) return stands(previous) ? previous : NOBODY;
  // With no previous destination, connections without a record went to the current one.
  return current !== to && stands(current) ? current : NOBODY;
}

const MINUTE = 60;
/** 45 days, which is what 16 bits hold. */
const LATEST_DRAINED = 0xffff;

/**
 * Notes in the slot when its previous destination was drained. This may be long after the
 * slot moved, and the deadline begins then, or up to a minute later.
 */
export function noteDrained(
  slot: Slot,
  moved: Slot,
  weightOf: WeightOf,
  now: number,
): Slot {
  const { drained, ...rest } = moved;
  if (weightOf(moved.previous) !== 0) return rest;
  if (drained !== undefined && moved.previous === slot.previous) return moved;
  const minutes = Math.ceil((now - moved.since) / MINUTE);
  return { ...rest, drained: Math.min(minutes + 1, LATEST_DRAINED) };
}

/** When the destination was drained, in seconds. Older tools did not note it. */
function drainedAt({ since, drained = 1 }: Slot): number {
  return since + (drained - 1) * MINUTE;
}

/**
 * Whether the move must note the slot as kept. Until now its packets went to the current
 * destination, so the program noted none of them; from now on some go elsewhere.
 */
export function isKeptByMove(slot: Slot, moved: Slot): boolean {
  return isHot(slot) && isHot(moved) && slot.current !== moved.current;
}

export interface Settling {
  /** The slot as it may be now. */
  slot: Slot;
  /** Seconds until it may become another; 0 if it has. */
  wait: number;
}

const COLD: Slot[] = [];

/** A slot that remembers nothing. Those of a destination, perhaps a million, are one object. */
export function coldSlot(current: number): Slot {
  return (COLD[current] ??= { current, previous: 0, since: 0 });
}

/**
 * What a hot slot may become now. It may go cold when for the idle time none of its
 * packets went elsewhere than to the current destination: then nobody would notice. After
 * the deadline it forgets its previous destination even if somebody notices. It stays hot
 * then for the sake of the records, since it may have moved more than once.
 */
export function settling(
  slot: Slot,
  kept: number,
  now: number,
  idle: number,
  deadline = Infinity,
): Settling {
  const needed = Math.max(slot.since, kept) + idle - now;
  const remembered = drainedAt(slot) + deadline - now;
  if (needed <= 0) return { slot: coldSlot(slot.current), wait: 0 };
  if (remembered > 0) return { slot, wait: Math.min(needed, remembered) };
  const { current, since } = slot;
  return { slot: { current, previous: NOBODY, since }, wait: needed };
}
