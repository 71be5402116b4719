// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The plan for a config file, in words for people and as JSON for programs. */
import { formatCount, many } from '../../text/format.js';
import type { ConfigPlan } from '../../plan/all.js';
import type { Where } from './service.js';
import {
  countDrained,
  countForgotten,
  countRestored,
  describeMoved,
  describePlan,
  planJson,
  planWarnings,
} from './service.js';

interface Totals {
  services: number;
  removed: number;
  destinations: number;
  added: number;
  gone: number;
  drained: number;
  forgotten: number;
  restored: number;
  changed: number;
  slots: number;
  slotsMoved: number;
  slotsIdeal: number;
}

function totalsOf({ services, removed }: ConfigPlan): Totals {
  const sum = (values: number[]): number => values.reduce((a, b) => a + b, 0);
  const plans = services.map(({ plan }) => plan);
  return {
    services: services.length,
    removed: removed.length,
    destinations: sum(plans.map(({ used }) => used)),
    added: sum(plans.map(({ added }) => added.length)),
    gone: sum([
      ...plans.map((plan) => plan.removed.length),
      ...removed.map(({ destinations }) => destinations.length),
    ]),
    drained: sum(plans.map(({ drained }) => drained.length)),
    forgotten: sum(plans.map(({ forgotten }) => forgotten.length)),
    restored: sum(plans.map(({ restored }) => restored.length)),
    changed: sum(plans.map(({ changed }) => changed.length)),
    slots: sum(plans.map(({ slots }) => slots)),
    slotsMoved: sum(plans.map(({ slotsMoved }) => slotsMoved)),
    slotsIdeal: sum(plans.map(({ slotsIdeal }) => slotsIdeal)),
  };
}

export function describeConfigPlan(
  made: ConfigPlan,
  where: Where,
  isDryRun: boolean,
): string[] {
  const totals = totalsOf(made);
  const counts = [
    many(totals.services, 'service'),
    ...(totals.removed > 0 ? [`${totals.removed} removed`] : []),
  ];
  const changes = [
    `${formatCount(totals.added)} added`,
    `${formatCount(totals.gone)} removed`,
    ...countDrained(totals.drained, isDryRun),
    ...countForgotten(totals.forgotten),
    ...countRestored(totals.restored),
    `${formatCount(totals.changed)} changed`,
    describeMoved(totals, isDryRun),
  ];
  const nothing = 'nothing to do: the tables already match';
  return [
    ...made.services.flatMap(({ name, plan }) =>
      describePlan(plan, where, isDryRun, name),
    ),
    ...describeRemoved(made, where, isDryRun),
    ...(made.removesFirst ? [REMOVES_FIRST] : []),
    `in all: ${counts.join(', ')}`,
    made.writes.length === 0
      ? `  ${nothing}`
      : `  ${isDryRun ? 'would be: ' : ''}${changes.join(', ')}`,
  ];
}

const REMOVES_FIRST =
  '  there is no room for old and new services together, so the old ones go first: ' +
  'for a moment, packets to their ways find no service';

function describeRemoved(
  { removed }: ConfigPlan,
  where: Where,
  isDryRun: boolean,
): string[] {
  return removed.flatMap(({ ways, destinations, slots }) => {
    const count = many(destinations.length, 'destination');
    const verb = isDryRun ? 'would be removed' : 'removed';
    const head = `${where.interface} [${where.mode}] `;
    return slots === 0
      ? [
          `${head}${count} without a service, left by a fill that was cut short`,
          `  ${verb}`,
        ]
      : [
          `${head}${ways.join(', ')}: ${count} in ${many(slots, 'slot')}`,
          ...(isDryRun ? destinations.map((address) => `  - ${address}`) : []),
          `  ${verb}, since it is not in the file`,
        ];
  });
}

export function configPlanJson(made: ConfigPlan): Record<string, unknown> {
  const totals = totalsOf(made);
  return {
    services: made.services.map(({ name, plan }) => ({ name, ...planJson(plan) })),
    services_removed: made.removed,
    removes_first: made.removesFirst,
    totals: {
      services: totals.services,
      services_removed: totals.removed,
      destinations: totals.destinations,
      added: totals.added,
      removed: totals.gone,
      drained: totals.drained,
      forgotten: totals.forgotten,
      restored: totals.restored,
      changed: totals.changed,
      slots: totals.slots,
      slots_moved: totals.slotsMoved,
      slots_ideal: totals.slotsIdeal,
      writes: made.writes.length,
    },
  };
}

export function configWarnings({ services }: ConfigPlan, limit: number): string[] {
  return services.flatMap(({ name, plan }) =>
    planWarnings(plan, limit).map((warning) => `${name}: ${warning}`),
  );
}
