// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What a slot remembers when it moves, and when it may forget. How packets
 * use it, and why, is told in datapath/flows.h.
 */
import { NOBODY } from '../abi/slot.js';
import type { Slot } from '../abi/slot.js';

/** Seconds without a packet for a slot's previous, until the slot may go cold. */
export const DEFAULT_IDLE = 300;

export function isHot(slot: Slot): boolean {
  return slot.previous !== 0;
}

/** Of the destination with this id; undefined: it is gone. */
export type WeightOf = (id: number) => number | undefined;

/**
 * A slot after it goes to a destination. Without `now` the program is of a build that
 * remembers nothing.
 */
export function moveSlot(
  slot: Slot,
  to: number,
  weightOf: WeightOf,
  now: number | undefined,
): Slot {
  if (now === undefined) return { current: to, previous: 0, since: 0 };
  if (isHot(slot)) {
    const moved = { ...slot, current: to, previous: stillOn(slot, to, weightOf) };
    return noteDrained(slot, moved, weightOf, now);
  }
  if (to === slot.current) return slot;
  // Nobody is on an empty slot, or on a destination that is gone.
  if (weightOf(slot.current) === undefined) return { current: to, previous: 0, since: 0 };
  const moved = { current: to, previous: slot.current, since: now };
  return noteDrained(slot, moved, weightOf, now);
}

/** Where connections without a record are, once a hot slot goes to a destination. */
function stillOn(slot: Slot, to: number, weightOf: WeightOf): number {
  const { current, previous } = slot;
  const stands = (id: number): boolean => weightOf(id) !== undefined;
  // Whoever began since is on record, so the first previous stays; but one that
  // is gone for good is forgotten at once, and the records are kept for the rest.
  if (previous !== NOBODY) return stands(previous) ? previous : NOBODY;
  // With nobody to remember, who found no room for a record went to the current one.
  return current !== to && stands(current) ? current : NOBODY;
}

const MINUTE = 60;
/** 45 days: what 16 bits hold. */
const LATEST_DRAINED = 0xffff;

/**
 * A destination may be drained long after its slots moved: its deadline begins then, or
 * up to a minute later.
 */
function noteDrained(slot: Slot, moved: Slot, weightOf: WeightOf, now: number): Slot {
  const { drained, ...rest } = moved;
  if (weightOf(moved.previous) !== 0) return rest;
  if (drained !== undefined && moved.previous === slot.previous) return moved;
  const minutes = Math.ceil((now - moved.since) / MINUTE);
  return { ...rest, drained: Math.min(minutes + 1, LATEST_DRAINED) };
}

/** In seconds. Tables may be of tools that did not note it. */
function drainedAt({ since, drained = 1 }: Slot): number {
  return since + (drained - 1) * MINUTE;
}

/**
 * Whether a slot is then to be noted as kept: up to now its packets went to the
 * current destination, so nobody noted them; from now on some go elsewhere.
 */
export function isKeptByMove(slot: Slot, moved: Slot): boolean {
  return isHot(slot) && isHot(moved) && slot.current !== moved.current;
}

export interface Settling {
  /** The slot as it may be now. */
  slot: Slot;
  /** Seconds until it may be another, where it is not yet. */
  wait: number;
}

export function coldSlot({ current }: Slot): Slot {
  return { current, previous: 0, since: 0 };
}

/**
 * A hot slot may go cold when for the idle time no packet of it went elsewhere
 * than to its current destination: then nobody is left who would notice. After the
 * deadline its previous is forgotten, whoever notices, and the slot stays hot for the
 * sake of the records: it may have moved more than once.
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
  if (needed <= 0) return { slot: coldSlot(slot), wait: 0 };
  if (remembered > 0) return { slot, wait: Math.min(needed, remembered) };
  const { current, since } = slot;
  return { slot: { current, previous: NOBODY, since }, wait: needed };
}
