// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Asks the kernel, and makes it ask the neighbours, how addresses are reached. */
import { Unseen } from '../text/unseen.js';
import type { Device } from '../system/ip/namespaces.js';
import type { Hop, Neighbour } from '../system/ip/neighbours.js';
import { Neighbours, isManaged, isSetByHand } from '../system/ip/neighbours.js';
import type { Run } from '../system/run.js';
import { seen } from './around.js';
import type { NeighbourFacts, Towards } from './facts.js';

/** What is known of the way if the device on it does not work. */
export const UNKNOWN: Towards = { hop: undefined, isLocal: false, neighbour: undefined };

export async function lookTowards(
  run: Run,
  device: Device,
  addresses: readonly string[],
): Promise<(address: string) => Towards> {
  const asked = new Neighbours(run);
  const works = device.up && device.carrier;
  const hops: ReadonlyMap<string, Hop> = works
    ? await asked.hops(device.name, [...new Set(addresses)])
    : new Map<string, Hop>();
  const next = [...hops.values()].flatMap((hop) => hop.next ?? []);
  const neighbours = await seen(asked.probe(device.name, [...new Set(next)]));
  return (address) => {
    const hop = hops.get(address);
    return {
      hop: hop?.next,
      isLocal: hop?.isLocal ?? false,
      neighbour: hop?.next === undefined ? undefined : knownOf(neighbours, hop.next),
    };
  };
}

function knownOf(
  neighbours: ReadonlyMap<string, Neighbour> | Unseen,
  hop: string,
): NeighbourFacts | Unseen {
  return neighbours instanceof Unseen ? neighbours : judge(neighbours.get(hop));
}

function judge(neighbour: Neighbour | undefined): NeighbourFacts {
  if (!neighbour) return { mac: undefined, answers: 'no' };
  const { mac } = neighbour;
  if (isSetByHand(neighbour)) return { mac, answers: 'not asked' };
  const isThere = mac !== undefined && !neighbour.states.includes('FAILED');
  return isThere
    ? { mac, answers: 'yes', isManaged: isManaged(neighbour) }
    : { mac: undefined, answers: 'no' };
}
