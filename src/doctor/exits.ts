// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads what there is to know of other devices that packets leave by. */
import type { State } from '../plan/state.js';
import type { Context } from '../program/tools.js';
import { readGro } from '../system/ethtool.js';
import { senderOf } from '../system/ip/links.js';
import { Neighbours } from '../system/ip/neighbours.js';
import { readRouting } from '../system/settings.js';
import { formatAddress } from '../wire/address.js';
import type { Around } from './around.js';
import { findPeer } from './around.js';
import type { ExitFacts } from './facts.js';

/** Leaves out exits that no destination has. */
export async function readExits(
  { run, ip }: Context,
  around: Around,
  { exits, lostExits, destinations }: State,
): Promise<ExitFacts[]> {
  const owned = [...destinations.values()].filter(({ service }) => service !== 0);
  const used = [...(exits ?? [])].filter(([number]) =>
    owned.some(({ exit }) => exit === number),
  );
  if (used.length === 0) return [];
  const { devices } = around.here;
  const senders = await ip.senders();
  return Promise.all(
    used.map(async ([number, entry]) => {
      const behind = owned.filter(({ exit }) => exit === number);
      const addresses = [...new Set(behind.map(({ address }) => formatAddress(address)))];
      const device = devices.find(({ name }) => name === senderOf(senders, entry)?.name);
      const sender = devices.find(({ ifindex }) => ifindex === entry.ifindex);
      const peer = sender && findPeer(sender, around);
      const routed = await new Neighbours(run).devices(addresses);
      return {
        number,
        entry,
        isLost: lostExits?.has(number) ?? false,
        device,
        sender,
        destinations: addresses,
        services: [...new Set(behind.map(({ service }) => service))],
        routed: [...new Set(routed.values())],
        peer,
        gro: peer?.isSeen
          ? await readGro(run, peer.device.name, peer.namespace)
          : undefined,
        routing: device && (await readRouting(device.name)),
      };
    }),
  );
}
