// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Checks of destinations that packets reach without a tunnel, by their MAC addresses. */
import { many } from '../../text/format.js';
import { Unseen } from '../../text/unseen.js';
import type { Check, DestinationFacts, Facts, FarEnd, Finding } from '../facts.js';
import { fillCommand, found, remark, serviceAddresses, within } from '../findings.js';

type Found = Omit<Finding, 'check'>;

export const checkLink: Check = (facts) => {
  const { balancer, farEnds } = facts;
  const all = (balancer?.destinations ?? []).filter(({ forward }) => forward === 'link');
  if (all.length === 0) return undefined;
  const ends = farEnds.filter(({ arpIgnore }) => arpIgnore !== undefined);
  const findings = [
    ...all.flatMap((one) => behindRouter(facts, one)),
    ...ends.flatMap((end) => answering(facts, end)),
  ];
  if (findings.length > 0) return findings;
  for (const { address, arpIgnore } of ends) {
    if (arpIgnore instanceof Unseen) return new Unseen(`at ${address}: ${arpIgnore.why}`);
  }
  const direct = all.filter(({ hop, address }) => hop === address);
  // Where no device towards them works, nothing was asked.
  if (direct.length === 0 && ends.length === 0) return undefined;
  const silent =
    ends.length > 0
      ? `; ${many(ends.length, 'destination')} of this host ${ends.length === 1 ? 'does' : 'do'} not answer ARP for the service's address`
      : '';
  const near =
    direct.length > 0
      ? `no router is on the way to ${many(direct.length, 'destination')}`
      : '';
  return `${near}${silent}`.replace(/^; /, '');
};

/** A router would look at the address in the packet, which is the service's. */
function behindRouter(facts: Facts, one: DestinationFacts): Found[] {
  const { address, hop, mac, neighbour, service } = one;
  if (hop === undefined || hop === address) return [];
  const name = one.device ?? facts.device.name;
  const route = `ip route get ${address} oif ${name} names the router ${hop}`;
  const fix = `${fillCommand(facts, service)} --forward tunnel, or put ${address} on the link of ${name}`;
  const known = neighbour instanceof Unseen ? undefined : neighbour?.mac;
  if (known !== undefined && known !== mac) {
    return [
      remark({
        finding: `the kernel reaches ${address} through a router, and l4lb does not`,
        evidence: `${route}, at ${known}, but the table has ${mac}; this works only if that MAC is on the link of ${name}`,
        fix,
      }),
    ];
  }
  return [
    found({
      finding: `a router is on the way to ${address}, which has to be on the same link`,
      evidence: `${route}; the packet still goes to the service's address, so a router sends it back to here, again and again`,
      fix,
    }),
  ];
}

/** Of arp_ignore: 1 and 2 look at the device that asks, 3 at the scope, and 8 refuses. */
const SILENT = [1, 2, 3, 8];

const BE_SILENT =
  'sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2';

/** Says for which of the service's addresses a destination answers. */
function answering(facts: Facts, end: FarEnd): Found[] {
  const { namespace, device, devices, arpIgnore } = end;
  const held = devices.flatMap(({ addresses }) => addresses);
  const wanted = serviceAddresses(facts, end.address, 'link');
  return wanted
    .filter((address) => held.includes(address))
    .flatMap((address) => {
      const isOnDevice = device.addresses.includes(address);
      // Of IPv6 the kernel answers for addresses of the device alone.
      const isAsked = !address.includes(':') && typeof arpIgnore === 'number';
      const answers = isAsked && !SILENT.includes(arpIgnore);
      if (!isOnDevice && !answers) return [];
      const who = `so whoever is on the link may send to ${end.address} and not to the balancer`;
      const protocol = address.includes(':') ? 'neighbour discovery' : 'ARP';
      return [
        remark({
          finding: `${end.address} answers ${protocol} for the service's address ${address}`,
          evidence: isOnDevice
            ? `in ${namespace} ${device.name} has the address itself, ${who}`
            : `in ${namespace} arp_ignore is ${arpIgnore as number} for ${device.name}, ${who}`,
          fix: isOnDevice ? moveToLo(end, address) : within(namespace, BE_SILENT),
        }),
      ];
    });
}

function moveToLo({ namespace, device, devices }: FarEnd, address: string): string {
  const own = `ip -n ${namespace} addr`;
  const others = devices.filter(({ name }) => name !== device.name);
  const length = address.includes(':') ? 128 : 32;
  const add = `${own} add ${address}/${length} dev lo`;
  const isThere = others.some(({ addresses }) => addresses.includes(address));
  return `${own} del ${address} dev ${device.name}${isThere ? '' : `; ${add}`}`;
}
