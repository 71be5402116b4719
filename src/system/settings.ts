// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What the kernel's settings (sysctl) say about a device of this namespace. */
import { readFile } from 'node:fs/promises';

/** How the kernel takes IPv4 packets that come in by a device, and where it may send them. */
export interface Routing {
  /** Whether packets may have a source that is an address of this host. */
  acceptLocal: boolean;
  /** The larger of the device's value and that for all, which counts. */
  rpFilter: number;
  /** Whether packets for others that come in by it are sent on. */
  forwarding: boolean;
  /** The value for all, which is net.ipv4.ip_forward. */
  isRouter: boolean;
  /** The same of IPv6, where only the value for all counts. */
  forwardingIpv6: boolean;
}

/** Returns undefined if the device is gone meanwhile. */
export async function readRouting(device: string): Promise<Routing | undefined> {
  const ipv4 = (name: string, setting: string): Promise<number | undefined> =>
    readNumber(`/proc/sys/net/ipv4/conf/${name}/${setting}`);
  const [forwarding, all, ownLocal, ownFilter, allLocal, allFilter, forwardingIpv6] =
    await Promise.all([
      ipv4(device, 'forwarding'),
      ipv4('all', 'forwarding'),
      ipv4(device, 'accept_local'),
      ipv4(device, 'rp_filter'),
      ipv4('all', 'accept_local'),
      ipv4('all', 'rp_filter'),
      readNumber('/proc/sys/net/ipv6/conf/all/forwarding'),
    ]);
  if (forwarding === undefined) return undefined;
  return {
    acceptLocal: (ownLocal ?? 0) !== 0 || (allLocal ?? 0) !== 0,
    rpFilter: Math.max(ownFilter ?? 0, allFilter ?? 0),
    forwarding: forwarding !== 0,
    isRouter: (all ?? 0) !== 0,
    forwardingIpv6: (forwardingIpv6 ?? 0) !== 0,
  };
}

/** Whether the kernel answers hosts on a device's link that ask for a MAC, by ARP or ND. */
export interface Asked {
  /** arp_ignore: from 1 on, only for addresses of the device itself. */
  arpIgnore: number;
  proxyArp: boolean;
  proxyNdp: boolean;
  /** It answers for others only if it may send packets on. */
  forwarding: boolean;
  forwardingIpv6: boolean;
}

export async function readAsked(device: string): Promise<Asked> {
  const largest = async (family: string, setting: string): Promise<number> => {
    const [all = 0, its = 0] = await Promise.all(
      ['all', device].map((name) =>
        readNumber(`/proc/sys/net/${family}/conf/${name}/${setting}`),
      ),
    );
    return Math.max(all, its);
  };
  const own = async (family: string): Promise<boolean> =>
    ((await readNumber(`/proc/sys/net/${family}/conf/${device}/forwarding`)) ?? 0) !== 0;
  return {
    arpIgnore: await largest('ipv4', 'arp_ignore'),
    proxyArp: (await largest('ipv4', 'proxy_arp')) !== 0,
    proxyNdp: (await largest('ipv6', 'proxy_ndp')) !== 0,
    forwarding: await own('ipv4'),
    forwardingIpv6: await own('ipv6'),
  };
}

async function readNumber(path: string): Promise<number | undefined> {
  try {
    return Number((await readFile(path, 'latin1')).trim());
  } catch (error) {
    // The device is gone, or the kernel has no IPv6.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
