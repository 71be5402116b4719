// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What l4lb fleet status says for people. */
import Table from 'cli-table3';

import type { Overview, ServiceOverview } from '../../fleet/operate/overview.js';
import { BARE } from '../../api/text.js';
import { many } from '../../text/format.js';

export function describeOverview(overview: Overview): string[] {
  const { fleet, store, leader, nodes, services, faults, drained } = overview;
  const gone = drained.filter((name) => !nodes.some((node) => node.name === name));
  return [
    `${fleet} in ${store}: ${many(nodes.length, 'node')}, ${leader === null ? 'nobody leads' : `${leader} leads`}`,
    ...services.flatMap((service) => ['', ...describeService(service, overview)]),
    ...(gone.length > 0 ? ['', `  drained, but not alive: ${gone.join(', ')}`] : []),
    ...(faults.length > 0 ? ['', ...faults.map((fault) => `  ${fault}`)] : []),
  ];
}

function describeService(service: ServiceOverview, { nodes }: Overview): string[] {
  const { name, revision, sets, panic, on_backup, down, destinations } = service;
  const facts = [
    revision === null ? 'nothing is decided yet' : `revision ${revision}`,
    sets > 1 ? `remembers ${many(sets - 1, 'set')}` : 'settled',
    ...(panic ? ['PANIC'] : []),
    ...(down ? ['DOWN'] : []),
    ...(on_backup ? ['the backups stand in'] : []),
  ];
  const changed = destinations.flatMap((one) => {
    const { wanted, weight, forgotten, by_hand } = one;
    if (weight === wanted && !forgotten && by_hand === null) return [];
    const why = by_hand ?? (forgotten ? 'dead' : weight === 0 ? 'down' : 'starting');
    return [`  ${one.name}  weight ${weight} of ${wanted}  ${why}`];
  });
  const table = new Table({
    head: ['node', 'is', 'revision', 'sum', 'oldest set'],
    chars: BARE,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
  });
  for (const node of nodes) {
    const own = node.tables.find((one) => one.service === name);
    const is = [
      ...(node.leads ? ['leads'] : []),
      ...(node.drained ? ['drained'] : []),
      own?.up_to_date ? 'up to date' : 'BEHIND',
      ...(node.fault === null ? [] : [node.fault]),
    ];
    const need = sets < 2 ? '' : own?.settled ? 'not needed' : 'needed';
    table.push([node.name, is.join(', '), own?.revision ?? '-', own?.sum ?? '-', need]);
  }
  return [
    `${name}  ${facts.join('; ')}; ${many(destinations.length, 'destination')}`,
    ...changed,
    ...(nodes.length === 0
      ? []
      : table
          .toString()
          .split('\n')
          .map((line) => `  ${line.trimEnd()}`)),
  ];
}
