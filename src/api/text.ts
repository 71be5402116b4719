// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Says for people what l4lbd knows and what happened. */
import Table from 'cli-table3';

import { formatCount, many } from '../text/format.js';
import { append } from '../text/lists.js';
import type { Entry } from './events.js';
import type { ByHandResult, DestinationStatus, ServiceStatus, Status } from './status.js';

/** What is with a destination, in a word: what a hand decided comes before its checks. */
export function conditionOf({ by_hand, state }: DestinationStatus): string {
  return by_hand === 'down' ? 'down by hand' : (by_hand ?? state);
}

/** How many destinations are how, such as "30 up, 1 down, 1 drained". */
export function countConditions(destinations: readonly DestinationStatus[]): string {
  const counts = new Map<string, number>();
  for (const one of destinations) {
    const word = conditionOf(one);
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const parts = [...counts].sort(([, one], [, other]) => other - one);
  return parts.map(([word, count]) => `${count} ${word}`).join(', ') || 'no destinations';
}

export function describeDaemon(status: Status): string[] {
  const all = status.services.flatMap(({ destinations }) => destinations);
  const lines = [`${status.interface}: ${countConditions(all)}`];
  const { file, checker, ready, unseen } = status;
  if (!ready) lines.push('  the tables are not filled yet');
  if (file.fault !== null) {
    lines.push(`  ${file.path} has a fault, and what it said before still holds:`);
    append(
      lines,
      file.fault.split('\n').map((line) => `    ${line}`),
    );
  }
  if (checker.checks > 0 && (checker.pid === null || checker.silent_ms > SILENT))
    lines.push(`  the checker has said nothing for ${seconds(checker.silent_ms)}`);
  for (const service of status.services) append(lines, describeService(service));
  for (const what of unseen) lines.push(`  not seen: ${what}`);
  return lines;
}

/** Milliseconds; it says something each second. */
const SILENT = 3000;

function describeService(service: ServiceStatus): string[] {
  const { name, ways, check, slots, hot, weight, healthy } = service;
  const facts = [
    check ? `checked by ${check.kind}` : 'not checked',
    ...(check ? [`${healthy} of ${weight} weight healthy`] : []),
    `${many(slots, 'slot')}${hot ? `, ${hot} hot` : ''}`,
    ...(service.panic ? [`PANIC: on_panic = "${service.on_panic}"`] : []),
    ...(service.on_backup ? ['the backups stand in'] : []),
    ...(service.postponed_ms === null
      ? []
      : [`moves go on in ${seconds(service.postponed_ms)}`]),
  ];
  const table = new Table({
    head: ['destination', 'is', 'weight', 'slots', 'packets', 'last check'],
    chars: BARE,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
    colAligns: ['left', 'left', 'right', 'right', 'right', 'left'],
  });
  append(table, service.destinations.map(destinationRow));
  return [
    ...['', `${name}  ${shortened(ways)}`, `  ${facts.join('; ')}`],
    ...table
      .toString()
      .split('\n')
      .map((line) => `  ${line.trimEnd()}`),
  ];
}

function destinationRow(one: DestinationStatus): string[] {
  const { weight, live, backup, slots, counted, last, reason } = one;
  const check =
    last === null ? '' : last.passed === true ? `passed in ${last.ms} ms` : last.reason;
  const isWell = one.state === 'up' || reason === '';
  return [
    one.name,
    `${conditionOf(one)}${backup ? ' (backup)' : ''}`,
    live === weight ? String(weight) : `${live} of ${weight}`,
    slots === null ? '?' : formatCount(slots),
    counted === null ? '?' : formatCount(Number(counted.packets)),
    isWell ? check : check || reason,
  ];
}

const BARE = Object.fromEntries(
  [
    ...['top', 'top-mid', 'top-left', 'top-right', 'middle'],
    ...['bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
    ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'],
  ].map((name) => [name, '']),
);

const MOST_WAYS = 3;

function shortened(ways: readonly string[]): string {
  const rest = ways.length - MOST_WAYS;
  const shown = ways.slice(0, MOST_WAYS).join(' ');
  return rest > 0 ? `${shown} and ${rest} more` : shown;
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

export function describeByHand(result: ByHandResult): string[] {
  const { service, destination, by_hand, weight, weight_by_hand, dry_run } = result;
  const decided = [
    ...(by_hand === null ? [] : [by_hand === 'down' ? 'down by hand' : by_hand]),
    ...(weight_by_hand === null ? [] : [`of weight ${weight} by hand`]),
  ];
  const is = decided.join(' and ') || 'as the file and its checks say';
  const moved =
    result.slots_moved === 0
      ? 'no slot moves'
      : `${many(result.slots_moved, 'slot')} moved, ${result.slots_ideal} would have done`;
  return [
    `${service}: ${destination} ${dry_run ? 'would be' : 'is'} ${is}`,
    `  ${dry_run ? moved.replace('moved', 'would move').replace('would have done', 'at least') : moved}`,
    ...result.weights.map(
      (one) => `  ${one.destination}: weight ${one.before} to ${one.after}`,
    ),
  ];
}

/** An event in a line. */
export function describeEvent(entry: Entry): string {
  return `${entry.time.slice(11, 19)} ${whatHappened(entry)}`;
}

function whatHappened(entry: Entry): string {
  switch (entry.kind) {
    case 'started':
    case 'reloaded': {
      const { services, destinations, checks } = entry;
      const counts = [
        many(services, 'service'),
        many(destinations, 'destination'),
        many(checks, 'check'),
      ];
      return `${entry.kind}: ${counts.join(', ')}`;
    }
    case 'state': {
      const { service, destination, before, after, reason } = entry;
      const why = reason === '' ? '' : `: ${reason}`;
      return `${service}: ${destination} is ${after}, was ${before}${why}`;
    }
    case 'panic':
      return entry.begins
        ? `${entry.service}: PANIC, only ${entry.healthy} of ${entry.whole} weight is healthy`
        : `${entry.service}: no panic any more, ${entry.healthy} of ${entry.whole} weight is healthy`;
    case 'backup':
      return `${entry.service}: the backups ${entry.begins ? 'stand in' : 'are no longer needed'}`;
    case 'hand':
      return `${entry.service}: ${entry.destination}: ${entry.action} by hand`;
    case 'filled': {
      const { service, cause, weights, moved, ideal, took } = entry;
      const changes = weights.map(
        ({ destination, before, after }) => `${destination} ${before} to ${after}`,
      );
      const what = changes.length > 0 ? `${changes.join(', ')}; ` : '';
      return `${service}: ${what}${many(moved, 'slot')} moved, ${ideal} at least, in ${took} ms (${cause})`;
    }
    case 'postponed':
      return `${entry.service}: its slots may not move again for ${seconds(entry.wait)}`;
    case 'ready':
      return 'the tables are as the file and the checks want them';
    case 'followed':
    case 'trouble':
      return entry.what;
  }
}
