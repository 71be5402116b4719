// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Metrics of what became of packets, and of what moved slots. */
import type { Action } from '../../abi/verdicts.js';
import { VERDICTS } from '../../abi/verdicts.js';
import type { Cause, Changes, VerdictCount } from '../status.js';
import type { Family } from './family.js';

type Counted = Pick<VerdictCount, 'packets' | 'bytes'> & { action: Action };

export const OF_VERDICTS: Family<Counted> = {
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

export const OF_CHANGES: Family<Changes> = {
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
