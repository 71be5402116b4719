// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Where in the store a fleet keeps what. Below /l4lb/FLEET/ there are:
 *
 *   common           what is wanted of all services, and the secret seed of slots
 *   wanted/SERVICE   what is wanted of it: written by l4lb fleet apply
 *   hand/SERVICE     what hands decided about its destinations
 *   table/SERVICE    its document: written by the leader
 *   head             the revisions of all documents: what every node watches
 *   leader           who decides; goes with its lease
 *   node/NODE        what it has applied; goes with its lease
 *   seen/NODE        what its checker sees; goes with its lease
 *
 * All nodes watch `head` and `leader` only, or a thousand of them would hear of each other
 * all the time. Names are encoded, since those of services may have slashes in them.
 */
import { Fault } from '../../text/fault.js';
import { printableLine } from '../../text/printable.js';

export class Keys {
  readonly #root: string;

  constructor(fleet: string) {
    this.#root = `/l4lb/${checkName(fleet, 'a fleet')}/`;
  }

  /** Below it is all that the fleet has. */
  get root(): string {
    return this.#root;
  }
  get common(): string {
    return `${this.#root}common`;
  }
  get head(): string {
    return `${this.#root}head`;
  }
  get leader(): string {
    return `${this.#root}leader`;
  }

  /** Of a service or a node; all of them without a name. */
  wanted(service?: string): string {
    return this.#below('wanted', service);
  }
  hand(service?: string): string {
    return this.#below('hand', service);
  }
  table(service?: string): string {
    return this.#below('table', service);
  }
  node(name?: string): string {
    return this.#below('node', name);
  }
  seen(name?: string): string {
    return this.#below('seen', name);
  }

  #below(folder: string, name = ''): string {
    return `${this.#root}${folder}/${encodeURIComponent(name)}`;
  }
}

/**
 * What stands below such a place, with its name. A key that we would not write for a name is
 * none of ours: two keys would have one name, and a name could reach a terminal.
 */
export function named<T extends { key: string }>(
  entries: Iterable<T>,
  place: string,
): [name: string, entry: T][] {
  return [...entries].flatMap((entry): [string, T][] => {
    if (!entry.key.startsWith(place)) return [];
    const name = nameOf(entry.key.slice(place.length), place);
    return name === undefined ? [] : [[name, entry]];
  });
}

/**
 * The same of nodes that are alive. What hangs on no lease stays for ever, so it says nothing
 * about who lives, whoever wrote it.
 */
export function living<T extends { key: string; isLeased: boolean }>(
  entries: Iterable<T>,
  place: string,
): [name: string, entry: T][] {
  return named(entries, place).filter(([, { isLeased }]) => isLeased);
}

function nameOf(text: string, place: string): string | undefined {
  try {
    const name = decodeURIComponent(text);
    const isOfNode = /\/(node|seen)\/$/.test(place);
    const isOurs =
      name !== '' &&
      encodeURIComponent(name) === text &&
      printableLine(name) === name &&
      (!isOfNode || isName(name));
    return isOurs ? name : undefined;
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

/** Who leads, for people: anybody may have written it. Null: nobody does. */
export function leaderIn(entry: { value: string } | undefined): string | null {
  return entry ? printableLine(entry.value.slice(0, MOST_NAME)) : null;
}

/** Characters. */
const MOST_NAME = 63;

/** Whether a fleet or a node can have this name. */
export function isName(name: string): boolean {
  return /^[A-Za-z0-9][\w.-]{0,62}$/.test(name);
}

/** Of a fleet or a node. */
export function checkName(name: string, whose: string): string {
  if (isName(name)) return name;
  throw new Fault(
    `${JSON.stringify(name)} is no name for ${whose}: at most 63 letters, digits and _ . -, ` +
      'with a letter or a digit in front',
  );
}
