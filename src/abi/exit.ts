// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** struct l4lb_exit: a device that packets leave by, if not the one that they came in on. */
import { putU32, u32 } from './bytes.js';

export interface Exit {
  /** Its own MAC, the source of frames that leave by it. */
  mac: Buffer;
  /** The number of its VLAN, 0 for none. */
  vlan: number;
  ifindex: number;
  mtu: number;
}

/** L4LB_EXITS. */
export const EXITS = 64;

const SIZE = 16;
const MAC_SIZE = 6;
const TAG_AT = 6;
const IFINDEX_AT = 8;
const MTU_AT = 12;

export function encodeExit({ mac, vlan, ifindex, mtu }: Exit): Buffer {
  const buffer = Buffer.alloc(SIZE);
  mac.copy(buffer);
  buffer.writeUInt16BE(vlan, TAG_AT);
  putU32(buffer, ifindex, IFINDEX_AT);
  putU32(buffer, mtu, MTU_AT);
  return buffer;
}

/** Returns undefined for a number that is free. */
export function decodeExit(buffer: Buffer): Exit | undefined {
  const ifindex = u32(buffer, IFINDEX_AT);
  if (ifindex === 0) return undefined;
  return {
    mac: Buffer.from(buffer.subarray(0, MAC_SIZE)),
    vlan: buffer.readUInt16BE(TAG_AT),
    ifindex,
    mtu: u32(buffer, MTU_AT),
  };
}
