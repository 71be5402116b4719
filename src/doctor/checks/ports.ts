// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Checks whether full-nat has ports left for new connections, and who shares them. */
import { MOST_BLOCKS } from '../../abi/pool.js';
import type { PoolUse, PortsRead } from '../../plan/port-use.js';
import { establishedShare, nameOf, runsOut } from '../../plan/port-use.js';
import { formatShare, many } from '../../text/format.js';
import { must } from '../../text/must.js';
import { Unseen } from '../../text/unseen.js';
import { isIpv6 } from '../../wire/address.js';
import { formatWay } from '../../wire/way.js';
import type { Check, Facts, Finding } from '../facts.js';
import { fillCommand, found, orWell, remark, some } from '../findings.js';

type Found = Omit<Finding, 'check'>;

export const checkPorts: Check = (facts) => {
  const { ports } = facts;
  if (ports === undefined || ports instanceof Unseen) return ports;
  const full = ports.pools.filter(runsOut);
  const findings = [
    ...full.map((pool) => runningOut(facts, ports, pool)),
    ...dropped(facts, ports),
    ...ports.pools.flatMap((pool) => shared(facts, pool)),
  ];
  const most = ports.pools.reduce((one, other) =>
    establishedShare(other) > establishedShare(one) ? other : one,
  );
  return orWell(
    findings,
    `there are ports for new connections: ${formatShare(most.established, most.seen)} of those of ${nameOf(most)} are of established ones`,
  );
};

function runningOut(facts: Facts, ports: PortsRead, pool: PoolUse): Found {
  const { established, seen } = pool;
  return found({
    finding: `the ports of ${nameOf(pool)} run out: ${formatShare(established, seen)} are of established connections`,
    evidence: `so it is with ${established} of ${many(seen, 'port')} that were looked at, and from three quarters on new connections are dropped as "no port"`,
    fix: morePorts(facts, ports, pool),
  });
}

/** Where the drops are not explained by a pool that is full on the whole. */
function dropped(facts: Facts, ports: PortsRead): Found[] {
  const count = facts.traffic?.verdicts.get('no port') ?? 0;
  if (count === 0) return [];
  const fullest = ports.pools.toSorted(
    (one, other) => establishedShare(other) - establishedShare(one),
  );
  const pool = must(fullest[0], 'a pool');
  return [
    found({
      finding: 'new connections are dropped, because no port is left for them',
      evidence: `${many(count, 'packet')} counted as "no port" during the check; of the ports of ${nameOf(pool)}, ${formatShare(pool.established, pool.seen)} are of established connections`,
      fix: morePorts(facts, ports, pool),
    }),
  ];
}

/**
 * A pool of twice as many addresses. The new one is beside the others, and where there is no
 * room for it the program has to be loaded with more blocks, which ends connections.
 */
function morePorts(facts: Facts, { blocks, pools }: PortsRead, pool: PoolUse): string {
  const { device } = facts;
  const service = pool.services[0];
  const size = 2 * (pool.spread + 1);
  const others = pools.reduce((sum, { spread }) => sum + spread + 1, -pool.spread - 1);
  const needed = others + size;
  const source = `--source ADDRESS/${lengthOf(pool) - 1}`;
  if (needed > MOST_BLOCKS || lengthOf(pool) <= leastLength(pool)) {
    return `${fillCommand(facts, service)} --source PREFIX, one of its own for each service; or another balancer beside this one`;
  }
  if (needed <= blocks) return `${fillCommand(facts, service)} ${source}`;
  return `l4lb-load -i ${device.name} --off && ${fillCommand(facts, service).replace('l4lb-map', 'l4lb-load')} ${source} --blocks ${needed}, which ends connections`;
}

function lengthOf({ address, spread }: PoolUse): number {
  const bits = isIpv6(address) ? 128 : 32;
  return bits - (32 - Math.clz32(spread));
}

function leastLength({ address }: PoolUse): number {
  return (isIpv6(address) ? 128 : 32) - 16;
}

/** A flood on one service takes ports from the other. */
function shared(facts: Facts, pool: PoolUse): Found[] {
  const { services } = pool;
  if (services.length < 2) return [];
  const ways = services.map((id) => {
    const service = facts.balancer?.services.find((one) => one.id === id);
    return service?.ways.map(formatWay)[0] ?? `service ${id}`;
  });
  const last = services.at(-1);
  return [
    remark({
      finding: `${many(services.length, 'service')} share the ports of ${nameOf(pool)}: a flood on one takes those of the others`,
      evidence: `${some(ways)} have the same source`,
      fix: `${fillCommand(facts, last)} --source PREFIX, one of its own for each`,
    }),
  ];
}
