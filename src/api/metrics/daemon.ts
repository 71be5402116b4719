// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Metrics of l4lbd itself. */
import type { Status } from '../status.js';
import type { Family } from './family.js';
import { seconds, truth, unixTime } from './family.js';

export const OF_ALL: Family<Status> = {
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

export const OF_BUILD: Family<Status> = {
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

export const OF_PROGRAM: Family<Status> = {
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

export const OF_RELOADS: Family<number> = {
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
