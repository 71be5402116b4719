// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The plan of one service, in words for people and as JSON for programs. */
import type { ModeName } from '../../text/mode.js';
import { formatCount, many } from '../../text/format.js';
import { shortened } from '../../plan/check-names.js';
import { USUAL_FORWARD } from '../../wire/forward.js';
import { printableLine } from '../../text/printable.js';
import type { Plan } from '../../plan/service.js';
import { describeShares, sharesJson } from './shares.js';

const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const TCP_HEADER = 20;

export interface Where {
  interface: string;
  mode: ModeName;
}

/** Describes a plan. Only a service of a config file has a name. */
export function describePlan(
  plan: Plan,
  where: Where,
  isDryRun: boolean,
  name?: string,
): string[] {
  const ssh =
    plan.keepsSsh === undefined ? '' : plan.keepsSsh ? ', ssh kept' : ', ssh taken';
  const ways = plan.ways.join(', ');
  const forward = plan.forward === USUAL_FORWARD ? '' : `, forward ${plan.forward}`;
  const head =
    `${where.interface} [${where.mode}] ${name === undefined ? ways : `${name} (${ways})`}: ` +
    `${many(plan.used, 'destination')} in ${many(plan.slots, 'slot')}${forward}${ssh}`;
  if (plan.writes.length === 0) {
    return [head, '  nothing to do: the table already matches'];
  }
  const counts = [
    `${plan.added.length} added`,
    `${plan.removed.length} removed`,
    ...countDrained(plan.drained.length, isDryRun),
    ...countForgotten(plan.forgotten.length),
    ...countRestored(plan.restored.length),
    `${plan.changed.length} changed`,
    describeMoved(plan, isDryRun),
    ...(plan.isNew ? [] : waysChanged(plan)),
    ...plan.settings.map((setting) => `now ${setting}`),
  ];
  const lines = [
    head,
    ...(isDryRun ? describeShares(plan) : []),
    (isDryRun ? '  would be: ' : '  ') + counts.join(', '),
  ];
  for (const { device, destinations } of plan.exits) {
    const [count, verb] = [destinations.length, isDryRun ? 'would leave' : 'leave'];
    lines.push(
      `  packets for ${many(count, 'destination')} ${verb} by ${printableLine(device)}`,
    );
  }
  if (plan.local.length > 0) {
    const verb = isDryRun ? 'would pass' : 'pass';
    const count = many(plan.local.length, 'destination');
    lines.push(`  packets for ${count} ${verb} to servers on this host`);
  }
  if (plan.isNew && plan.ways.includes('any/tcp')) {
    lines.push(
      '  answers to connections that this host opens are balanced too;' +
        (name === undefined
          ? ' --vip ADDRESS takes one address only'
          : ' name an `address` to take one only'),
    );
  }
  return lines;
}

function waysChanged({ waysAdded, waysRemoved }: Plan): string[] {
  return [
    ...waysAdded.map((way) => `way ${way} added`),
    ...waysRemoved.map((way) => `way ${way} removed`),
  ];
}

/** Destinations are seldom drained, so only a dry run mentions a count of 0. */
export function countDrained(count: number, isDryRun: boolean): string[] {
  return count > 0 || isDryRun ? [`${formatCount(count)} drained`] : [];
}

/** Even a dry run leaves these two out where there is none. */
export function countForgotten(count: number): string[] {
  return count > 0 ? [`${formatCount(count)} forgotten`] : [];
}

export function countRestored(count: number): string[] {
  return count > 0 ? [`${formatCount(count)} restored`] : [];
}

export function describeMoved(
  { slotsMoved, slots, slotsIdeal }: Pick<Plan, 'slotsMoved' | 'slots' | 'slotsIdeal'>,
  isDryRun: boolean,
): string {
  if (!isDryRun) return `${many(slotsMoved, 'slot')} moved`;
  const ideal = formatCount(slotsIdeal);
  return `${formatCount(slotsMoved)} of ${many(slots, 'slot')} moved (ideal: ${ideal})`;
}

export function planJson(plan: Plan): Record<string, unknown> {
  return {
    ways: plan.ways,
    ways_added: plan.waysAdded,
    ways_removed: plan.waysRemoved,
    keeps_ssh: plan.keepsSsh ?? null,
    settings_changed: plan.settings,
    destinations: plan.used,
    destinations_wanted: plan.wanted,
    added: plan.added,
    removed: plan.removed,
    drained: plan.drained,
    forgotten: plan.forgotten,
    restored: plan.restored,
    changed: plan.changed,
    forward: plan.forward,
    exits: plan.exits,
    local: plan.local,
    slots: plan.slots,
    slots_moved: plan.slotsMoved,
    slots_ideal: plan.slotsIdeal,
    forgets: plan.forgets,
    pools_left: plan.poolsLeft,
    shares: sharesJson(plan),
    writes: plan.writes.length,
  };
}

export function planWarnings(plan: Plan, limit: number): string[] {
  const warnings: string[] = [];
  if (plan.used < plan.wanted) {
    warnings.push(
      `${plan.wanted} destinations do not fit a table of ${many(limit, 'destination')} ` +
        `and ${many(plan.slots, 'slot')}; using the first ${plan.used}`,
    );
  }
  for (const { address, slots } of plan.forgets) {
    warnings.push(
      `${many(slots, 'slot')} no longer ${slots === 1 ? 'names' : 'name'} ${address}, whose older connections there break: ` +
        'a slot names two destinations at most, whose addresses end differently',
    );
  }
  for (const why of shortened(plan.unnamed)) {
    warnings.push(`${why}; connections there break when their slots move`);
  }
  for (const pool of plan.poolsLeft) {
    warnings.push(
      `connections that were sent on from ${pool} end: their ports are not those of the service any more`,
    );
  }
  if (plan.isEmpty) {
    warnings.push(
      'every weight is 0, so no slot has a destination and all packets pass to the host',
    );
  }
  return warnings;
}

/** Says in one line which MTU or MSS clients and destinations need. */
export function describeRoom(room: number): string {
  const segment = (header: number): number => Math.max(0, room - header - TCP_HEADER);
  return `  largest packet that fits: ${room} bytes; TCP MSS ${segment(IPV4_HEADER)} (IPv6 ${segment(IPV6_HEADER)})`;
}
