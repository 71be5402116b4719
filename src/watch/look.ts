// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Asks the kernel what a table should hold of the ways to its destinations. */
import type { Exit } from '../abi/exit.js';
import type { Seen, Way } from '../plan/refresh.js';
import type { Tables } from '../plan/state.js';
import type { WantedExit } from '../plan/steps.js';
import { exitsOf } from '../program/exits.js';
import type { Context } from '../program/tools.js';
import { senderOf } from '../system/ip/links.js';
import type { Link, Sender } from '../system/ip/links.js';
import { Neighbours } from '../system/ip/neighbours.js';
import { Failure } from '../text/failure.js';
import { must } from '../text/must.js';
import { formatAddress, parseMac } from '../wire/address.js';

export interface Look {
  seen: Seen;
  /** The next hops that are followed, by device. */
  hops: ReadonlyMap<string, readonly string[]>;
  /** What could not be found out, in words. */
  troubles: string[];
}

export async function look(
  { run, ip }: Pick<Context, 'run' | 'ip'>,
  link: Link,
  state: Tables,
): Promise<Look> {
  // Several ports of a host are several destinations.
  const found = new Map<string, number[]>();
  for (const [id, { address, service, isFound }] of state.destinations) {
    if (service === 0 || !isFound) continue;
    const host = formatAddress(address);
    found.set(host, [...(found.get(host) ?? []), id]);
  }
  const neighbours = new Neighbours(run);
  const routed = state.exits
    ? await neighbours.devices([...found.keys()])
    : new Map<string, string>();
  const troubles: string[] = [];
  // Asked about a device, the kernel would take it for the right one, route or not.
  const hasRoute = (address: string): boolean => !state.exits || routed.has(address);
  const all = [...found.keys()];
  for (const address of all) {
    if (!hasRoute(address)) troubles.push(`there is no route to ${address}`);
  }
  const devices = groupBy(
    all.filter(hasRoute),
    (address) => routed.get(address) ?? link.name,
  );
  const ways = new Map<number, Way>();
  const hops = new Map<string, string[]>();
  for (const [device, there] of devices) {
    const exit = await exitBy({ ip }, link, device, there);
    if (exit instanceof Failure) {
      troubles.push(`${exit.message}: ${exit.advice.cause ?? 'for an unknown reason'}`);
      continue;
    }
    const known = await neighbours.towards(device, there);
    hops.set(device, [...new Set([...known.values()].flatMap(({ next }) => next ?? []))]);
    for (const [address, { mac: text = '' }] of known) {
      const mac = parseMac(text);
      if (mac)
        for (const id of must(found.get(address), address)) ways.set(id, { mac, exit });
      else troubles.push(`no host answers for ${address} on ${device}`);
    }
  }
  const senders = state.exits?.size ? await ip.senders() : [];
  for (const [id, { address, service, exit }] of state.destinations) {
    const there = state.exits?.get(exit);
    if (service === 0 || !there || ways.has(id) || asItIs(senders, there)) continue;
    troubles.push(
      `the device that packets for ${formatAddress(address)} leave by is gone`,
    );
  }
  const device = {
    name: link.name,
    mac: parseMac(link.mac) ?? state.device.mac,
    mtu: link.mtu,
  };
  const exitNow = (exit: Exit): WantedExit | undefined => asItIs(senders, exit);
  return { seen: { device, ways, exitNow }, hops, troubles };
}

function groupBy(
  addresses: readonly string[],
  deviceOf: (address: string) => string,
): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const address of addresses) {
    const device = deviceOf(address);
    const group = groups.get(device);
    if (group) group.push(address);
    else groups.set(device, [address]);
  }
  return groups;
}

/** The exit by a device; undefined for the program's own; or why no packet can leave by it. */
async function exitBy(
  tools: Pick<Context, 'ip'>,
  link: Link,
  device: string,
  addresses: readonly string[],
): Promise<WantedExit | undefined | Failure> {
  try {
    const devices = new Map(addresses.map((address) => [address, device]));
    return (await exitsOf(tools, link, devices)).get(device);
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
}

/** What an exit of the table is now; undefined if it is gone. */
function asItIs(all: readonly Sender[], { ifindex, vlan }: Exit): WantedExit | undefined {
  const one = senderOf(all, { ifindex, vlan });
  const mac = parseMac(one?.mac ?? '');
  return one && mac && { name: one.name, mac, vlan, mtu: one.mtu, ifindex };
}
