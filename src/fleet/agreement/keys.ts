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

/** The name at the end of a key that is below such a folder. */
export function nameIn(key: string): string {
  try {
    return decodeURIComponent(key.slice(key.lastIndexOf('/') + 1));
  } catch (error) {
    if (error instanceof URIError) return ''; // whoever wrote it, it is none of ours
    throw error;
  }
}

/** Of a fleet or a node. */
export function checkName(name: string, whose: string): string {
  if (/^[A-Za-z0-9][\w.-]{0,62}$/.test(name)) return name;
  throw new Fault(
    `${JSON.stringify(name)} is no name for ${whose}: at most 63 letters, digits and _ . -, ` +
      'with a letter or a digit in front',
  );
}
