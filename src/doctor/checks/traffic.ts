// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Checks of the packets that came while the doctor watched. */
import type { VerdictName } from '../../abi/verdicts.js';
import { formatAddress } from '../../wire/address.js';
import { formatCount, many } from '../../text/format.js';
import { must } from '../../text/must.js';
import { Unseen } from '../../text/unseen.js';
import { formatWay } from '../../wire/way.js';
import type { Check, Facts, Passed, Traffic } from '../facts.js';
import { checkDevice } from './program.js';
import { checkDeviceMac, checkTable } from './tables.js';
import {
  fillCommand,
  found,
  isFinding,
  ownAddress,
  passedIn,
  some,
} from '../findings.js';

/** Verdicts of packets that might have been meant for a service. */
const STRANGERS: VerdictName[] = [
  'not ours',
  'not for us',
  'ssh kept',
  'dhcp kept',
  'fragment',
  'malformed',
  'no room',
  'extension headers',
];

const MATCHING: VerdictName[] = [
  'balanced',
  'local server',
  'too big',
  'too big told',
  'echo answered',
  'echo limited',
];

/** Whether another fault explains why nothing is balanced. */
function isExplained(facts: Facts): boolean {
  return [checkDevice, checkTable, checkDeviceMac].some((check) =>
    isFinding(check(facts)),
  );
}

function countOf({ verdicts }: Traffic, names: readonly VerdictName[]): number {
  return names.reduce((sum, name) => sum + must(verdicts.get(name), name), 0);
}

function areStrangers(traffic: Traffic): boolean {
  const isIp = passedIn(traffic).some(({ to }) => to !== undefined);
  return countOf(traffic, STRANGERS) > 0 || isIp;
}

export const checkMatches: Check = (facts) => {
  const { traffic, balancer } = facts;
  if (!traffic || !balancer || isExplained(facts)) return undefined;
  const balanced = countOf(traffic, MATCHING);
  if (balanced > 0) return `${many(balanced, 'packet')} matched a service`;
  if (!areStrangers(traffic)) return undefined;
  const ways = balancer.services.flatMap((service) => service.ways.map(formatWay));
  return [
    found({
      finding: 'no packet matches a service',
      evidence: `the ways into services are ${some(ways)}, but these packets came in ${seconds(traffic)}: ${whatCame(traffic)}`,
      fix: wayIn(facts, passedIn(traffic)),
    }),
  ];
};

function whatCame(traffic: Traffic): string {
  const { passed, verdicts } = traffic;
  const counted = [...verdicts].filter(([, count]) => count > 0);
  const names = counted.map(([name, count]) => `${formatCount(count)} "${name}"`);
  if (passed instanceof Unseen) {
    return `${names.join(', ')} (tcpdump could say more: ${passed.why})`;
  }
  const seen = passed.map(({ what, count, to }) =>
    to ? `${many(count, 'packet')} to ${what}` : `${formatCount(count)} of ${what}`,
  );
  return `${some(seen, 5)} (${names.join(', ')})`;
}

/** The most frequent packet tells whether the way or the sender is wrong. */
function wayIn(facts: Facts, passed: readonly Passed[]): string {
  const { device, balancer } = facts;
  const to = passed.find((one) => one.to !== undefined)?.to;
  if (!to) return `l4lb-load -i ${device.name} --status, and send to a way it lists`;
  if (to.mac !== device.mac) {
    return `at the sender: ip route replace ${to.address} via ${ownAddress(facts, to.address) ?? device.mac}`;
  }
  const host = to.address.includes(':') ? `[${to.address}]` : to.address;
  const way = `${host}:${to.port}/${to.protocol}`;
  return `${fillCommand(facts, balancer?.services[0]?.id, [way])}, if it is meant for the service`;
}

export const checkCounters: Check = (facts) => {
  const { traffic, balancer, device } = facts;
  if (!traffic || !balancer || isExplained(facts)) return undefined;
  const counted = [...traffic.verdicts.values()].reduce((sum, count) => sum + count, 0);
  const came = `${many(counted, 'packet')} counted in ${seconds(traffic)}`;
  if (counted === 0 && traffic.received > LEAST_UNCOUNTED) {
    return [
      found({
        finding: `the counters stand still, although packets come to ${device.name}`,
        evidence: `in ${seconds(traffic)} the device received ${formatCount(traffic.received)}, and the program counted none`,
        fix: `l4lb-load -i ${device.name} --replace`,
      }),
    ];
  }
  if (countOf(traffic, MATCHING) > 0) return came;
  // The check above reports them.
  if (areStrangers(traffic)) return undefined;
  const address = balancer.services
    .flatMap((service) => service.ways.map((way) => formatAddress(way.address)))
    .find((one) => one !== 'any');
  const others = passedIn(traffic).map(({ what, count }) => `${count} of ${what}`);
  return [
    found({
      finding: 'the counters stand still: no packet comes that could be balanced',
      evidence:
        counted === 0
          ? `no packet came to ${device.name} in ${seconds(traffic)}`
          : `${came}, none of them TCP or UDP${others.length > 0 ? `: ${some(others)}` : ''}`,
      fix: `at a client: ip route get ${address ?? 'ADDRESS'}, which must lead to ${ownAddress(facts, address ?? '') ?? device.name}; or watch longer, with --interval 30`,
    }),
  ];
};

/** The device and the program are not read at the same moment, so a few may differ. */
const LEAST_UNCOUNTED = 10;

function seconds({ interval }: Traffic): string {
  return `${interval.toFixed(1)} s`;
}
