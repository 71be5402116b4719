// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What the checks of l4lb-doctor share. */
import type {
  DestinationFacts,
  ExitFacts,
  Facts,
  Finding,
  NeighbourFacts,
  Passed,
  Said,
  ServiceFacts,
  Traffic,
} from './facts.js';
import { formatAddress } from '../wire/address.js';
import type { EntryForward } from '../wire/forward.js';
import { Unseen } from '../text/unseen.js';
import { formatWay } from '../wire/way.js';

type Text = Omit<Finding, 'check' | 'severity'>;

export function found(text: Text): Omit<Finding, 'check'> {
  return { severity: 'finding', ...text };
}

export function remark(text: Text): Omit<Finding, 'check'> {
  return { severity: 'remark', ...text };
}

/** Returns the findings if there are any, and else what is well. */
export function orWell(findings: Omit<Finding, 'check'>[], well: string): Said {
  return findings.length > 0 ? findings : well;
}

export function isFinding(said: Said): boolean {
  return Array.isArray(said) && said.some(({ severity }) => severity === 'finding');
}

/**
 * Without an exception, l4lb-dpdk has no host behind it: what the kernel shows of the device is
 * the wire, and what it asks there comes in as if a client had asked.
 */
export function withoutHost({ device, dpdk }: Facts): Unseen | undefined {
  return dpdk?.isException === false
    ? new Unseen(
        `${device.name} is the wire of l4lb-dpdk's port, and no host is behind it`,
      )
    : undefined;
}

/** The command that fills a service again. With several services it must name one. */
export function fillCommand(
  { device, balancer, daemon }: Facts,
  id?: number,
  more: readonly string[] = [],
): string {
  if (daemon && !(daemon instanceof Unseen)) {
    const what = more.length > 0 ? ` (${more.join(' ')})` : '';
    return `change ${daemon.file.path}${what}, and: l4lb ctl -i ${device.name} reload`;
  }
  const services = balancer?.services ?? [];
  const service = services.find((one) => one.id === id);
  const isNamed = more.length > 0 || services.length > 1;
  const ways = isNamed ? [...(service ? waysOf(service) : []), ...more] : [];
  return `l4lb-map -i ${device.name} -f FILE${ways.length > 0 ? ` --vip ${ways.join(' ')}` : ''}`;
}

export function waysOf({ ways }: ServiceFacts): string[] {
  return ways.map(formatWay);
}

/** The addresses that services name which send to this destination, by any way or by this one. */
export function serviceAddresses(
  { balancer }: Facts,
  destination: string,
  forward?: EntryForward,
): string[] {
  const services = (balancer?.destinations ?? [])
    .filter(({ address }) => address === destination)
    .filter((one) => forward === undefined || one.forward === forward)
    .map(({ service }) => service);
  const ways = (balancer?.services ?? [])
    .filter(({ id }) => services.includes(id))
    .flatMap((service) => service.ways);
  return [...new Set(ways.map(({ address }) => formatAddress(address)))].filter(
    (address) => address !== 'any',
  );
}

/** How services send to this destination, which may be one of several. */
export function forwardsOf({ balancer }: Facts, destination: string): Set<EntryForward> {
  const all = balancer?.destinations ?? [];
  return new Set(
    all.filter(({ address }) => address === destination).map(({ forward }) => forward),
  );
}

/** An address of the device that hosts of this family can send to. */
export function ownAddress({ device }: Facts, like: string): string | undefined {
  const isIpv6 = like.includes(':');
  return device.addresses.find(
    (one) => one.includes(':') === isIpv6 && !one.startsWith('fe80:'),
  );
}

/** The captured frames; none where the capture failed, which checkTools reports. */
export function passedIn(traffic: Traffic | undefined): readonly Passed[] {
  return !traffic || traffic.passed instanceof Unseen ? [] : traffic.passed;
}

/** Shortens a list: `10.0.1.1, 10.0.1.2 and 30 more`. */
export function some(list: readonly string[], most = 3): string {
  if (list.length <= most) return list.join(', ');
  return `${list.slice(0, most).join(', ')} and ${list.length - most} more`;
}

/** What the kernel knows of the next hop towards a destination. */
export function known({ neighbour }: DestinationFacts): NeighbourFacts | undefined {
  return neighbour instanceof Unseen ? undefined : neighbour;
}

/** Why the neighbours towards destinations could not be read, if so. */
export function unseenOf(destinations: readonly DestinationFacts[]): Unseen | undefined {
  const all = destinations.map(({ neighbour }) => neighbour);
  return all.find((neighbour) => neighbour instanceof Unseen);
}

/** Makes a command run in another namespace of this host. */
export function within(namespace: string | undefined, command: string): string {
  return namespace === undefined ? command : `ip netns exec ${namespace} ${command}`;
}

/** Whether frames can leave by an exit, as far as this host can tell. */
export function works({ device, sender, isLost }: ExitFacts): boolean {
  return !isLost && [device, sender].every((one) => one?.up === true && one.carrier);
}
