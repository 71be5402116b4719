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
import { FAMILY_NAMES, familyOfText } from '../wire/outer-source.js';
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

/** What was said for an address; several devices of a host may each have said something. */
export type WitnessesOf = (address: string) => readonly Witness[];

export function witnessesOf(witnesses: readonly Witness[]): WitnessesOf {
  const byAddress = new Map<string, Witness[]>();
  for (const witness of witnesses) {
    for (const address of witness.self) {
      byAddress.set(address, [...(byAddress.get(address) ?? []), witness]);
    }
  }
  return (address) => byAddress.get(address) ?? [];
}

/** Tells whether somebody needs what the slots of a chain remember. */
export function testify(
  all: WitnessesOf,
  { current, previous }: Chain,
  enough: number,
  now: number,
): Testimony {
  let why: string | undefined;
  const doubt = (reason: string): void => {
    why ??= reason;
  };
  // All destinations of a chain are of one family. Without names of it a program does not
  // look at these packets, so it has counted none, whatever came.
  const family = familyOfText(current);
  const of: WitnessesOf = (address) => all(address).filter(({ names }) => names[family]);
  for (const address of [current, ...previous]) {
    const there = of(address);
    const oldest = now - smallest(there.map(({ printed }) => printed));
    if (there.length < all(address).length) {
      doubt(`${address} has no --names for ${FAMILY_NAMES[family]}`);
    } else if (there.length === 0) doubt(`${address} gave no status`);
    else if (oldest > enough) {
      doubt(`the status of ${address} is ${Math.round(oldest)} s old`);
    }
  }
  let [quiet, age] = [Infinity, 0];
  for (const { at, by, as, from } of needsOf(current, previous, of)) {
    if (by === at) doubt(`the two before are one host, ${at}, which counts neither`);
    for (const { siblings } of of(from)) {
      const sibling = siblings.get(at);
      if (!sibling) doubt(`${from} does not know ${at}`);
      else if (sibling.isMisled) doubt(`${from} has a wrong MAC for ${at}`);
      else if (sibling.known < enough) doubt(knownFor(from, at, sibling));
    }
    for (const { siblings, printed } of of(at)) {
      const sibling = siblings.get(by);
      if (!sibling) doubt(`${at} does not know ${by}`);
      else if (sibling.known < enough) doubt(knownFor(at, by, sibling));
      if (now - printed > enough) continue;
      quiet = Math.min(quiet, sibling?.[as] ?? Infinity);
      age = Math.max(age, now - printed);
    }
  }
  const isUsed = quiet < enough;
  // One sign of use is enough, whatever else is unknown.
  if (why !== undefined && !isUsed) return { isSeen: false, why };
  return { isSeen: true, isUsed, age, quiet };
}

function knownFor(one: string, other: string, { known }: SiblingSeen): string {
  return `${one} has known ${other} for ${Math.floor(known)} s only`;
}

/** Follows a packet of the chain that nobody takes, as programs/names.h does. */
function needsOf(current: string, previous: readonly string[], of: WitnessesOf): Need[] {
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
  /** How many of these went cold. */
  settled: number;
  testimony: Testimony;
}

/** A slot by what its destinations said, with its pair. */
export interface Asked {
  pair?: HotPair;
  kept: number;
  idle: number;
}

/** Puts the hot slots of a service together by their destinations. */
export class HotPairs {
  readonly #pairs = new Map<string, HotPair>();
  readonly #of: WitnessesOf;
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
    this.#of = witnessesOf(witnesses);
    this.#enough = enough;
    this.#addressOf = addressOf;
  }

  /** Since when a slot is quiet, and for how long that has to be, as settling() wants it. */
  add(slot: Slot, kept: number, idle: number): Asked {
    const pair = this.#pairOf(slot);
    const { testimony } = pair;
    if (!testimony.isSeen) return { pair, kept, idle };
    // What came after the status was printed is unknown, so that time does not count.
    const { age, quiet } = testimony;
    return {
      pair,
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
    const testimony = testify(this.#of, chain, this.#enough, this.#now);
    const pair = { current, previous, slots: 1, settled: 0, testimony };
    this.#pairs.set(key, pair);
    return pair;
  }
}
