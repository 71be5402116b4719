// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Words for what l4lbd knows, which the page and `l4lb ctl` have in common. */
import { formatCount, many } from '../text/format.js';
import type { Entry, Weight } from './events.js';
import type { CheckerStatus, DestinationStatus, FleetStatus } from './status.js';

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
  return (
    parts.map(([word, count]) => `${formatCount(count)} ${word}`).join(', ') ||
    'no destinations'
  );
}

/** How a node stands to its fleet. */
export function fleetInOneLine(fleet: FleetStatus): string {
  const { name, node, linked, leader, drained, announced, up_to_date } = fleet;
  return [
    `${node} of fleet ${name}`,
    linked
      ? leader === null
        ? 'nobody leads'
        : leader === node
          ? 'leads'
          : `led by ${leader}`
      : 'THE STORE IS NOT HEARD OF, all stays as it is',
    up_to_date ? 'up to date' : 'BEHIND',
    ...(drained ? ['drained'] : []),
    announced.length === 0
      ? 'announces nothing'
      : `announces ${many(announced.length, 'address')}`,
  ].join(', ');
}

/** An event, without when it was. */
export function whatHappened(entry: Entry): string {
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
      return `${entry.service}: ${entry.destination}: ${entry.action} by hand (${entry.by})`;
    case 'filled': {
      const { service, cause, weights, moved, ideal, took } = entry;
      const what = weights.length > 0 ? `${changesOf(weights)}; ` : '';
      return `${service}: ${what}${many(moved, 'slot')} moved, ${ideal} at least, in ${took} ms (${cause})`;
    }
    case 'postponed':
      return `${entry.service}: its slots may not move again for ${seconds(entry.wait)}`;
    case 'leads':
      return entry.begins
        ? 'this node leads its fleet'
        : `this node leads its fleet no longer: ${entry.why ?? ''}`;
    case 'decided': {
      const { service, cause, weights, moved, ideal, sets, forgets } = entry;
      const what = weights.length > 0 ? `${changesOf(weights)}; ` : '';
      const lost = forgets > 0 ? `; ${many(forgets, 'slot')} forget, since` : ';';
      return `${service}: decided ${what}${many(moved, 'slot')} move, ${ideal} at least${lost} the history has ${many(sets, 'set')} (${cause})`;
    }
    case 'settled':
      return `${entry.service}: no node needs its oldest set, ${many(entry.sets, 'set')} left`;
    case 'ready':
      return 'the tables are as the file and the checks want them';
    case 'followed':
    case 'trouble':
      return entry.what;
  }
}

function changesOf(weights: readonly Weight[]): string {
  return weights
    .map(({ destination, before, after }) => `${destination} ${before} to ${after}`)
    .join(', ');
}

export function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

/** Whether nobody knows any more who serves. It says something each second. */
export function isSilent({ checks, pid, silent_ms: silent }: CheckerStatus): boolean {
  return checks > 0 && (pid === null || silent > LONGEST_SILENCE);
}

const LONGEST_SILENCE = 3000;
