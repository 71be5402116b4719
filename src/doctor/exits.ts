// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads what there is to know of other devices that packets leave by. */
import type { Tables } from '../plan/state.js';
import type { Context } from '../program/tools.js';
import type { Offloads } from '../system/ethtool.js';
import { readOffloads } from '../system/ethtool.js';
import { senderOf } from '../system/ip/links.js';
import { Neighbours } from '../system/ip/neighbours.js';
import type { Run } from '../system/run.js';
import { readRouting } from '../system/settings.js';
import { Unseen } from '../text/unseen.js';
import { formatAddress } from '../wire/address.js';
import type { Around } from './around.js';
import { findPeer } from './around.js';
import type { ExitFacts, Peer } from './facts.js';

/** Leaves out exits that no destination has. */
export async function readExits(
  { run, ip }: Context,
  around: Around,
  { exits, lostExits, destinations }: Tables,
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
        gro: groOf(await readPeerOffloads(run, peer)),
        routing: device && (await readRouting(device.name)),
      };
    }),
  );
}

/** What the other end of a veth does in the kernel's place; undefined if it is not seen. */
export async function readPeerOffloads(
  run: Run,
  peer: Peer | undefined,
): Promise<Offloads | Unseen | undefined> {
  if (!peer?.isSeen) return undefined;
  return readOffloads(run, peer.device.name, peer.namespace);
}

function groOf(offloads: Offloads | Unseen | undefined): ExitFacts['gro'] {
  return offloads === undefined || offloads instanceof Unseen ? offloads : offloads.gro;
}
