// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Checks whether answers find the way to the addresses that full-nat sends from. */
import { many } from '../../text/format.js';
import { Unseen } from '../../text/unseen.js';
import { onWire, parseAddress } from '../../wire/address.js';
import type { Check, Finding, LinkFacts, PoolFacts } from '../facts.js';
import { found, orWell, some } from '../findings.js';

type PoolAddress = PoolFacts['addresses'][number];

export const checkPools: Check = ({ balancer }) => {
  const facts = balancer?.pools;
  if (!facts) return undefined;
  const findings = facts.pools.flatMap((pool) =>
    facts.links.flatMap((link) => silentOn(link, pool)),
  );
  const outside = facts.pools.filter(({ addresses, returned }) => {
    const isOnNone = ({ address }: PoolAddress): boolean =>
      facts.links.every((link) => !isOn(link, address));
    return returned === 0n && addresses.some(isOnNone);
  });
  if (findings.length === 0 && outside.length > 0) {
    const sources = some(outside.map(({ source }) => source));
    return new Unseen(
      `${sources}: on no link of this host, so routers have to send answers here, and whether they do cannot be seen from here`,
    );
  }
  const sources = some(facts.pools.map(({ source }) => source));
  return orWell(findings, `answers to ${sources} find this host`);
};

/** Hosts on a link ask for an address of it by ARP or ND, and nobody says that it is here. */
function silentOn(link: LinkFacts, pool: PoolFacts): Omit<Finding, 'check'>[] {
  const { name, arpIgnore } = link;
  const here = pool.addresses.filter(({ address }) => isOn(link, address));
  const silent = here.filter((one) => !isAnswered(link, one));
  const [first] = silent;
  const own = first && networkOf(link, first.address);
  if (!own) return [];
  const isIpv6 = first.address.includes(':');
  const asked = isIpv6 ? 'ND' : 'ARP';
  const which = silent.length === 1 ? first.address : pool.source;
  const ignored = `arp_ignore is ${arpIgnore} on ${name}, so it answers only for its own addresses`;
  const why = first.isLocal
    ? isIpv6
      ? `it is an address of this host, but not of ${name}`
      : ignored
    : 'it is no address of this host, which does not answer for others there';
  return [
    found({
      finding: `answers to ${which} never arrive, as this host does not answer ${asked} for it on ${name}`,
      evidence: `${name} has ${own.address}/${own.length}, so hosts on its link ask for ${many(silent.length, 'address')} of ${pool.source} themselves; ip route get ${first.address}: ${why}`,
      fix: fixFor(link, which, silent, own.length),
    }),
  ];
}

function fixFor(
  { name, arpIgnore }: LinkFacts,
  which: string,
  silent: readonly PoolAddress[],
  length: number,
): string {
  // Without a lifetime the kernel does not choose the address for what this host sends.
  if (which.includes(':')) return addEach(silent, `/128 dev ${name} preferred_lft 0`);
  // From arp_ignore 2 on, the address has to be in the network of whoever asks.
  if (arpIgnore > 0) return addEach(silent, `/${length} dev ${name}`);
  // As an address of lo it would make the last one a broadcast address.
  return `ip route add local ${which} dev lo`;
}

function addEach(silent: readonly PoolAddress[], where: string): string {
  const all = silent.map(({ address }) => address).join(' ');
  return silent.length === 1
    ? `ip addr add ${all}${where}`
    : `for one in ${all}; do ip addr add $one${where}; done`;
}

/** As arp_process() and ndisc_recv_ns() have it. */
function isAnswered(link: LinkFacts, { address, isLocal, device }: PoolAddress): boolean {
  const isOwn = link.networks.some((one) => one.address === address);
  const isProxied = link.proxied.has(address);
  if (address.includes(':')) {
    return isOwn || (isProxied && link.forwardingIpv6 && link.proxyNdp);
  }
  if (isLocal) return isOwn || link.arpIgnore === 0;
  const isElsewhere = device !== undefined && device !== link.name;
  return isElsewhere && link.forwarding && (isProxied || link.proxyArp);
}

function isOn(link: LinkFacts, address: string): boolean {
  return networkOf(link, address) !== undefined;
}

function networkOf(
  { networks }: LinkFacts,
  address: string,
): LinkFacts['networks'][number] | undefined {
  const isLong = (length: number): boolean =>
    length >= (address.includes(':') ? 128 : 32);
  return networks.find(
    (one) => !isLong(one.length) && haveInCommon(one.address, address, one.length),
  );
}

/** Whether two addresses of a family begin with the same bits. */
function haveInCommon(one: string, other: string, length: number): boolean {
  const [first, second] = [one, other].map((text) => parseAddress(text));
  if (!first || !second) return false;
  const [left, right] = [onWire(first), onWire(second)];
  if (left.length !== right.length) return false;
  const rest = BigInt(left.length * 8 - length);
  const bits = (wire: Buffer): bigint => BigInt(`0x${wire.toString('hex')}`) >> rest;
  return bits(left) === bits(right);
}
