// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The namespaces that veth pairs lead to, and what can be seen of them. */
import type { Device, Namespace } from '../system/ip/namespaces.js';
import { peerOf } from '../system/ip/namespaces.js';
import { Failure } from '../text/failure.js';
import { Unseen } from '../text/unseen.js';
import type { Peer } from './facts.js';

export interface Around {
  here: Namespace;
  /** This namespace too. */
  connected: readonly Namespace[];
}

/** The other end of a veth; undefined for any other device. */
export function findPeer(device: Device, { here, connected }: Around): Peer | undefined {
  if (device.kind !== 'veth') return undefined;
  const peer = peerOf(device, here, connected);
  if (!peer) return { isSeen: false };
  return { isSeen: true, namespace: peer.namespace.name, device: peer.device };
}

/** A namespace may disappear; then what is in it stays unseen. */
export async function seen<T>(asked: Promise<T>): Promise<T | Unseen> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return new Unseen(error.message);
  }
}
