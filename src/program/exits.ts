// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Finds what a program needs to send by another device, or says why that device takes no
 * frames from it. A VLAN device has no XDP itself: frames leave by the one beneath it,
 * with a tag.
 */
import type { Context } from './tools.js';
import type { WantedExit } from '../plan/steps.js';
import type { Link, Sender } from '../system/ip/links.js';
import { Failure } from '../text/failure.js';
import { printableLine } from '../text/printable.js';
import { parseMac } from '../wire/address.js';

/** Kinds of devices that take frames from XDP; a real device has none. */
const TAKING = ['', 'veth', 'bond', 'tun'];

const VLAN_PROTOCOL = '802.1Q';

/** The exits by device, without the program's own. */
export async function exitsOf(
  { ip }: Pick<Context, 'ip'>,
  link: Link,
  devices: ReadonlyMap<string, string>,
): Promise<Map<string, WantedExit>> {
  const names = new Set([...devices.values()].filter((name) => name !== link.name));
  if (names.size === 0) return new Map();
  const all = new Map((await ip.senders()).map((one) => [one.name, one]));
  return new Map(
    [...names].map((name) => {
      const [address] = [...devices].find(([, device]) => device === name) ?? [''];
      return [name, exitBy(all, name, address)];
    }),
  );
}

function exitBy(
  all: ReadonlyMap<string, Sender>,
  name: string,
  address: string,
): WantedExit {
  const refuse = (cause: string, next: string): Failure =>
    new Failure(`no packet can leave for ${address} by ${printableLine(name)}`, {
      cause,
      next,
    });
  const one = all.get(name);
  if (!one) {
    throw refuse('there is no such device', `name one of: ${[...all.keys()].join(', ')}`);
  }
  const beneath = one.kind === 'vlan' ? all.get(one.parent ?? '') : one;
  if (!beneath) throw refuse('the device beneath it is in another namespace', 'ip link');
  if (one.kind === 'vlan' && one.vlan?.protocol !== VLAN_PROTOCOL) {
    throw refuse(
      `its tags are of the protocol ${one.vlan?.protocol ?? 'that ip does not tell'}, not ${VLAN_PROTOCOL}`,
      `use a VLAN device of ${VLAN_PROTOCOL}`,
    );
  }
  if (beneath.isLoopback || !TAKING.includes(beneath.kind)) {
    const kind = beneath.isLoopback ? 'loopback' : beneath.kind;
    throw refuse(
      `${printableLine(beneath.name)} is a ${kind} device, which drops frames from XDP without a word`,
      'name the device beneath it as `device` in a config file, or give the destination a route over another one',
    );
  }
  const mac = parseMac(one.mac);
  if (!mac) throw refuse('it has no Ethernet address', 'use an Ethernet device');
  if (!one.up) throw refuse('it is down', `ip link set dev ${name} up`);
  return {
    ...{ name, mac, mtu: one.mtu, ifindex: beneath.ifindex },
    vlan: one.vlan?.id ?? 0,
  };
}
