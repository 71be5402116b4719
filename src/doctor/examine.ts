// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Runs all checks on the facts. */
import {
  checkAnswers,
  checkMac,
  checkRpFilter,
  checkServiceAddress,
  checkTunnel,
} from './checks/destinations.js';
import type { Check, CheckName, Facts, Finding } from './facts.js';
import { CHECKS } from './facts.js';
import {
  checkDevice,
  checkMode,
  checkOffload,
  checkProgram,
  checkTools,
  checkVlan,
} from './checks/program.js';
import { checkExitDrops, checkExitVeth, checkExits } from './checks/exits.js';
import { checkLink } from './checks/link.js';
import { checkLocalServers } from './checks/local-servers.js';
import { checkNeighbours } from './checks/neighbours.js';
import { checkPools } from './checks/pools.js';
import { checkPorts } from './checks/ports.js';
import { checkRecords } from './checks/records.js';
import { checkDaemon, checkServing } from './checks/serving.js';
import { checkSiblings } from './checks/siblings.js';
import { checkDeviceMac, checkMtu, checkSource, checkTable } from './checks/tables.js';
import { checkCounters, checkMatches } from './checks/traffic.js';
import { checkDrops, checkPeer, checkPeerOffloads } from './checks/veth.js';
import { checkWayBack } from './checks/way-back.js';
import { Unseen } from '../text/unseen.js';
import { append } from '../text/lists.js';

const FUNCTIONS: Record<CheckName, Check> = {
  device: checkDevice,
  tools: checkTools,
  offload: checkOffload,
  program: checkProgram,
  mode: checkMode,
  table: checkTable,
  'device mac': checkDeviceMac,
  source: checkSource,
  mtu: checkMtu,
  answers: checkAnswers,
  mac: checkMac,
  neighbours: checkNeighbours,
  exits: checkExits,
  'exit veth': checkExitVeth,
  'exit drops': checkExitDrops,
  'way back': checkWayBack,
  siblings: checkSiblings,
  tunnel: checkTunnel,
  link: checkLink,
  rp_filter: checkRpFilter,
  'service address': checkServiceAddress,
  'local servers': checkLocalServers,
  'veth peer': checkPeer,
  'veth offloads': checkPeerOffloads,
  drops: checkDrops,
  matches: checkMatches,
  counters: checkCounters,
  records: checkRecords,
  ports: checkPorts,
  pools: checkPools,
  serving: checkServing,
  l4lbd: checkDaemon,
  vlan: checkVlan,
};

export interface Diagnosis {
  interface: string;
  /** Findings before remarks, each in the order of the checks. */
  findings: Finding[];
  well: { check: CheckName; text: string }[];
  /** What could not be looked at, and why. It counts neither as well nor as a finding. */
  unseen: { check: CheckName; text: string }[];
}

export function examine(facts: Facts): Diagnosis {
  const findings: Finding[] = [];
  const well: Diagnosis['well'] = [];
  const unseen: Diagnosis['unseen'] = [];
  for (const check of CHECKS) {
    const said = FUNCTIONS[check](facts);
    if (typeof said === 'string') well.push({ check, text: said });
    else if (said instanceof Unseen) unseen.push({ check, text: said.why });
    else
      append(
        findings,
        (said ?? []).map((one) => ({ check, ...one })),
      );
  }
  const order = ['finding', 'remark'];
  findings.sort(
    (one, other) => order.indexOf(one.severity) - order.indexOf(other.severity),
  );
  return { interface: facts.device.name, findings, well, unseen };
}

export function isHealthy({ findings }: Diagnosis): boolean {
  return findings.every(({ severity }) => severity !== 'finding');
}
