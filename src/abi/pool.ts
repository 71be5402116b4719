// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The map `pools`: struct l4lb_pools, the addresses that full-nat sends from. */
import { u16, putU16 } from './bytes.js';
import { RECORDS } from './record.js';
import { fromIpv4 } from '../wire/address.js';
import { versionOf } from '../wire/way.js';

/** Addresses in a row, and the blocks of ports that they have in a row. */
export interface Pool {
  /** The first. */
  address: Buffer;
  /** How many of the last bits vary. */
  hostBits: number;
  firstBlock: number;
}

/** L4LB_MOST_POOLS. */
export const MOST_POOLS = 8;
/** L4LB_MOST_BLOCKS. */
export const MOST_BLOCKS = 1024;
/** L4LB_BLOCKS: as many an object has. */
export const USUAL_BLOCKS = 4;
/** L4LB_BLOCK_PORTS: the ports of an address. */
export const BLOCK_PORTS = 0x8000;
/** L4LB_CLAIM_SETS: as many sets of claims has each block. */
export const CLAIM_SETS = BLOCK_PORTS / RECORDS;
/** L4LB_FIRST_PORT. */
export const FIRST_PORT = 0x8000;

const POOL_SIZE = 24;
export const POOLS_SIZE = MOST_POOLS * POOL_SIZE;
const LAST_AT = 16;
const BLOCK_AT = 20;
const HOST_BITS_AT = 22;
const VERSION_AT = 23;
/** No packet has it. */
const NO_VERSION = 1;

/** Undefined is a place that has no pool any more, while later ones have. */
export function encodePools(pools: readonly (Pool | undefined)[]): Buffer {
  if (pools.length > MOST_POOLS) throw new RangeError(`${pools.length} pools`);
  const buffer = Buffer.alloc(POOLS_SIZE);
  pools.forEach((pool, index) => {
    const at = index * POOL_SIZE;
    if (!pool) {
      buffer.writeUInt8(NO_VERSION, at + VERSION_AT);
      return;
    }
    const { address, hostBits, firstBlock } = pool;
    const isIpv6 = versionOf(address) === 6;
    if (isIpv6) address.copy(buffer, at, 0, 12);
    address.copy(buffer, at + LAST_AT, 12);
    putU16(buffer, firstBlock, at + BLOCK_AT);
    buffer.writeUInt8(hostBits, at + HOST_BITS_AT);
    buffer.writeUInt8(isIpv6 ? 6 : 4, at + VERSION_AT);
  });
  return buffer;
}

export function decodePools(buffer: Buffer): (Pool | undefined)[] {
  const pools: (Pool | undefined)[] = [];
  for (let at = 0; at < buffer.length; at += POOL_SIZE) {
    const version = buffer.readUInt8(at + VERSION_AT);
    if (version === 0) break;
    if (version === NO_VERSION) {
      pools.push(undefined);
      continue;
    }
    const last = buffer.subarray(at + LAST_AT, at + BLOCK_AT);
    pools.push({
      address:
        version === 6
          ? Buffer.concat([buffer.subarray(at, at + 12), last])
          : fromIpv4(last),
      hostBits: buffer.readUInt8(at + HOST_BITS_AT),
      firstBlock: u16(buffer, at + BLOCK_AT),
    });
  }
  return pools;
}
