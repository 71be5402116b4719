// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The slots of a device by number. A plan looks at all of them several times and copies
 * them, and there may be a million, so they lie in arrays: a map takes ten times as long.
 */
import type { Slot } from '../abi/slot.js';

/** What a map of slots can do, too. */
export interface Slots {
  readonly size: number;
  get(key: number): Slot | undefined;
  forEach(take: (slot: Slot, key: number) => void): void;
  values(): Iterable<Slot>;
  keys(): Iterable<number>;
  [Symbol.iterator](): Iterator<[number, Slot]>;
}

/** A service may have the last ones only. */
const PAGE = 1 << 12;

type Page = (Slot | undefined)[];

export class SlotTable implements Slots {
  #pages: (Page | undefined)[] = [];
  #size = 0;

  /** Copies each of them; of those that are in several, the last one counts. */
  constructor(all: readonly Slots[] = []) {
    for (const slots of all) this.setAll(slots);
  }

  get size(): number {
    return this.#size;
  }

  get(key: number): Slot | undefined {
    return this.#pages[Math.floor(key / PAGE)]?.[key % PAGE];
  }

  set(key: number, slot: Slot): void {
    const page = (this.#pages[Math.floor(key / PAGE)] ??= new Array<undefined>(PAGE).fill(
      undefined,
    ));
    if (page[key % PAGE] === undefined) this.#size++;
    page[key % PAGE] = slot;
  }

  setAll(slots: Slots): void {
    if (slots instanceof SlotTable && this.#size === 0) {
      this.#pages = slots.#pages.map((page) => page?.slice());
      this.#size = slots.#size;
    } else {
      slots.forEach((slot, key) => this.set(key, slot));
    }
  }

  forEach(take: (slot: Slot, key: number) => void): void {
    this.#pages.forEach((page, number) => {
      for (let index = 0; page && index < PAGE; index++) {
        const slot = page[index];
        if (slot) take(slot, number * PAGE + index);
      }
    });
  }

  *[Symbol.iterator](): Iterator<[number, Slot]> {
    for (const [number, page] of this.#pages.entries()) {
      for (const [index, slot] of page?.entries() ?? []) {
        if (slot) yield [number * PAGE + index, slot];
      }
    }
  }

  *keys(): Iterable<number> {
    for (const [key] of this) yield key;
  }

  *values(): Iterable<Slot> {
    for (const [, slot] of this) yield slot;
  }
}

export function someSlot(slots: Slots, isSo: (slot: Slot) => boolean): boolean {
  let isFound = false;
  slots.forEach((slot) => (isFound ||= isSo(slot)));
  return isFound;
}
