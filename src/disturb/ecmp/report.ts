// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The router's part of a run, as text and as JSON. */
import { formatCount } from '../../text/format.js';
import { formatChange } from '../changes.js';
import type { Outcome, Recording } from '../judge.js';
import { layOut } from '../lay-out.js';
import type { Routing } from './judge.js';

/** How a run behind a router was made. */
export interface RoutedRun {
  /** The router spread over the destinations, without a balancer. */
  isPlain: boolean;
  /** At the start. */
  balancers: number;
  /** 4 or 6: of the service and its clients. */
  family: number;
  /** The prefix that the clients' addresses lie in; undefined: there was one client. */
  sources: string | undefined;
}

export function routedJson(
  routed: RoutedRun | undefined,
): Record<string, unknown> | null {
  if (!routed) return null;
  const { isPlain, balancers, family, sources } = routed;
  return { plain: isPlain, balancers, family, sources: sources ?? null };
}

export function routingJson(
  routing: Routing | undefined,
): Record<string, unknown> | null {
  if (!routing) return null;
  return {
    takers: routing.takers,
    fullest: round(routing.fullest, 3),
    unevenness: round(routing.unevenness, 3),
    asked: routing.flows,
    moved: routing.moved,
    router_moved_s: routing.took === undefined ? null : round(routing.took / 1000, 4),
    stall_s: round(routing.echo / 1000, 3),
    slowest_open_s: round(routing.open / 1000, 3),
  };
}

/** A table of what the router did at each change; nothing if there was none. */
export function describeRouting({
  outcome,
  record,
  routed,
}: {
  outcome: Outcome;
  record: Recording;
  routed?: RoutedRun | undefined;
}): string[] {
  if (!routed) return [];
  const takers = routed.isPlain ? 'destinations' : 'balancers';
  const titles = [takers, 'fullest', 'uneven', 'moved', 'router', 'stall', 'opening'];
  return [
    '',
    ...layOut([
      ['connections by', ...titles],
      ['start', ...cells(outcome.start.routing)],
      ...outcome.changes.map(({ routing }, index) => {
        const step = record.schedule.steps[index];
        return [step ? formatChange(step.change) : '', ...cells(routing)];
      }),
    ]),
  ];
}

function cells(routing: Routing | undefined): string[] {
  if (!routing) return [];
  const { takers, fullest, unevenness, flows, moved, took, echo, open } = routing;
  return [
    formatCount(takers.length),
    ...(flows === 0 ? ['-', '-'] : [fullest.toFixed(2), unevenness.toFixed(1)]),
    `${formatCount(moved)}/${formatCount(flows)}`,
    took === undefined ? '-' : `${took.toFixed(0)} ms`,
    `${echo.toFixed(0)} ms`,
    `${open.toFixed(0)} ms`,
  ];
}

export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
