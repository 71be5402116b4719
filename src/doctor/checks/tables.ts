// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Checks of what was filled into the tables. */
import { must } from '../../text/must.js';
import { formatMac } from '../../wire/address.js';
import { formatCount, many } from '../../text/format.js';
import { formatWay } from '../../wire/way.js';
import { isLocal } from '../../plan/local-servers.js';
import type { Device } from '../../system/ip/namespaces.js';
import type { Balancer, Check } from '../facts.js';
import {
  fillCommand,
  found,
  orWell,
  ownAddress,
  remark,
  some,
  withoutHost,
} from '../findings.js';

export const checkTable: Check = (facts) => {
  const { balancer, device } = facts;
  if (!balancer) return undefined;
  const { services, destinations } = balancer;
  const local = [...balancer.tables.destinations.values()].filter(isLocal);
  if (services.length === 0) {
    return [
      found({
        finding: 'the table is empty: everything passes to the host',
        evidence: `l4lb-load -i ${device.name} --status lists no service`,
        fix: `l4lb-map -i ${device.name} -f FILE`,
      }),
    ];
  }
  const findings = services.flatMap((service) => {
    const name = some(service.ways.map(formatWay));
    const own = [...destinations, ...local].filter((one) => one.service === service.id);
    if (service.emptySlots === 0) return [];
    const slots = 1 << service.log2Slots;
    const isEmpty = service.emptySlots === slots;
    return [
      found({
        finding: isEmpty
          ? `no slot of ${name} has a destination`
          : `some slots of ${name} have no destination`,
        evidence:
          `${formatCount(service.emptySlots)} of ${many(slots, 'slot')} ${service.emptySlots === 1 ? 'is' : 'are'} empty, so packets pass to the host; ` +
          (own.length === 0
            ? 'the service has no destination'
            : `it has ${many(own.length, 'destination')}${isEmpty ? ' of weight 0' : ''}`),
        fix: isEmpty
          ? `${fillCommand(facts, service.id)}, with a row whose weight is not 0`
          : fillCommand(facts, service.id),
      }),
    ];
  });
  return orWell(
    findings,
    `${many(services.length, 'service')} with ${many(destinations.length + local.length, 'destination')}; every slot has a destination`,
  );
};

export const checkDeviceMac: Check = (facts) => {
  const { balancer, device } = facts;
  if (!balancer || balancer.services.length === 0) return undefined;
  const mac = formatMac(balancer.tables.device.mac);
  if (mac === device.mac) return `the table has ${device.name}'s own MAC`;
  return [
    found({
      finding: `the MAC of ${device.name} is not the one in the table`,
      evidence: `the device has ${device.mac} and the table ${mac}, so packets to the device count as "not for us"`,
      fix: fillCommand(facts, balancer.services[0]?.id),
    }),
  ];
};

export const checkSource: Check = (facts) => {
  const { balancer, device, addresses } = facts;
  // Only the outer header of a tunnel has a source.
  const destinations = (balancer?.destinations ?? []).filter(
    ({ forward }) => forward === 'tunnel',
  );
  if (destinations.length === 0) return undefined;
  const unseen = withoutHost(facts);
  if (unseen) return unseen;
  const sources = [...new Set(destinations.map(({ source }) => source))];
  // A prefix need not be on a device.
  const spread = destinations.filter(({ isSpread }) => isSpread);
  const known = [...addresses, ...spread.map(({ source }) => source)];
  const foreign = sources.filter((source) => !known.includes(source));
  return orWell(
    foreign.map((source) => {
      const users = destinations.filter((one) => one.source === source);
      const own = ownAddress(facts, source);
      const length = source.includes(':') ? 128 : 32;
      return found({
        finding: `the outer header's source ${source} is not an address of this host`,
        evidence: `packets to ${some(users.map(({ address }) => address))} carry it; ICMP errors about them do not come back, and routers may drop packets from a foreign source`,
        fix: own
          ? `${fillCommand(facts, users[0]?.service)} -s ${own}`
          : `ip addr add ${source}/${length} dev ${device.name}`,
      });
    }),
    `the outer header's source is ${spread.length > 0 ? '' : "this host's "}${some(sources)}`,
  );
};

const ETHERNET_MTU = 1500;

export const checkMtu: Check = (facts) => {
  const { balancer, device, traffic } = facts;
  if (!balancer || !traffic || balancer.destinations.length === 0) return undefined;
  const again = fillCommand(facts, balancer.services[0]?.id);
  const largest = largestOf(balancer.tables.destinations.values());
  const { name, mtu, filled } = narrowest(balancer, device, largest);
  const outer = filled - largest;
  // checkExits judges the MTU of an exit.
  if (name === device.name && filled !== mtu) {
    const text = {
      evidence: `the device has ${mtu}, the table was filled for ${filled}`,
      fix: again,
    };
    return filled > mtu
      ? [found({ finding: `the MTU of ${name} is smaller than the table says`, ...text })]
      : [
          remark({
            finding: `the MTU of ${name} is larger than the table says`,
            ...text,
          }),
        ];
  }
  const now = must(traffic.verdicts.get('too big'), 'too big');
  const ever = must(traffic.sums.get('too big'), 'too big');
  const limit = `limit senders to ${largest}`;
  const needed = Math.max(mtu, ETHERNET_MTU) + outer;
  const fix =
    needed === mtu
      ? limit
      : `ip link set dev ${name} mtu ${needed} && ${again}, ` +
        `if the path to the destinations allows it; or ${limit}`;
  if (now > 0) {
    return [
      found({
        finding: `the MTU of ${name} is too small for the packets that come`,
        evidence: `${many(now, 'packet')} of more than ${largest} bytes came during the check${outer > 0 ? `: the outer header takes ${outer} of ${mtu}` : ', and without a tunnel nothing but the MTU limits them'}`,
        fix,
      }),
    ];
  }
  const told = must(traffic.verdicts.get('too big told'), 'too big told');
  if (told > 0 && largest < ETHERNET_MTU) {
    return [
      remark({
        finding: `the MTU of ${name} is too small for ${many(told, 'packet')}`,
        evidence: `they came during the check, and their senders were told that ${largest} bytes fit`,
        fix,
      }),
    ];
  }
  // If even the largest Ethernet packets fit now, it has been fixed since.
  if (ever > 0n && largest < ETHERNET_MTU) {
    return [
      remark({
        finding: `the MTU of ${name} was too small for ${formatCount(ever)} packets`,
        evidence: `since the program was loaded; none came during the check. Up to ${largest} bytes fit`,
        fix,
      }),
    ];
  }
  return `packets of up to ${formatCount(largest)} bytes fit an MTU of ${formatCount(mtu)}`;
};

/** The device that the largest packet just fits: an exit's, or the program's own. */
function narrowest(
  { tables, exits }: Balancer,
  { name, mtu }: Device,
  largest: number,
): { name: string; mtu: number; filled: number } {
  const own = { name, mtu, filled: tables.device.mtu };
  if (own.filled !== mtu) return own;
  const tightest = [...tables.destinations.values()].find(
    ({ service, largestPacket }) => service !== 0 && largestPacket === largest,
  );
  const exit = exits.find(({ number }) => number === tightest?.exit);
  if (!exit?.device) return own;
  return { name: exit.device.name, mtu: exit.device.mtu, filled: exit.entry.mtu };
}

function largestOf(
  destinations: Iterable<{ service: number; largestPacket: number }>,
): number {
  let largest = 0xffff;
  for (const { service, largestPacket } of destinations) {
    if (service !== 0) largest = Math.min(largest, largestPacket);
  }
  return largest;
}
