// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Whether a node is behind the others: for a while it could not apply what another one has.
 * Then it leaves packets to them. Where nobody has it, nobody is behind: all would be drained.
 */
import { Fault, tryParse } from '../text/fault.js';
import type { Keys } from './agreement/keys.js';
import { living } from './agreement/keys.js';
import type { Head } from './agreement/records.js';
import { parseNode } from './agreement/records.js';
import type { Store } from './store/store.js';

/** Milliseconds. */
const BEHIND = 10_000;

export interface SeenOfHead {
  now: number;
  /** Undefined: it is not known. */
  head: Head | undefined;
  /** The tables are as it says. */
  isUpTo: boolean;
  /** The store is heard of. */
  isLinked: boolean;
}

export class Behind {
  readonly #store: Pick<Store, 'read'>;
  readonly #keys: Keys;
  /** Of this node. */
  readonly #name: string;
  #since: number | undefined;
  #is = false;

  constructor(store: Pick<Store, 'read'>, keys: Keys, name: string) {
    this.#store = store;
    this.#keys = keys;
    this.#name = name;
  }

  get is(): boolean {
    return this.#is;
  }

  /** Asks the store about the others only if it has to. Returns whether it is behind now, and was not. */
  async see({ now, head, isUpTo, isLinked }: SeenOfHead): Promise<boolean> {
    const before = this.#is;
    if (!head || isUpTo) {
      this.#since = undefined;
      this.#is = false;
      return false;
    }
    this.#since ??= now;
    // Without the store all stays.
    if (!isLinked || now - this.#since < BEHIND) return false;
    const { entries } = await this.#store.read(this.#keys.node());
    this.#is = living(entries, this.#keys.node()).some(
      ([other, { value }]) => other !== this.#name && hasAll(value, head),
    );
    return this.#is && !before;
  }
}

/** Whether a node has what the head tells of, and takes packets. */
function hasAll(text: string, head: Head): boolean {
  const node = tryParse(() => parseNode(text));
  return (
    !(node instanceof Fault) &&
    !node.isDrained &&
    [...head.tables].every(
      ([service, revision]) => node.tables.get(service)?.revision === revision,
    )
  );
}
