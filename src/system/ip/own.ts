// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Which addresses are this host's own: the kernel accepts packets to them. */
import { formatAddress, parseAddress } from '../../wire/address.js';
import type { Run } from '../run.js';
import { askIpJson, askIpLines } from './ask.js';

interface RouteJson {
  dst?: string;
  dev?: string;
  type?: string;
}

/** An address of a device, and how much of it its link has in common. */
export interface Network {
  address: string;
  length: number;
}

/** Where the kernel takes packets to an address. */
export interface Place {
  isLocal: boolean;
  device: string | undefined;
}

/** Where packets to these addresses go; those without a route are missing. */
export async function placesOf(
  run: Run,
  addresses: readonly string[],
): Promise<Map<string, Place>> {
  const lines = [...new Set(addresses)].map((address) => `route get ${address}`);
  const { answers } = await askIpLines(run, lines);
  return new Map(
    (answers as RouteJson[]).flatMap(({ dst, dev, type }) => {
      const address = parseAddress(dst ?? '');
      if (!address) return [];
      return [[formatAddress(address), { isLocal: type === 'local', device: dev }]];
    }),
  );
}

/** The networks that each device has an address in. */
export async function ownNetworks(run: Run): Promise<Map<string, Network[]>> {
  const devices = (await askIpJson(run, ['-j', 'addr', 'show'])) as {
    ifname: string;
    addr_info?: { local?: string; prefixlen?: number }[];
  }[];
  return new Map(
    devices.map(({ ifname, addr_info: all = [] }) => [
      ifname,
      all.flatMap(({ local, prefixlen }) =>
        local === undefined || prefixlen === undefined
          ? []
          : [{ address: local, length: prefixlen }],
      ),
    ]),
  );
}

/** An address that connections of this host may have. */
export interface ChosenAddress {
  address: string;
  device: string;
}

interface AddressJson {
  ifname: string;
  flags?: string[];
  addr_info?: {
    local?: string;
    prefixlen?: number;
    secondary?: boolean;
    deprecated?: boolean;
  }[];
}

/**
 * Addresses that the kernel chooses for what this host sends. It passes over further ones
 * of a network (IPv4) and deprecated ones (IPv6). Single ones of a loopback device it only
 * takes where the device that it sends by has none.
 */
export async function chosenAddresses(run: Run): Promise<ChosenAddress[]> {
  const devices = (await askIpJson(run, ['-j', 'addr', 'show'])) as AddressJson[];
  return devices.flatMap(({ ifname: device, flags = [], addr_info: all = [] }) =>
    all.flatMap(({ local = '', prefixlen = 0, secondary, deprecated }) => {
      const address = parseAddress(local);
      if (!address || secondary || deprecated) return [];
      const isSingle = prefixlen === (local.includes(':') ? 128 : 32);
      if (isSingle && flags.includes('LOOPBACK')) return [];
      return [{ address: formatAddress(address), device }];
    }),
  );
}

/** Addresses of others that a device is to answer for. */
export async function proxiedBy(run: Run, device: string): Promise<Set<string>> {
  const entries = await askIpJson(run, ['-j', 'neigh', 'show', 'proxy']);
  return new Set(
    (entries as { dst: string; dev?: string }[])
      .filter(({ dev }) => dev === device)
      .flatMap(({ dst }) => {
        const address = parseAddress(dst);
        return address ? [formatAddress(address)] : [];
      }),
  );
}

/**
 * Returns those of the addresses that are local here. All of 127.0.0.0/8 is, though `ip
 * address` shows one address of it.
 */
export async function ownAddresses(
  run: Run,
  addresses: readonly string[],
): Promise<Set<string>> {
  if (addresses.length === 0) return new Set();
  const lines = [...new Set(addresses)].map((address) => `route get ${address}`);
  const { answers } = await askIpLines(run, lines);
  const local = (answers as RouteJson[]).flatMap(({ dst, type }) => {
    const address = type === 'local' ? parseAddress(dst ?? '') : undefined;
    return address ? [formatAddress(address)] : [];
  });
  return new Set(local);
}
