// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A Status as text for Prometheus. Counters only rise, and rates are left to Prometheus.
 * What is null in the Status could not be seen, and is left out.
 */
import type { Action } from '../abi/verdicts.js';
import { VERDICTS } from '../abi/verdicts.js';
import { serves as isUp, STATES } from '../health/condition.js';
import { BY_HAND } from '../health/weights.js';
import type {
  Cause,
  Changes,
  Checks,
  DestinationStatus,
  FleetStatus,
  FleetTable,
  ServiceStatus,
  Status,
  VerdictCount,
} from './status.js';

type Value = number | bigint;

/** A metric, and what it says about some thing; null: that could not be seen. */
interface Metric<Of> {
  name: string;
  type: 'counter' | 'gauge';
  help: string;
  of: (thing: Of) => Value | null;
}

interface Family<Of> {
  /** The labels that tell the things apart. */
  labels: readonly string[];
  metrics: readonly Metric<Of>[];
  /** The things, each with the values of its labels. */
  things: (status: Status) => Iterable<readonly [values: readonly string[], thing: Of]>;
}

const truth = (is: boolean): number => (is ? 1 : 0);
const seconds = (milliseconds: number): number => milliseconds / 1000;
const unixTime = (time: string): number => seconds(Date.parse(time));

/** Whether any destination gets packets, and passes its checks. */
export function serves({ destinations }: Pick<ServiceStatus, 'destinations'>): boolean {
  return destinations.some((one) => one.live > 0 && isUp(one));
}

const OF_ALL: Family<Status> = {
  labels: [],
  things: (status) => [[[], status]],
  metrics: [
    {
      name: 'l4lb_start_time_seconds',
      type: 'gauge',
      help: 'When l4lbd started, as Unix time.',
      of: ({ started }) => unixTime(started),
    },
    {
      name: 'l4lb_ready',
      type: 'gauge',
      help: '1: the tables are as the file, the checks and hands want them.',
      of: ({ ready }) => truth(ready),
    },
    {
      name: 'l4lb_generation',
      type: 'gauge',
      help: 'Generation of the tables, which rises with each fill.',
      of: ({ generation }) => generation,
    },
    {
      name: 'l4lb_unseen',
      type: 'gauge',
      help: 'How many things could not be seen, and are missing here; /status says why.',
      of: ({ unseen }) => unseen.length,
    },
    {
      name: 'l4lb_reload_success',
      type: 'gauge',
      help: '1: the file that was read last is good; 0: an earlier one still holds.',
      of: ({ file }) => truth(file.fault === null),
    },
    {
      name: 'l4lb_file_read_time_seconds',
      type: 'gauge',
      help: 'When the file was read that holds, as Unix time.',
      of: ({ file }) => unixTime(file.read),
    },
    {
      name: 'l4lb_checker_up',
      type: 'gauge',
      help: '1: the process that runs the checks is there.',
      of: ({ checker }) => truth(checker.pid !== null),
    },
    {
      name: 'l4lb_checker_silent_seconds',
      type: 'gauge',
      help: 'Since when that process has said nothing; it says something each second.',
      of: ({ checker }) => seconds(checker.silent_ms),
    },
    {
      name: 'l4lb_checks',
      type: 'gauge',
      help: 'How many checks run again and again.',
      of: ({ checker }) => checker.checks,
    },
    {
      name: 'l4lb_check_late_total',
      type: 'counter',
      help: 'How often the checker was so late that answers may have been missed.',
      of: ({ checker }) => checker.late,
    },
  ],
};

const OF_FLEET: Family<FleetStatus> = {
  labels: ['fleet', 'node'],
  things: ({ fleet }) => (fleet ? [[[fleet.name, fleet.node], fleet]] : []),
  metrics: [
    {
      name: 'l4lb_fleet_linked',
      type: 'gauge',
      help: "1: the fleet's store is heard of; 0: all stays as it is.",
      of: ({ linked }) => truth(linked),
    },
    {
      name: 'l4lb_fleet_leads',
      type: 'gauge',
      help: '1: this node decides for its fleet.',
      of: ({ leader, node }) => truth(leader === node),
    },
    {
      name: 'l4lb_fleet_up_to_date',
      type: 'gauge',
      help: '1: its tables are as the leader decided last.',
      of: ({ up_to_date }) => truth(up_to_date),
    },
    {
      name: 'l4lb_fleet_drained',
      type: 'gauge',
      help: '1: routers shall prefer other nodes.',
      of: ({ drained }) => truth(drained),
    },
    {
      name: 'l4lb_fleet_announced',
      type: 'gauge',
      help: 'Addresses of services that this node announces to routers.',
      of: ({ announced }) => announced.length,
    },
  ],
};

const OF_FLEET_TABLE: Family<FleetTable> = {
  labels: ['fleet', 'node', 'service', 'sum'],
  things: ({ fleet }) =>
    fleet?.tables.map((table) => [
      [fleet.name, fleet.node, table.service, table.sum],
      table,
    ]) ?? [],
  metrics: [
    {
      name: 'l4lb_fleet_table_sets',
      type: 'gauge',
      help: 'Sets that the slots of a service remember; nodes that agree have the same sum.',
      of: ({ sets }) => sets,
    },
  ],
};

const OF_BUILD: Family<Status> = {
  labels: ['version'],
  things: (status) => [[[status.version], status]],
  metrics: [
    {
      name: 'l4lb_build_info',
      type: 'gauge',
      help: 'Always 1; its label has the version of l4lbd.',
      of: () => 1,
    },
  ],
};

const OF_PROGRAM: Family<Status> = {
  labels: ['interface', 'id', 'mode'],
  things: (status) => {
    const { id, mode } = status.program;
    return [[[status.interface, String(id), mode], status]];
  },
  metrics: [
    {
      name: 'l4lb_program_info',
      type: 'gauge',
      help: 'Always 1; its labels have the device, and the id and mode of the program there.',
      of: () => 1,
    },
  ],
};

const OF_RELOADS: Family<number> = {
  labels: ['result'],
  things: ({ file }) =>
    Object.entries(file.reloads).map(([kind, many]) => [[kind], many]),
  metrics: [
    {
      name: 'l4lb_reloads_total',
      type: 'counter',
      help: 'How often the file was read again, by whether it was good.',
      of: (many) => many,
    },
  ],
};

type Counted = Pick<VerdictCount, 'packets' | 'bytes'> & { action: Action };

const OF_VERDICTS: Family<Counted> = {
  labels: ['verdict', 'action'],
  // Those that no packet had are there too, as 0: a rate needs a value to begin with.
  things: ({ verdicts }) => {
    const seen = new Map(verdicts?.map((one) => [one.name, one]));
    const all = verdicts ? VERDICTS : [];
    return all.map(({ name, action }) => [
      [name, action],
      { packets: 0, bytes: 0, ...seen.get(name), action },
    ]);
  },
  metrics: [
    {
      name: 'l4lb_verdict_packets_total',
      type: 'counter',
      help: 'Packets by verdict, and what the program did with them.',
      of: ({ packets }) => packets,
    },
    {
      name: 'l4lb_verdict_bytes_total',
      type: 'counter',
      help: 'Bytes by verdict: of frames as they came in, balanced ones as they were sent.',
      of: ({ bytes }) => bytes,
    },
  ],
};

const OF_CHANGES: Family<Changes> = {
  labels: ['cause'],
  things: ({ changes }) =>
    (Object.keys(changes) as Cause[]).map((cause) => [[cause], changes[cause]]),
  metrics: [
    {
      name: 'l4lb_changes_total',
      type: 'counter',
      help: 'Fills of the tables since l4lbd started, by what made it fill them.',
      of: ({ fills }) => fills,
    },
    {
      name: 'l4lb_slots_moved_total',
      type: 'counter',
      help: 'Slots that these fills moved to another destination.',
      of: ({ slots_moved: moved }) => moved,
    },
    {
      name: 'l4lb_slots_moved_ideal_total',
      type: 'counter',
      help: 'How few moves would have done.',
      of: ({ slots_ideal: ideal }) => ideal,
    },
    {
      name: 'l4lb_change_seconds_total',
      type: 'counter',
      help: 'How long these fills took.',
      of: (changes) => changes.seconds,
    },
  ],
};

const OF_SERVICES: Family<ServiceStatus> = {
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

const OF_STATES: Family<number> = {
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

const OF_DESTINATIONS: Family<DestinationStatus> = {
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

const OF_CHECKS: Family<number> = {
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

function numbered(words: readonly string[], first: number): string {
  return words.map((word, index) => `${first + index}: ${word}`).join('; ');
}

/** Each takes things of its own kind, which no other one gives it. */
const FAMILIES = [
  ...[OF_BUILD, OF_PROGRAM, OF_ALL, OF_FLEET, OF_FLEET_TABLE],
  ...[OF_RELOADS, OF_CHANGES, OF_VERDICTS],
  ...[OF_SERVICES, OF_STATES, OF_DESTINATIONS, OF_CHECKS],
] as readonly Family<unknown>[];

/** All that there is, for the reference. */
export const METRICS = FAMILIES.flatMap(({ labels, metrics }) =>
  metrics.map(({ name, type, help }) => ({ name, type, help, labels })),
);

/** What a server says of the text. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export function metricsOf(status: Status): string {
  return FAMILIES.flatMap((family) => textsOf(family, status)).join('');
}

/** A text for each metric, in one piece: of pieces there would be half a million. */
function textsOf<Of>({ labels, metrics, things }: Family<Of>, status: Status): string[] {
  const named: string[] = [];
  const all: Of[] = [];
  for (const [values, thing] of things(status)) {
    // There may be thousands, which each metric tells apart by the same text.
    named.push(labelsOf(labels, values));
    all.push(thing);
  }
  return metrics.map(({ name, type, help, of }) => {
    const lines: string[] = [];
    for (const [index, thing] of all.entries()) {
      const value = of(thing);
      if (value !== null) lines.push(`${name}${named[index] ?? ''} ${value}\n`);
    }
    if (lines.length === 0) return '';
    return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
  });
}

function labelsOf(names: readonly string[], values: readonly string[]): string {
  if (names.length === 0) return '';
  let text = '';
  for (const [index, name] of names.entries())
    text += `${index === 0 ? '{' : ','}${name}="${escaped(values[index] ?? '')}"`;
  return `${text}}`;
}

const ESCAPES = new Map([
  ['\\', '\\\\'],
  ['"', '\\"'],
  ['\n', '\\n'],
]);

function escaped(value: string): string {
  return /[\\"\n]/.test(value)
    ? value.replace(/[\\"\n]/g, (one) => ESCAPES.get(one) ?? one)
    : value;
}
