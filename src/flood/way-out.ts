// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The device that a flood leaves by, and the MAC addresses in its frames. */
import type { Context } from '../program/tools.js';
import { formatAddress, parseAddress, parseMac } from '../wire/address.js';
import { Failure, UsageFailure } from '../text/failure.js';
import type { Link } from '../system/ip/links.js';
import { familyOf } from '../wire/outer-source.js';
import { Namespaces } from '../system/ip/namespaces.js';
import { Neighbours } from '../system/ip/neighbours.js';
import type { Prefix } from './target.js';
import { familyBits } from './target.js';

/** The length of the Ethernet header, which the MTU does not include. */
const ETHERNET = 14;

export async function findDevice(tools: Context, name: string): Promise<Link> {
  const link = await tools.ip.link(name);
  if (!link.up) {
    throw new Failure(`${name} is down`, { next: `ip link set dev ${name} up` });
  }
  return link;
}

export async function refuseDefaultRoute(tools: Context, name: string): Promise<void> {
  const carriers = await new Namespaces(tools.run).defaultCarriers();
  if (!carriers.has(name)) return;
  throw new Failure(`${name} carries a default route, so nothing was sent`, {
    cause:
      'a flood there cuts off whoever works on this host, and may leave your network',
    next: 'use another device, or add --yes if you mean it',
  });
}

export function checkSize(link: Link, size: number): void {
  const most = link.mtu + ETHERNET;
  if (size <= most) return;
  throw new UsageFailure(`--size ${size}: ${link.name} takes at most ${most}`, {
    cause: `its MTU is ${link.mtu}`,
    next: `--size ${most}, or ip link set dev ${link.name} mtu ${size - ETHERNET}`,
  });
}

/** Returns the device's own address of the destination's family. */
export function ownSource({ name, addresses }: Link, destination: Buffer): Prefix {
  const text = addresses[familyOf(destination)];
  const address = text === undefined ? undefined : parseAddress(text);
  if (address) return { address, length: familyBits(address) };
  throw new Failure(`${name} has no address that could be the source`, {
    next: '--random-source, or --src ADDR[/LENGTH]',
  });
}

/** Returns the MAC address of the next hop, which may first have to be asked for it. */
export async function nextMac(
  tools: Context,
  device: string,
  destination: Buffer,
): Promise<Buffer> {
  const address = formatAddress(destination);
  const text = (await new Neighbours(tools.run).resolve(device, [address])).get(
    address,
  )?.mac;
  const mac = text === undefined ? undefined : parseMac(text);
  if (mac) return mac;
  throw new Failure(`no MAC address towards ${address} over ${device}`, {
    cause: 'there is no route to it, it is an address of this host, or nobody answers',
    next: `ip route get ${address} oif ${device}; or name it with --dst-mac MAC`,
  });
}
