// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Metrics of services and of their destinations. */
import { serves as isUp, STATES } from '../../health/condition.js';
import { BY_HAND } from '../../health/weights.js';
import type { Checks, DestinationStatus, ServiceStatus } from '../status.js';
import type { Family } from './family.js';
import { seconds, truth } from './family.js';

/** Whether any destination gets packets, and passes its checks. */
export function serves({ destinations }: Pick<ServiceStatus, 'destinations'>): boolean {
  return destinations.some((one) => one.live > 0 && isUp(one));
}

export const OF_SERVICES: Family<ServiceStatus> = {
  labels: ['service'],
  things: ({ services }) => services.map((one) => [[one.name], one]),
  metrics: [
    {
      name: 'l4lb_service_up',
      type: 'gauge',
      help: '1: a destination gets packets, and passes its checks if it has any.',
      of: (service) => truth(serves(service)),
    },
    {
      name: 'l4lb_service_panic',
      type: 'gauge',
      help: '1: less than half of its weight passes its checks, so on_panic holds.',
      of: ({ panic }) => truth(panic),
    },
    {
      name: 'l4lb_service_on_backup',
      type: 'gauge',
      help: '1: its backups stand in.',
      of: ({ on_backup: onBackup }) => truth(onBackup),
    },
    {
      name: 'l4lb_service_weight',
      type: 'gauge',
      help: 'Weight of all destinations that are asked, without backups.',
      of: ({ weight }) => weight,
    },
    {
      name: 'l4lb_service_healthy_weight',
      type: 'gauge',
      help: 'Weight of those whose last check passed.',
      of: ({ healthy }) => healthy,
    },
    {
      name: 'l4lb_service_slots',
      type: 'gauge',
      help: 'Its slots.',
      of: ({ slots }) => slots,
    },
    {
      name: 'l4lb_service_hot_slots',
      type: 'gauge',
      help: 'Slots that remember where connections were.',
      of: ({ hot }) => hot,
    },
    {
      name: 'l4lb_service_postponed_seconds',
      type: 'gauge',
      help: 'Time until health may move its slots again; 0: it may.',
      of: ({ postponed_ms: postponed }) => seconds(postponed ?? 0),
    },
    {
      name: 'l4lb_service_packets_total',
      type: 'counter',
      help: 'Packets sent to its destinations, also to those that have left since.',
      of: ({ counted }) => counted && counted.packets,
    },
    {
      name: 'l4lb_service_bytes_total',
      type: 'counter',
      help: 'Bytes of these packets, as they were sent.',
      of: ({ counted }) => counted && counted.bytes,
    },
  ],
};

export const OF_STATES: Family<number> = {
  labels: ['service', 'state'],
  *things({ services }) {
    for (const { name, destinations } of services) {
      const many = new Map<string, number>();
      for (const { state } of destinations) many.set(state, (many.get(state) ?? 0) + 1);
      for (const state of STATES) yield [[name, state], many.get(state) ?? 0];
    }
  },
  metrics: [
    {
      name: 'l4lb_service_destinations',
      type: 'gauge',
      help: 'How many of its destinations are in this state.',
      of: (many) => many,
    },
  ],
};

export const OF_DESTINATIONS: Family<DestinationStatus> = {
  labels: ['service', 'destination'],
  *things({ services }) {
    for (const { name, destinations } of services)
      for (const one of destinations) yield [[name, one.name], one];
  },
  metrics: [
    {
      name: 'l4lb_destination_up',
      type: 'gauge',
      help: '0: its checks found it down or dead; 1: they did not, or it has none.',
      of: (one) => truth(isUp(one)),
    },
    {
      name: 'l4lb_destination_state',
      type: 'gauge',
      help: `${numbered(STATES, 0)}.`,
      of: ({ state }) => STATES.indexOf(state),
    },
    {
      name: 'l4lb_destination_by_hand',
      type: 'gauge',
      help: `0: nobody decided anything; ${numbered(BY_HAND, 1)}.`,
      of: ({ by_hand: byHand }) => (byHand ? BY_HAND.indexOf(byHand) + 1 : 0),
    },
    {
      name: 'l4lb_destination_weight',
      type: 'gauge',
      help: 'Weight that the file or a hand gives to it.',
      of: ({ weight }) => weight,
    },
    {
      name: 'l4lb_destination_live_weight',
      type: 'gauge',
      help: 'Weight that it has in the tables.',
      of: ({ live }) => live,
    },
    {
      name: 'l4lb_destination_slots',
      type: 'gauge',
      help: 'Slots that lead to it.',
      of: ({ slots }) => slots,
    },
    {
      name: 'l4lb_destination_packets_total',
      type: 'counter',
      help: 'Packets sent to it.',
      of: ({ counted }) => counted && counted.packets,
    },
    {
      name: 'l4lb_destination_bytes_total',
      type: 'counter',
      help: 'Bytes of these packets, as they were sent.',
      of: ({ counted }) => counted && counted.bytes,
    },
    {
      name: 'l4lb_destination_check_seconds_total',
      type: 'counter',
      help: 'How long those of its checks took that passed.',
      of: ({ checked }) => checked.seconds,
    },
  ],
};

const RESULTS = ['passed', 'failed', 'void'] as const satisfies (keyof Checks)[];

export const OF_CHECKS: Family<number> = {
  labels: ['service', 'destination', 'result'],
  *things({ services }) {
    for (const { name, check, destinations } of services) {
      if (!check) continue;
      for (const one of destinations)
        for (const result of RESULTS)
          yield [[name, one.name, result], one.checked[result]];
    }
  },
  metrics: [
    {
      name: 'l4lb_destination_checks_total',
      type: 'counter',
      help: 'Its checks since l4lbd started, by how they ended; void: said nothing about it.',
      of: (many) => many,
    },
  ],
};

export function numbered(words: readonly string[], first: number): string {
  return words.map((word, index) => `${first + index}: ${word}`).join('; ');
}
