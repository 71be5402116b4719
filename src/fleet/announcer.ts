// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What a node announces to routers: services that it can carry, and nothing else. */
import type { WantedService } from '../config/read.js';
import { addressesOf } from '../config/via.js';
import type { Context } from '../program/tools.js';
import type { Announcement } from './announce/routes.js';
import { announce } from './announce/routes.js';

/** A service, as far as it matters to routers. */
export interface Announced {
  service: Pick<WantedService, 'ways' | 'check'>;
  /** Its tables have been filled here. */
  isApplied: boolean;
  /** No destination of it serves. */
  isDown: boolean;
}

/**
 * An address is announced when all of its services are in the tables. One whose service is
 * down and wants to be withdrawn is not, unless another service has it too.
 */
export function announcements(
  services: readonly Announced[],
  isDrained: boolean,
): Announcement[] {
  const carried = new Map<string, { isApplied: boolean; isUp: boolean }>();
  for (const { service, isApplied, isDown } of services) {
    const isWithdrawn = isDown && service.check?.allDown === 'withdraw';
    for (const address of addressesOf(service)) {
      const before = carried.get(address) ?? { isApplied: true, isUp: false };
      carried.set(address, {
        isApplied: before.isApplied && isApplied,
        isUp: before.isUp || !isWithdrawn,
      });
    }
  }
  return [...carried].flatMap(([address, { isApplied, isUp }]) =>
    isApplied && isUp ? [{ address, isDrained }] : [],
  );
}

export class Announcer {
  readonly #tools: Pick<Context, 'run'>;
  readonly #table: number;
  #last: readonly Announcement[] | undefined;

  constructor(tools: Pick<Context, 'run'>, table: number) {
    this.#tools = tools;
    this.#table = table;
  }

  /** As it was left last. */
  get last(): readonly Announcement[] {
    return this.#last ?? [];
  }

  /** Returns whether this is any different. */
  async say(wanted: readonly Announcement[]): Promise<boolean> {
    if (this.#last && JSON.stringify(wanted) === JSON.stringify(this.#last)) return false;
    await announce(this.#tools, this.#table, wanted);
    this.#last = wanted;
    return true;
  }
}
