// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads whom a destination sends on to, and how its kernel would reach them. */
import { readDecap } from '../program/decap.js';
import { isDecap } from '../program/find.js';
import type { Context } from '../program/tools.js';
import type { AttachedProgram } from '../system/ip/links.js';
import type { Device } from '../system/ip/namespaces.js';
import { formatAddress, formatMac } from '../wire/address.js';
import type { Sending } from './facts.js';
import { lookTowards } from './towards.js';

/** Returns undefined for any program that sends nothing on. */
export async function readSending(
  { bpftool, run }: Context,
  device: Device,
  { id, name }: AttachedProgram,
): Promise<Sending | undefined> {
  if (!isDecap(name)) return undefined;
  const { maps } = await bpftool.programWithMaps('id', id);
  const { names, self, siblings } = await readDecap({ bpftool }, maps);
  if (Object.keys(names).length === 0) return undefined;
  const addresses = siblings.map(({ address }) => formatAddress(address));
  const towards = await lookTowards(run, device, addresses);
  return {
    names,
    self: self.map(formatAddress),
    siblings: siblings.map(({ address, mac }) => ({
      address: formatAddress(address),
      mac: formatMac(mac),
      ...towards(formatAddress(address)),
    })),
  };
}
