// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Checks of the destinations: what the kernel knows of them, and what is seen inside
 * them.
 */
import { at, must } from '../../text/must.js';
import { isDecap, isOurs } from '../../program/find.js';
import { many } from '../../text/format.js';
import { answersComeBack } from '../../wire/forward.js';
import { Unseen } from '../../text/unseen.js';
import type { Device, RpFilter } from '../../system/ip/namespaces.js';
import type { Check, DestinationFacts, Facts, FarEnd } from '../facts.js';
import {
  fillCommand,
  forwardsOf,
  found,
  known,
  orWell,
  passedIn,
  remark,
  serviceAddresses,
  some,
  unseenOf,
  within,
  withoutHost,
} from '../findings.js';

export const checkAnswers: Check = (facts) => {
  const { balancer } = facts;
  // If the device does not work, no destination behind it can answer.
  const destinations = (balancer?.destinations ?? []).filter((one) => one.device);
  if (destinations.length === 0) return undefined;
  const wire = withoutHost(facts);
  if (wire) return wire;
  const local = destinations.filter(({ isLocal }) => isLocal);
  const lost = destinations.filter(({ hop, isLocal }) => hop === undefined && !isLocal);
  const silent = new Map<string, DestinationFacts[]>();
  for (const one of destinations) {
    if (one.hop === undefined || known(one)?.answers !== 'no') continue;
    silent.set(one.hop, [...(silent.get(one.hop) ?? []), one]);
  }
  const findings = [
    ...local.map((one) =>
      found({
        finding: `the destination ${one.address} is this host itself`,
        evidence: `ip route get ${one.address} says local; packets to it still leave by ${by(one)}`,
        fix: `${fillCommand(facts, one.service)}, without ${one.address}`,
      }),
    ),
    ...[...silent].map(([hop, behind]) => {
      const addresses = behind.map(({ address }) => address);
      const isRouter = addresses.some((address) => address !== hop);
      const name = by(at(behind, 0));
      return found({
        finding: isRouter
          ? `${hop}, the router towards ${some(addresses)}, does not answer`
          : `the destination ${hop} does not answer`,
        evidence: `the kernel asked for its MAC on ${name}, and nobody answered`,
        fix: isRouter
          ? `ip route get ${at(addresses, 0)} oif ${name}, and check ${hop}`
          : `start ${hop}, or give it weight 0 with ${fillCommand(facts, behind[0]?.service)}`,
      });
    }),
    ...lost.map(({ address, ...one }) =>
      remark({
        finding: `no route to the destination ${address} over ${by(one)}`,
        evidence: 'so neither its MAC nor whether it answers could be checked',
        fix: `ip route add ${address}/${address.includes(':') ? 128 : 32} via ROUTER dev ${by(one)}`,
      }),
    ),
  ];
  const unseen = unseenOf(destinations);
  if (findings.length === 0 && unseen) return unseen;
  const asked = destinations.filter((one) => known(one)?.answers === 'yes');
  return orWell(
    findings,
    asked.length === 0
      ? 'the neighbour table is set by hand, so nobody was asked'
      : `a neighbour answers on the way to ${many(asked.length, 'destination')}`,
  );
};

/** The device that packets to a destination leave by, which works. */
function by({ device }: Pick<DestinationFacts, 'device'>): string {
  return must(device, 'the device towards a destination');
}

export const checkMac: Check = (facts) => {
  const { balancer } = facts;
  if (!balancer || balancer.destinations.length === 0) return undefined;
  const unseen = withoutHost(facts);
  if (unseen) return unseen;
  // What is by the link has its own MAC; checkLink judges a router on the way to it.
  const all = balancer.destinations.filter(
    (one) => known(one)?.mac && (one.forward === 'tunnel' || one.hop === one.address),
  );
  if (all.length === 0) return unseenOf(balancer.destinations);
  const wrong = all.filter((one) => known(one)?.mac !== one.mac);
  return orWell(
    wrong.map((one) => {
      const { address, mac, hop, service, device } = one;
      const is = must(known(one)?.mac, `the MAC of ${address}`);
      const whose =
        hop === address
          ? address
          : `${must(hop, `the next hop of ${address}`)}, the router towards ${address},`;
      return found({
        finding: `the table has a wrong MAC for ${address}`,
        evidence: `it has ${mac}; ip neigh show dev ${by({ device })} has ${whose} at ${is}`,
        fix: `${fillCommand(facts, service)}, with the row ${address}, ${is}`,
      });
    }),
    `table and neighbour table agree on ${many(all.length, 'MAC')}`,
  );
};

const TUNNELS = ['ipip', 'ip6tnl', 'sit'];

function tunnelsOf({ devices }: FarEnd): Device[] {
  return devices.filter(({ kind, up }) => up && TUNNELS.includes(kind));
}

function hasDecap({ device }: FarEnd): boolean {
  return device.programs.some(({ name }) => isDecap(name));
}

/** Another program may decapsulate too; its name does not tell. */
function hasForeignProgram({ device }: FarEnd): boolean {
  return device.programs.some(({ name }) => !isOurs(name));
}

/** The devices on which the inner packet of a tunnel comes to the stack. */
function tunnelEnds(end: FarEnd): Device[] {
  return hasDecap(end) ? [end.device] : tunnelsOf(end);
}

/** The devices on which packets to the service come to the stack. */
function innerDevices(facts: Facts, end: FarEnd): Device[] {
  const forwards = forwardsOf(facts, end.address);
  const devices = new Set<Device>();
  if (forwards.has('tunnel')) tunnelEnds(end).forEach((one) => devices.add(one));
  if (forwards.has('link')) devices.add(end.device);
  return [...devices];
}

export const checkTunnel: Check = ({ balancer, farEnds, traffic }) => {
  if (!balancer) return undefined;
  const destinations = balancer.destinations.filter(
    ({ forward }) => forward === 'tunnel',
  );
  const saying = new Map(
    passedIn(traffic).flatMap((one) =>
      one.withoutTunnel === undefined ? [] : [[one.withoutTunnel, one] as const],
    ),
  );
  const findings = destinations.flatMap(({ address }) => {
    const end = farEnds.find((one) => one.address === address);
    const said = saying.get(address);
    const isMissing =
      end && tunnelEnds(end).length === 0 && !hasForeignProgram(end) ? end : undefined;
    if (!isMissing && !said) return [];
    const evidence = [
      ...(isMissing
        ? [
            `in ${isMissing.namespace} no tunnel device is up, and ${isMissing.device.name} has no l4lb_decap`,
          ]
        : []),
      ...(said
        ? [`${many(said.count, 'packet')} of ${said.what} came during the check`]
        : []),
    ];
    return [
      found({
        finding: `nothing removes the outer header at ${address}`,
        evidence: evidence.join('; '),
        fix: end
          ? `nsenter --net=/run/netns/${end.namespace} l4lb-load -i ${end.device.name} --decap`
          : `on ${address}: l4lb-load -i DEVICE --decap, or modprobe ipip && ip link set dev tunl0 up`,
      }),
    ];
  });
  const ends = farEnds.filter((end) =>
    destinations.some(({ address }) => address === end.address),
  );
  const seen = ends.filter((end) => tunnelEnds(end).length > 0).length;
  if (findings.length > 0) return findings;
  return seen === 0
    ? undefined
    : `the outer header is removed at ${many(seen, 'destination')} of this host`;
};

const STRICTNESS: Record<RpFilter, number> = { off: 0, strict: 1, loose: 2 };

/** The kernel takes the larger of the device's value and the value for all. */
function isStrict({ rpFilters, namespace }: FarEnd, device: string): boolean | Unseen {
  if (rpFilters instanceof Unseen) return rpFilters;
  const [all, own] = [rpFilters.get('all'), rpFilters.get(device)];
  if (all === undefined || own === undefined) {
    return new Unseen(
      `ip -n ${namespace} netconf show does not list rp_filter of ${device}`,
    );
  }
  return Math.max(STRICTNESS[all], STRICTNESS[own]) === STRICTNESS.strict;
}

/** Whether the filter is strict and the default route does not leave by this device. */
function drops(end: FarEnd, device: string): boolean | Unseen {
  const strict = isStrict(end, device);
  if (strict !== true) return strict;
  const { defaultDevices } = end;
  return defaultDevices instanceof Unseen
    ? defaultDevices
    : !defaultDevices.includes(device);
}

export const checkRpFilter: Check = (facts) => {
  const inner = (end: FarEnd): Device[] => innerDevices(facts, end);
  const ends = facts.farEnds.filter((end) => inner(end).length > 0);
  if (ends.length === 0) return undefined;
  const all = ends.flatMap((end) =>
    inner(end).map(({ name }) => ({ end, name, dropped: drops(end, name) })),
  );
  const findings = all
    .filter(({ dropped }) => dropped === true)
    .map(({ end, name }) =>
      found({
        finding: `rp_filter drops packets at ${end.address}`,
        evidence: `in ${end.namespace} rp_filter is strict on ${name}, where packets to the service arrive, and the default route does not leave by ${name}`,
        fix: within(
          end.namespace,
          `sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.${name}.rp_filter=0`,
        ),
      }),
    );
  if (findings.length > 0) return findings;
  for (const { end, dropped } of all) {
    if (dropped instanceof Unseen) return new Unseen(`at ${end.address}: ${dropped.why}`);
  }
  return `rp_filter lets packets in at ${many(ends.length, 'destination')}`;
};

/** By nat packets come with the destination's own address. */
function neededAddresses(facts: Facts, destination: string): string[] {
  const ways = [...forwardsOf(facts, destination)].filter((one) => !answersComeBack(one));
  return [...new Set(ways.flatMap((one) => serviceAddresses(facts, destination, one)))];
}

export const checkServiceAddress: Check = (facts) => {
  const { farEnds, balancer } = facts;
  if (!balancer || farEnds.length === 0) return undefined;
  const needing = farEnds
    .map((end) => ({ end, needed: neededAddresses(facts, end.address) }))
    .filter(({ needed }) => needed.length > 0);
  if (needing.length === 0) return undefined;
  const findings = needing.flatMap(({ end, needed }) => {
    const own = end.devices.flatMap(({ addresses }) => addresses);
    return needed
      .filter((address) => !own.includes(address))
      .map((address) =>
        found({
          finding: `${end.address} does not have the service's address ${address}`,
          evidence: `ip -n ${end.namespace} addr show does not list it, so the destination does not accept packets to it`,
          fix: `ip -n ${end.namespace} addr add ${address}/${address.includes(':') ? 128 : 32} dev lo`,
        }),
      );
  });
  return orWell(
    findings,
    `the service's address is set at ${many(needing.length, 'destination')}`,
  );
};
