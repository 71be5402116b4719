// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb-map's part in settling: once, or again and again until no slot is hot. */
import { setTimeout as sleep } from 'node:timers/promises';

import type { Context } from '../program/tools.js';
import type { Attached, Maps } from '../program/find.js';
import { mapsNow } from '../program/find.js';
import type { WantedService } from '../config/read.js';
import type { Planned } from './from-rows.js';
import { applyPlan } from './from-rows.js';
import { many } from '../text/format.js';
import { matchServices } from '../plan/match-services.js';
import { deviceLock, withLock } from '../system/lock.js';
import { DEFAULT_IDLE } from '../plan/hot-slots.js';
import type { Plan } from '../plan/service.js';
import type { Service } from '../plan/services.js';
import type { KnownTables, Patience, SettleOptions, Settled } from './settle.js';
import { settle } from './settle.js';

export interface SettleFlags {
  settle?: boolean;
  idle?: number;
  /** Turn all cold, ready or not. */
  now?: boolean;
  /** Stay until no slot is hot. */
  wait?: boolean;
}

/** No longer between two looks, since traffic may have kept a slot meanwhile. */
const LONGEST_WAIT = 30;

export async function settleSlots(
  tools: Context,
  attached: Attached,
  flags: SettleFlags,
  config: readonly WantedService[] = [],
): Promise<Settled> {
  const result = await withLock(tools.run, deviceLock(attached.link), async (lock) =>
    settle(tools, await mapsNow(tools, attached), optionsFor(flags, config), lock),
  );
  return waitForRest(tools, attached, flags, result, config);
}

export interface Filled<P> {
  plan: P;
  /** Undefined: nothing was to be written. */
  settled: Settled | undefined;
}

/**
 * A fill leaves hot slots, and finds those of earlier ones ready: of all services.
 * Both are done under one lock, so that what the plan has read is still true, and
 * only the slots of services that it did not need are read.
 */
export async function fillAndSettle<P extends Pick<Plan, 'writes' | 'after'>>(
  tools: Context,
  attached: Attached,
  flags: SettleFlags & { dryRun?: boolean },
  makePlan: (maps: Maps) => Promise<Planned<P>>,
): Promise<Filled<P>> {
  const { plan, settled } = await withLock(
    tools.run,
    deviceLock(attached.link),
    async (lock) => {
      const { maps, made } = await planNow(tools, attached, makePlan);
      if (flags.dryRun) return { plan: made.plan, settled: undefined };
      await applyPlan(tools, maps, made, lock);
      const known: KnownTables = {
        tables: made.plan.after,
        slotsOf: new Set(made.services.map(({ id }) => id)),
      };
      const options = optionsFor({}, []);
      return {
        plan: made.plan,
        settled: await settle(tools, maps, options, lock, known),
      };
    },
  );
  return {
    plan,
    settled: settled && (await waitForRest(tools, attached, flags, settled)),
  };
}

/**
 * The program may have been replaced meanwhile. It rarely was, so that is asked while the
 * plan is made, which is as long a wait; if it was the plan is made anew.
 */
async function planNow<P>(
  tools: Context,
  attached: Attached,
  makePlan: (maps: Maps) => Promise<P>,
): Promise<{ maps: Maps; made: P }> {
  const [asked, made] = await Promise.allSettled([
    mapsNow(tools, attached),
    makePlan(attached.maps),
  ]);
  if (asked.status === 'rejected') throw asked.reason;
  const { value: maps } = asked;
  if (maps !== attached.maps) return { maps, made: await makePlan(maps) };
  if (made.status === 'rejected') throw made.reason;
  return { maps, made: made.value };
}

/** With --wait: until no slot is hot. */
async function waitForRest(
  tools: Context,
  attached: Attached,
  flags: SettleFlags,
  before: Settled,
  config: readonly WantedService[] = [],
): Promise<Settled> {
  if (!flags.wait || before.hot === 0) return before;
  await sleep(Math.min(LONGEST_WAIT, before.wait + 1) * 1000);
  const after = await settleSlots(tools, attached, flags, config);
  return {
    ...after,
    settled: before.settled + after.settled,
    forgotten: before.forgotten + after.forgotten,
  };
}

function optionsFor(flags: SettleFlags, config: readonly WantedService[]): SettleOptions {
  return {
    patience: (services) => patienceOf(services, flags, config),
    all: flags.now ?? false,
  };
}

/**
 * What the config file says of a service, or else the command line of --settle, or
 * else what the service has: a fill has stored its own --idle there by now.
 */
function patienceOf(
  services: readonly Service[],
  flags: SettleFlags,
  config: readonly WantedService[],
): Map<number, Patience> {
  const asked = flags.settle ? flags.idle : undefined;
  const patience = new Map<number, Patience>(
    services.map(({ id, idle, drainDeadline }) => [
      id,
      {
        idle: asked ?? (idle || DEFAULT_IDLE),
        drainDeadline: drainDeadline || undefined,
      },
    ]),
  );
  for (const [wanted, { id, drainDeadline }] of matchServices(services, config)) {
    const idle = wanted.idle ?? asked ?? DEFAULT_IDLE;
    patience.set(id, {
      idle,
      drainDeadline: (wanted.drainDeadline ?? drainDeadline) || undefined,
    });
  }
  return patience;
}

export function describeSettled(
  { settled, forgotten, hot, wait }: Settled,
  device: string,
): string[] {
  const lines: string[] = [];
  if (settled > 0) lines.push(`  ${many(settled, 'slot')} went cold`);
  if (forgotten > 0) {
    lines.push(
      `  ${many(forgotten, 'slot')} forgot a drained destination, whose deadline has passed`,
    );
  }
  if (hot > 0) {
    lines.push(
      `  ${many(hot, 'slot')} hot, remembering their previous destinations; the next may go cold in ${wait} s: l4lb-map -i ${device} --settle`,
    );
  }
  return lines;
}

export function settledJson(result: Settled): Record<string, number> {
  return {
    slots_settled: result.settled,
    slots_forgot: result.forgotten,
    slots_hot: result.hot,
    next_settles_in_s: result.wait,
  };
}
