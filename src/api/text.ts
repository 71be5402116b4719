// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Says for people what l4lbd knows and what happened. */
import Table from 'cli-table3';

import { formatCount, many } from '../text/format.js';
import { append } from '../text/lists.js';
import type { Entry } from './events.js';
import type { ByHandResult, DestinationStatus, ServiceStatus, Status } from './status.js';
import {
  conditionOf,
  countConditions,
  fleetInOneLine,
  isSilent,
  seconds,
  whatHappened,
} from './words.js';

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
  if (isSilent(checker))
    lines.push(`  the checker has said nothing for ${seconds(checker.silent_ms)}`);
  if (status.fleet) lines.push(`  ${fleetInOneLine(status.fleet)}`);
  for (const service of status.services) append(lines, describeService(service));
  for (const what of unseen) lines.push(`  not seen: ${what}`);
  return lines;
}

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

export const BARE = Object.fromEntries(
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
