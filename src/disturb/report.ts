// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reports the outcome of a run as text and as JSON, on whose names programs rely. */
import { must } from '../text/must.js';
import { VERDICTS } from '../abi/verdicts.js';
import { formatCount, many } from '../text/format.js';
import { formatChange } from './changes.js';
import type { Outcome, Phase, Recording, Spread } from './judge.js';
import { sumHalfOpen } from './judge-half-open.js';
import { atDestination, describeHalfOpen, halfOpenJson } from './report-half-open.js';
import type { Remember } from '../abi/cell.js';
import type { Forward } from '../wire/forward.js';
import { USUAL_FORWARD } from '../wire/forward.js';
import type { CountEvent } from './protocol.js';
import type { RoutedRun } from './ecmp/report.js';
import { describeRouting, round, routedJson, routingJson } from './ecmp/report.js';
import { layOut } from './lay-out.js';

export interface Result {
  connections: number;
  /** Seconds. */
  duration: number;
  object: string;
  table: string | undefined;
  remember?: Remember | undefined;
  forward?: Forward | undefined;
  /** As asked for; undefined: as the kernel has it. */
  syncookies?: string | undefined;
  /** How many to hold half open over each change; undefined: none. */
  halfOpen?: number | undefined;
  /** Undefined: there was no router. */
  routed?: RoutedRun | undefined;
  record: Recording;
  outcome: Outcome;
  /** Packets by verdict, summed over all balancers. */
  verdicts: Record<string, number>;
}

const BY: Record<Forward, string> = {
  tunnel: '',
  link: ' by the link',
  nat: ' by nat',
  'full-nat': ' by full-nat',
};

/** Returns the line that is shown each second during the run. */
export function progressLine(count: CountEvent, lost: number): string {
  return (
    `Conn act/fail/connecting: ${count.active}/${lost}/${count.connecting}, ` +
    `Packets send/rec/dropped: ${count.sent}/${count.received}/${count.dropped}`
  );
}

export function avoidableLosses({ losses }: Outcome): number {
  return losses.filter(({ avoidable }) => avoidable).length;
}

/** Those of connections that were half open are told apart, but are losses all the same. */
export function allAvoidable({ outcome, record }: Result): number {
  const { avoidable } = sumHalfOpen(record.schedule, record.halfOpen);
  return avoidableLosses(outcome) + avoidable;
}

export function droppedByBalancer(verdicts: Result['verdicts']): number {
  const drops = new Set<string>(
    VERDICTS.filter(({ action }) => action === 'DROP').map(({ name }) => name),
  );
  return Object.entries(verdicts)
    .filter(([name]) => drops.has(name))
    .reduce((sum, [, packets]) => sum + packets, 0);
}

/** Returns when change `index` began, in seconds from the start. */
export function changeTime({ started, moments }: Recording, index: number): number {
  return ((moments[index]?.began ?? started) - started) / 1000;
}

export function resultJson(result: Result, plain?: Result): Record<string, unknown> {
  const { record, outcome, verdicts } = result;
  const { losses, last, start } = outcome;
  const avoidable = avoidableLosses(outcome);
  return {
    connections: result.connections,
    duration_s: result.duration,
    object: result.object,
    table: result.table ?? null,
    remember: result.remember ?? 'balancer',
    forward: result.forward ?? USUAL_FORWARD,
    ecmp: routedJson(result.routed),
    syncookies: result.syncookies === undefined ? null : Number(result.syncookies),
    flood: record.flood
      ? {
          rate: record.flood.rate,
          packets: record.flood.packets,
          seconds: round(record.flood.seconds, 3),
        }
      : null,
    ...(plain ? { plain_ecmp: resultJson(plain) } : {}),
    changes: outcome.changes.map((phase, index) => {
      const step = record.schedule.steps[index];
      const moment = record.moments[index];
      return {
        change: step ? formatChange(step.change) : '',
        at: round(changeTime(record, index), 3),
        took_s: moment ? round((moment.ended - moment.began) / 1000, 3) : 0,
        ...phaseJson(phase),
        routing: routingJson(phase.routing),
        half_open: halfOpenJson(result, index),
      };
    }),
    half_open: halfOpenJson(result),
    start: { ...phaseJson(start), routing: routingJson(start.routing) },
    lost_avoidable: avoidable,
    lost_unavoidable: losses.length - avoidable,
    lost_why: countBy(losses.map(({ why }) => why)),
    opened: last.opened,
    active: last.active,
    sent: last.sent,
    received: last.received,
    dropped: last.sent - last.received,
    balancer: {
      packets: Object.values(verdicts).reduce((sum, packets) => sum + packets, 0),
      dropped: droppedByBalancer(verdicts),
      verdicts,
    },
    per_destination: outcome.destinations.map((one) => ({
      address: one.address,
      weight: one.weight ?? null,
      removed: one.weight === undefined,
      opened: one.opened,
      active: one.active,
      lost_avoidable: one.avoidable,
      lost_unavoidable: one.unavoidable,
      half_open: atDestination(result, one.address),
    })),
  };
}

function phaseJson(phase: Phase): Record<string, unknown> {
  const { connections, fullest, emptiest, unevenness, misplaced } = phase.spread;
  return {
    lost_avoidable: phase.avoidable,
    lost_unavoidable: phase.unavoidable,
    ideal: phase.ideal,
    new_connections: connections,
    spread: {
      fullest: round(fullest, 3),
      emptiest: round(emptiest, 3),
      unevenness: round(unevenness, 3),
      misplaced,
    },
  };
}

function countBy(words: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return Object.fromEntries(counts);
}

/** With a second run beside it, one after another. */
export function describeResults(result: Result, plain?: Result): string[] {
  if (!plain) return describeResult(result);
  return [
    ...describeResult(result),
    '',
    'The same with plain ECMP, without balancers:',
    '',
    ...describeResult(plain),
  ];
}

export function describeResult(result: Result): string[] {
  const { record, outcome } = result;
  const { last } = outcome;
  const avoidable = avoidableLosses(outcome);
  const unavoidable = outcome.losses.length - avoidable;
  const ideal = outcome.changes.reduce((sum, phase) => sum + phase.ideal, 0);
  return [
    ...layOut([
      ['at', 'change', 'ideal', 'unavoidable', 'avoidable', 'new', 'fullest', 'uneven'],
      phaseRow('0.0 s', 'start', outcome.start),
      ...outcome.changes.map((phase, index) => {
        const step = record.schedule.steps[index];
        const at = `${changeTime(record, index).toFixed(1)} s`;
        return phaseRow(at, step ? formatChange(step.change) : '', phase);
      }),
    ]),
    ...describeRouting(result),
    '',
    ...layOut([
      ['destination', 'weight', 'opened', 'active', 'unavoidable', 'avoidable'],
      ...outcome.destinations.map((one) => [
        one.address,
        one.weight === undefined ? 'removed' : String(one.weight),
        ...[one.opened, one.active, one.unavoidable, one.avoidable].map(formatCount),
      ]),
    ]),
    '',
    `Lost: ${formatCount(avoidable)} avoidable, ${formatCount(unavoidable)} unavoidable ` +
      `(ideal: ${formatCount(ideal)}), of ${many(last.opened, 'connection')}`,
    ...describeHalfOpen(result),
    `Messages: ${formatCount(last.sent)} sent, ${formatCount(last.received)} echoed, ` +
      `${formatCount(last.sent - last.received)} dropped`,
    ...describeBalancer(result),
    ...(record.flood
      ? [
          `Flood: ${many(record.flood.packets, 'SYN')} in ${record.flood.seconds.toFixed(1)} s`,
        ]
      : []),
  ];
}

function describeBalancer({ verdicts, forward, routed }: Result): string[] {
  if (routed?.isPlain) return [];
  const sent = formatCount(must(verdicts['balanced'], 'balanced'));
  const dropped = formatCount(droppedByBalancer(verdicts));
  const who = routed ? 'Balancers' : 'Balancer';
  return [
    `${who}: ${sent} packets sent on${BY[forward ?? USUAL_FORWARD]}, ${dropped} dropped`,
  ];
}

function phaseRow(at: string, change: string, phase: Phase): string[] {
  return [
    at,
    change,
    ...[phase.ideal, phase.unavoidable, phase.avoidable].map(formatCount),
    formatCount(phase.spread.connections),
    ...spreadCells(phase.spread),
  ];
}

function spreadCells(spread: Spread): string[] {
  if (spread.connections === 0) return ['-', '-'];
  return [spread.fullest.toFixed(2), spread.unevenness.toFixed(1)];
}
