// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The frames to explain: one made from words, or those of a capture. */
import { readFileSync } from 'node:fs';

import { Fault, tryParse } from '../text/fault.js';
import { isIpv6 } from '../wire/address.js';
import type { Endpoint } from '../wire/frame.js';
import { buildFrame } from '../wire/frame.js';
import { Failure, UsageFailure } from '../text/failure.js';
import { fileFault } from '../text/file-fault.js';
import { printableLine } from '../text/printable.js';
import type { Tables } from '../plan/state.js';
import { readStdin } from '../system/stdin.js';
import { framesOfPcap } from './pcap.js';

export interface PacketFlags {
  src?: Endpoint;
  dst?: Endpoint & { protocol: number };
  tcpFlags: number;
  length: number;
  vlan?: number[];
  srcMac?: Buffer;
  pcap?: string;
}

/**
 * Checks the flags before anything is asked. The frames need the tables, which have the
 * device's MAC.
 */
export function framesFor(flags: PacketFlags): (live: Tables) => readonly Buffer[] {
  const { src: from, dst: to, pcap } = flags;
  if (pcap !== undefined) {
    const frames = readPcap(pcap);
    return () => frames;
  }
  if (!from || !to) {
    throw new UsageFailure('no packet to explain', {
      next: 'name one with --src and --dst, or a file with --pcap',
    });
  }
  if (isIpv6(from.address) !== isIpv6(to.address)) {
    throw new UsageFailure('--src and --dst are of two families', {
      next: 'name two addresses of one family',
    });
  }
  const { protocol } = to;
  const { tcpFlags, length, vlan: vlans = [], srcMac: fromMac } = flags;
  return ({ device: { mac } }) => [
    buildFrame({ from, to, protocol, tcpFlags, length, vlans, mac, fromMac }),
  ];
}

function readPcap(name: string): Buffer[] {
  let file: Buffer;
  try {
    file = name === '-' ? readStdin() : readFileSync(name);
  } catch (error) {
    throw new Failure(`cannot read ${printableLine(name)}`, {
      cause: fileFault(error),
      next: 'name a capture, as tcpdump -i eth0 -w FILE writes it',
    });
  }
  const frames = tryParse(() => framesOfPcap(file));
  if (!(frames instanceof Fault)) return frames;
  throw new Failure(`cannot use ${printableLine(name)}: ${frames.message}`, {
    next: 'name a capture, as tcpdump -i eth0 -s 0 -w FILE writes it',
  });
}
