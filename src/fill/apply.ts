// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Settles slots for l4lb-map: once, or with --wait again and again until no slot is hot.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import type { Context } from '../program/tools.js';
import type { Attached, Maps } from '../program/find.js';
import { mapsNow } from '../program/find.js';
import type { ServerSeen } from '../program/steering.js';
import { keepSteering } from '../program/steering.js';
import type { WantedService } from '../config/read.js';
import type { Planned, Warm } from './from-rows.js';
import { applyPlan } from './from-rows.js';
import { matchServices } from '../plan/match-services.js';
import { UsageFailure } from '../text/failure.js';
import { deviceLock, withLock } from '../system/lock.js';
import { idleOf } from '../plan/hot-slots.js';
import type { Plan } from '../plan/service.js';
import type { Service } from '../plan/services.js';
import { SlotTable } from '../plan/slots.js';
import type { KnownTables, Patience, SettleOptions } from './settle.js';
import { settle } from './settle.js';
import type { SettledSlots } from './text/settled.js';
import { readWitnesses } from './used.js';

export interface SettleFlags {
  /** False: a fill turns no slot cold, not even those that are ready. */
  settle?: boolean;
  idle?: number;
  /** Turns all slots cold, ready or not. */
  now?: boolean;
  /** Waits until no slot is hot. */
  wait?: boolean;
  /** Files of what destinations printed about their connections. */
  used?: string[];
  /** Seconds for which no destination may have needed a slot's memory. */
  quiet?: number;
  dryRun?: boolean;
}

/** The most seconds between two looks, since the slots may change meanwhile. */
const LONGEST_WAIT = 30;

/** Throws if two flags contradict each other, before anything is tried. */
export function checkSettle(flags: SettleFlags): void {
  const { settle, now, wait, used, quiet, dryRun } = flags;
  if (settle === false && wait) {
    throw new UsageFailure('--no-settle does not go with --wait', {
      cause: 'it turns no slot cold, so there is nothing to wait for',
      next: 'leave one of them out',
    });
  }
  if (!settle && (now ?? used ?? quiet) !== undefined) {
    throw new UsageFailure('--now, --used and --quiet work only with --settle', {
      next: 'add --settle',
    });
  }
  if (quiet !== undefined && !used) {
    throw new UsageFailure('--quiet is about what destinations said', {
      next: 'add --used FILE, or give --idle in its place',
    });
  }
  if (dryRun && wait) {
    throw new UsageFailure('--dry-run does not go with --wait', {
      cause: 'it turns no slot cold, so there is nothing to wait for',
      next: 'leave --wait out',
    });
  }
  if (used && (now ?? wait)) {
    throw new UsageFailure('--used does not go with --wait or --now', {
      cause: 'what destinations said once does not get newer, and --now asks nobody',
      next: 'print their status anew, and run --settle --used again',
    });
  }
}

export async function settleSlots(
  tools: Context,
  attached: Attached,
  flags: SettleFlags,
  config: readonly WantedService[] = [],
): Promise<SettledSlots> {
  const options = optionsFor(flags, config);
  const result = await withLock(tools.run, deviceLock(attached.link), async (lock) =>
    settle(tools, await mapsNow(tools, attached), options, lock),
  );
  return waitForRest(tools, attached, flags, result, config);
}

export interface Filled<P> {
  plan: P;
  /** Undefined where nothing was to be written. */
  settled: SettledSlots | undefined;
  /** Those on this host that packets are for. */
  servers: ServerSeen[];
  /** The tables as they are now. */
  after: Warm;
}

/**
 * A fill leaves hot slots, and this is also the moment to settle those that earlier fills
 * left, in all services. Both happen under one lock, so what the plan has read is still
 * true. Only the slots of services that the plan did not need are read here.
 */
export async function fillAndSettle<P extends Pick<Plan, 'writes' | 'after'>>(
  tools: Context,
  attached: Attached,
  flags: SettleFlags,
  makePlan: (maps: Maps) => Promise<Planned<P>>,
): Promise<Filled<P>> {
  const { settled, ...filled } = await withLock(
    tools.run,
    deviceLock(attached.link),
    async (lock) => {
      const { maps, made } = await planNow(tools, attached, makePlan);
      const slotsOf = new Set(made.services.map(({ id }) => id));
      if (flags.dryRun) {
        const after = { state: made.live, slotsOf };
        return { plan: made.plan, settled: undefined, servers: [], after };
      }
      const steering = { device: attached.link, maps: Object.values(maps), lock };
      const { live, plan } = made;
      await keepSteering(tools, [live, plan.after], steering);
      await applyPlan(tools, maps, made, lock);
      const servers = await keepSteering(tools, [plan.after], steering);
      const { after: tables } = made.plan;
      const after = { slots: new SlotTable(), device: tables.device };
      const known: KnownTables = { tables, slotsOf, after };
      const settles = flags.settle !== false;
      const settled = await settle(
        tools,
        maps,
        optionsFor(settles ? {} : { settle: false }, []),
        lock,
        known,
      );
      const slots =
        after.slots.size === 0
          ? tables.slots
          : new SlotTable([tables.slots, after.slots]);
      const state = { ...tables, device: after.device, slots };
      return { plan: made.plan, settled, servers, after: { state, slotsOf } };
    },
  );
  return {
    ...filled,
    settled: settled && (await waitForRest(tools, attached, flags, settled)),
  };
}

/**
 * Makes the plan for the program that is attached now: it may have been replaced
 * meanwhile. That is rare, so the plan is made while the question is asked, which takes
 * as long. If the program was replaced, the plan is made anew.
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

/** With --wait: settles again until no slot is hot. */
async function waitForRest(
  tools: Context,
  attached: Attached,
  flags: SettleFlags,
  before: SettledSlots,
  config: readonly WantedService[] = [],
): Promise<SettledSlots> {
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
    which: flags.now ? 'all' : flags.settle === false ? 'none' : 'ready',
    looks: flags.settle ?? false,
    isDryRun: flags.dryRun ?? false,
    used: flags.used && { witnesses: readWitnesses(flags.used), quiet: flags.quiet },
  };
}

/**
 * For each service: what the config file says, else what the command line of --settle
 * says, else what the service has. A fill has stored its own --idle there by now.
 */
function patienceOf(
  services: readonly Service[],
  flags: SettleFlags,
  config: readonly WantedService[],
): Map<number, Patience> {
  const asked = flags.settle ? flags.idle : undefined;
  const patience = new Map<number, Patience>(
    services.map((service) => [
      service.id,
      {
        idle: asked ?? idleOf(service),
        drainDeadline: service.drainDeadline || undefined,
      },
    ]),
  );
  for (const [wanted, service] of matchServices(services, config)) {
    const { id, drainDeadline, flags } = service;
    const idle = wanted.idle ?? asked ?? idleOf({ idle: 0, flags });
    patience.set(id, {
      idle,
      drainDeadline: (wanted.drainDeadline ?? drainDeadline) || undefined,
    });
  }
  return patience;
}
