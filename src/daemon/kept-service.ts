// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A service with what l4lbd does for it: what its destinations get by its health, as far as
 * its slots may move, and what of that is told.
 */
import type { Weight } from '../api/events.js';
import type { Cause } from '../api/status.js';
import type { MostMoves, Moves } from '../health/moves.js';
import { firstMoves, mayMove, refill, spend, waitFor } from '../health/moves.js';
import type { ServiceHealth } from '../health/service.js';
import type { Given, Shares } from '../health/weights.js';
import type { ResolvedService } from '../plan/all.js';
import type { Plan } from '../plan/service.js';
import { at } from '../text/must.js';
import type { Journal } from './journal.js';
import type { View } from './notify.js';

/** What it needs to know of the service itself. */
type Asked = Pick<ResolvedService, 'slots' | 'check'>;

export interface Service<Resolved extends Asked = ResolvedService> {
  resolved: Resolved;
  health: ServiceHealth;
  live: Given[];
  most: MostMoves;
  moves: Moves;
  shares: Shares;
  isPostponed: boolean;
}

/** What the service was before, if it was there, goes on. */
export function keptService<Resolved extends Asked>(
  health: ServiceHealth,
  resolved: Resolved,
  before: Service<Resolved> | undefined,
): Service<Resolved> {
  const now = performance.now();
  const most = {
    // Until the first fill says how many there are.
    slots: before?.most.slots ?? resolved.slots ?? 1,
    percent: resolved.check?.mostMoves ?? 100,
  };
  const moves = before?.moves ?? firstMoves(now, most);
  // What nothing was told of yet is told when it is so.
  const untold = { ...health.shares(now), isPanic: false, onBackup: false };
  const shares = before?.shares ?? untold;
  const live = health.live();
  return { resolved, health, live, most, moves, shares, isPostponed: false };
}

/** What is told of it in one line. */
export function viewOf({ health: { name, destinations }, shares }: Service): View {
  return { name, isPanic: shares.isPanic, destinations };
}

/** What a service gets now: what its health says, as far as its slots may move. */
export function decide(service: Service<Asked>, now: number, journal: Journal): Given[] {
  const { health, live, most } = service;
  const shares = health.shares(now);
  tellShares(service, shares, journal);
  service.moves = refill(service.moves, now, most);
  if (mayMove(service.moves)) {
    service.isPostponed = false;
    return shares.given;
  }
  const kept = shares.given.map((one, index) => {
    const before = at(live, index);
    // To forget a destination that has no slot moves none.
    return one.weight === before.weight ? one : before;
  });
  if (!service.isPostponed && !isEqual(kept, shares.given)) {
    service.isPostponed = true;
    const wait = waitFor(service.moves, most);
    journal.add({ kind: 'postponed', service: health.name, wait });
  }
  return kept;
}

function tellShares(service: Service<Asked>, shares: Shares, journal: Journal): void {
  const { name } = service.health;
  const { isPanic, onBackup, healthy, whole } = shares;
  const before = service.shares;
  service.shares = shares;
  if (isPanic !== before.isPanic)
    journal.add({ kind: 'panic', service: name, begins: isPanic, healthy, whole });
  if (onBackup !== before.onBackup)
    journal.add({ kind: 'backup', service: name, begins: onBackup });
}

/** Takes what the tables give its destinations from now on. */
export function takeFill(
  service: Service<Asked>,
  given: Given[],
  {
    slots,
    slotsMoved: moved,
    slotsIdeal: ideal,
  }: Pick<Plan, 'slots' | 'slotsMoved' | 'slotsIdeal'>,
  { cause, took }: { cause: Cause; took: number },
  journal: Journal,
): void {
  const { health } = service;
  const weights = weightsOf(service, given);
  // The file may leave open how many there are.
  if (service.most.slots !== slots) {
    service.most = { ...service.most, slots };
    service.moves = firstMoves(performance.now(), service.most);
  }
  service.live = given;
  health.setLive(given);
  // What the file or a hand changed is not health's.
  if (cause === 'health') service.moves = spend(service.moves, moved);
  if (weights.length === 0 && moved === 0) return;
  const counts = { weights, moved, ideal, took: Math.round(took) };
  journal.add({ kind: 'filled', service: health.name, cause, ...counts });
}

/** The weights that change. */
export function weightsOf(
  { health, live }: Service<Asked>,
  after: readonly Given[],
): Weight[] {
  return after.flatMap((one, place): Weight[] => {
    const before = at(live, place).weight;
    const destination = at(health.destinations, place).name;
    return before === one.weight ? [] : [{ destination, before, after: one.weight }];
  });
}

export function isEqual(one: readonly Given[], other: readonly Given[]): boolean {
  return one.every(({ weight, isForgotten }, index) => {
    const { weight: otherWeight, isForgotten: isOther } = at(other, index);
    return weight === otherWeight && isForgotten === isOther;
  });
}
