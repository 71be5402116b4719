// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Metrics of a node of a fleet. */
import type { FleetStatus, FleetTable } from '../status.js';
import type { Family } from './family.js';
import { truth } from './family.js';

export const OF_FLEET: Family<FleetStatus> = {
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

export const OF_FLEET_TABLE: Family<FleetTable> = {
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
