// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The balancers of a run on one switch. The first carries all packets, until the second
 * takes over or carries half of them.
 */
import type { Row, Schedule, Step } from './changes.js';
import { addressOf, macOf } from './changes.js';
import type { Roles } from './roles.js';
import type { Place, Tables } from './tables.js';
import { SERVICE } from './testbed.js';

export const FIRST: Place = {
  role: 'balancer',
  address: '10.0.0.4',
  mac: '02:00:00:00:00:04',
};

export function needsSecond({ steps }: Schedule): boolean {
  return steps.some(({ change: { kind } }) => kind === 'takeover' || kind === 'both');
}

export class Balancers {
  readonly #roles: Roles;
  readonly #tables: Tables;
  readonly #first: readonly Row[];
  readonly #second: Place;
  /** Those that carry packets. */
  #carriers: Place[] = [FIRST];

  constructor(roles: Roles, schedule: Schedule, tables: Tables) {
    this.#roles = roles;
    this.#tables = tables;
    this.#first = schedule.first;
    // One namespace more than there are destinations stands in for the second balancer.
    const number = schedule.destinations + 1;
    const role = `destination${number}`;
    this.#second = { role, address: addressOf({ number }), mac: macOf({ number }) };
  }

  get carriers(): readonly Place[] {
    return this.#carriers;
  }

  async start(): Promise<void> {
    this.#tables.use(this.#first);
    await this.#tables.catchUp(FIRST);
  }

  /** Makes one change with the tools that an operator would use. */
  async change({ change, rows }: Step): Promise<void> {
    if (change.kind === 'replace') {
      for (const place of this.#carriers) await this.#tables.replace(place);
      return;
    }
    this.#tables.use(rows);
    if (change.kind === 'both') await this.#carryBy([FIRST, this.#second]);
    else if (change.kind === 'takeover') {
      await this.#carryBy([this.#carriers.includes(this.#second) ? FIRST : this.#second]);
    } else for (const place of this.#carriers) await this.#tables.catchUp(place);
  }

  /** Fills those that shall carry packets from now on, then gives them the client's. */
  async #carryBy(places: Place[]): Promise<void> {
    for (const place of places) await this.#tables.catchUp(place);
    this.#carriers = places;
    const hops = places.flatMap(({ address }) => [
      ...(places.length > 1 ? ['nexthop'] : []),
      ...['via', address, 'dev', 'eth0'],
    ]);
    const mtu = ['mtu', '1480'];
    const what = 'could not switch the route of the client';
    // By ports too, or all connections of the one client would go one way.
    const policy = ['-qw', 'net.ipv4.fib_multipath_hash_policy=1'];
    if (places.length > 1) await this.#roles.within('client', what, 'sysctl', policy);
    await this.#roles.within('client', what, 'ip', [
      ...['route', 'replace', `${SERVICE.vip}/32`],
      ...(places.length > 1 ? [...mtu, ...hops] : [...hops, ...mtu]),
    ]);
  }
}
