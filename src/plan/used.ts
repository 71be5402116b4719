// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Which hot slots are still needed, by what their destinations say. A destination counts
 * the packets that came from a sibling and found a socket: as long as they come, slots
 * that moved from it to that sibling need their memory.
 *
 * The packets of a slot with two names, to B with A and then C, come to A still naming C.
 * There they look like those that a balancer sends to A and that name C. So what A counts
 * of these may be too much, but never too little.
 */
import type { Slot } from '../abi/slot.js';
import type { DestinationStatus, SiblingSeen } from '../config/destination-status.js';
import { smallest } from '../text/lists.js';
import { formatAddress } from '../wire/address.js';
import type { AddressOf } from './names.js';
import { chainOf } from './names.js';

/** The seconds that have to be quiet, unless the service waits for less or the user says it. */
export const USUAL_QUIET = 300;

/** What a destination said, and when, in seconds of the clock of the tables. */
export interface Witness extends DestinationStatus {
  /** The file it comes from, for messages. */
  file: string;
  printed: number;
}

/** A hot slot by the addresses of its destinations. */
export interface Chain {
  current: string;
  previous: readonly string[];
}

export interface Unwitnessed {
  isSeen: false;
  /** Why nobody can tell, without a full stop. */
  why: string;
}

export interface Witnessed {
  isSeen: true;
  /** Whether a packet needed the memory within the time that has to be quiet. */
  isUsed: boolean;
  /** Until when the memory was looked after, in seconds before now. */
  age: number;
  /** For how many seconds before that nobody has needed the memory. */
  quiet: number;
}

export type Testimony = Witnessed | Unwitnessed;

/** Where packets of a chain are counted if they need its memory. */
interface Need {
  /** Who counts. */
  at: string;
  /** The sibling by which it counts. */
  by: string;
  as: 'found' | 'named';
  /** Who sends on to it. */
  from: string;
}

/** Tells whether somebody needs what the slots of a chain remember. */
export function testify(
  witnesses: readonly Witness[],
  { current, previous }: Chain,
  enough: number,
  now: number,
): Testimony {
  const unseen = (why: string): Unwitnessed => ({ isSeen: false, why });
  const of = (address: string): Witness[] =>
    witnesses.filter(({ self }) => self.includes(address));
  for (const address of [current, ...previous]) {
    const there = of(address);
    if (there.length === 0) return unseen(`${address} gave no status`);
    const oldest = now - smallest(there.map(({ printed }) => printed));
    if (oldest > enough) {
      return unseen(`the status of ${address} is ${Math.round(oldest)} s old`);
    }
  }
  const needs = needsOf(current, previous, of);
  let quiet = Infinity;
  let age = 0;
  let isUsed = false;
  let why: string | undefined;
  for (const need of needs) {
    if (need.by === need.at) {
      return unseen(`the two before are one host, ${need.at}, which counts neither`);
    }
    for (const there of of(need.from)) {
      const sibling = there.siblings.get(need.at);
      if (!sibling) return unseen(`${need.from} does not know ${need.at}`);
      if (sibling.isMisled) return unseen(`${need.from} has a wrong MAC for ${need.at}`);
      if (sibling.known < enough) why = knownFor(need.from, need.at, sibling);
    }
    for (const there of of(need.at)) {
      const sibling = there.siblings.get(need.by);
      if (!sibling) return unseen(`${need.at} does not know ${need.by}`);
      if (sibling.known < enough) why = knownFor(need.at, need.by, sibling);
      const last = sibling[need.as] ?? Infinity;
      if (last < enough) isUsed = true;
      quiet = Math.min(quiet, last);
      age = Math.max(age, now - there.printed);
    }
  }
  // One sign of use is enough, however short the time.
  if (why !== undefined && !isUsed) return unseen(why);
  return { isSeen: true, isUsed, age, quiet };
}

function knownFor(one: string, other: string, { known }: SiblingSeen): string {
  return `${one} has known ${other} for ${Math.floor(known)} s only`;
}

/** Follows a packet of the chain that nobody takes, as programs/names.h does. */
function needsOf(
  current: string,
  previous: readonly string[],
  of: (address: string) => readonly DestinationStatus[],
): Need[] {
  const isOneHost = (one: string, other: string): boolean =>
    one === other || of(one).some(({ self }) => self.includes(other));
  // A host has the sockets of all of its addresses, so it passes over its own names.
  const isOwn = previous.map((address) => isOneHost(current, address));
  const [first, second] = isOwn[0] ? previous.slice(1) : previous;
  if (first === undefined || isOneHost(current, first)) return [];
  if (second === undefined) {
    return [{ at: first, by: current, as: 'found', from: current }];
  }
  const by = isOneHost(first, second) ? first : second;
  const need: Need = { at: first, by, as: 'named', from: current };
  // The current one has taken what is its own before.
  if (isOneHost(current, second)) return [need];
  return [need, { at: second, by: first, as: 'found', from: first }];
}

/** The hot slots that have the same destinations, and what is known of their need. */
export interface HotPair extends Chain {
  slots: number;
  testimony: Testimony;
}

/** Puts the hot slots of a service together by their destinations. */
export class HotPairs {
  readonly #pairs = new Map<string, HotPair>();
  readonly #witnesses: readonly Witness[];
  readonly #enough: number;
  readonly #addressOf: AddressOf;

  readonly #now: number;

  /** `enough` is the time in seconds that has to be quiet. */
  constructor(
    witnesses: readonly Witness[],
    enough: number,
    addressOf: AddressOf,
    now: number,
  ) {
    this.#now = now;
    this.#witnesses = witnesses;
    this.#enough = enough;
    this.#addressOf = addressOf;
  }

  /** Since when a slot is quiet, and for how long that has to be, as settling() wants it. */
  add(slot: Slot, kept: number, idle: number): { kept: number; idle: number } {
    const { testimony } = this.#pairOf(slot);
    if (!testimony.isSeen) return { kept, idle };
    // What came after the status was printed is unknown, so that time does not count.
    const { age, quiet } = testimony;
    return {
      kept: Math.floor(this.#now - age - quiet),
      idle: Math.ceil(this.#enough + age),
    };
  }

  all(): HotPair[] {
    return [...this.#pairs.values()];
  }

  #pairOf(slot: Slot): HotPair {
    const ids = [slot.current, ...chainOf(slot)];
    const key = ids.join(' ');
    const known = this.#pairs.get(key);
    if (known) {
      known.slots++;
      return known;
    }
    const [current = '', ...previous] = ids.map((id) => {
      const address = this.#addressOf(id);
      return address ? formatAddress(address) : `destination ${id}, which is gone,`;
    });
    const chain = { current, previous };
    const testimony = testify(this.#witnesses, chain, this.#enough, this.#now);
    const pair = { current, previous, slots: 1, testimony };
    this.#pairs.set(key, pair);
    return pair;
  }
}
