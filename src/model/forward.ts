// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Step 5: the frame as it leaves for its destination. */
import { encapsulate, etherType } from './encapsulate.js';
import type { Ip, Link } from './parse.js';
import type { ModelDestination, ModelExit } from './types.js';

const TAG_TYPE = 0x8100;

/** The tags of the network that it came from mean nothing there. */
export function leaveBy({ vlan }: ModelExit, link: Link): Link {
  if (vlan === 0) return { ...link, tags: Buffer.alloc(0) };
  const tags = Buffer.alloc(4);
  tags.writeUInt16BE(TAG_TYPE, 0);
  tags.writeUInt16BE(vlan, 2);
  return { ...link, tags };
}

export function frameOf({ to, from, tags, isIpv4, rest }: Link): Buffer {
  return Buffer.concat([to, from, tags, etherType(isIpv4 ? 'IPv4' : 'IPv6'), rest]);
}

export function forward(
  link: Link,
  ip: Ip,
  destination: ModelDestination,
  mac: Buffer,
  h: number,
  naming?: Buffer,
): Buffer {
  if (destination.forward === 'link') {
    return frameOf({ ...link, to: destination.mac, from: mac });
  }
  return encapsulate(link, ip, destination, mac, h, naming);
}
