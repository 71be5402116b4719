// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** struct l4lb_device: settings for every packet on the device. */
import { u16, u32, putU16, putU32 } from './bytes.js';
import { fromIpv4 } from '../wire/address.js';
import type { Names } from '../wire/names.js';
import { VALUE_SIZES } from './maps.js';

export interface Device {
  abi: number;
  /** One more with each fill: how a watcher notices. */
  generation: number;
  cellSeed: number;
  slotSeed: number;
  mac: Buffer;
  /** The port of the ssh session from which the tables were filled, 0 for none. */
  sessionPort: number;
  mtu: number;
  /** The number of sets in `flows`, in a build that has this map. */
  log2Sets: number;
  flags: number;
  /** Prefixes of the outer sources that name a hot slot's previous destinations. */
  names: Names;
}

/** EtherType of IPv4, which follows the MAC in a frame that is sent. */
const ETHERTYPE_IPV4 = 0x0800;

/** The host answers ICMP echo to a service's address. */
export const DEVICE_NO_ECHO = 1;
/** There is something in `answers`, so packets that are no service's are looked up there. */
export const DEVICE_ANSWERS = 2;
/** XDP sends answers, and does not pass them to the host. */
export const DEVICE_XDP_ANSWERS = 4;
/** There is something in `pools`, so packets to their ports are answers. */
export const DEVICE_POOLS = 8;

export function encodeDevice(device: Device): Buffer {
  const buffer = Buffer.alloc(VALUE_SIZES.device);
  putU32(buffer, device.abi, 0);
  putU32(buffer, device.generation, 4);
  putU32(buffer, device.cellSeed, 8);
  putU32(buffer, device.slotSeed, 12);
  device.mac.copy(buffer, 16);
  buffer.writeUInt16BE(ETHERTYPE_IPV4, 22);
  buffer.writeUInt16BE(device.sessionPort, 24);
  putU16(buffer, device.mtu, 26);
  buffer.writeUInt8(device.log2Sets, 28);
  buffer.writeUInt8(device.flags, 29);
  const { ipv4, ipv6 } = device.names;
  buffer.writeUInt8(ipv4?.length ?? 0, 30);
  buffer.writeUInt8(ipv6?.length ?? 0, 31);
  ipv6?.address.copy(buffer, 32);
  ipv4?.address.copy(buffer, 48, 12);
  return buffer;
}

export function decodeDevice(buffer: Buffer): Device {
  return {
    abi: u32(buffer, 0),
    generation: u32(buffer, 4),
    cellSeed: u32(buffer, 8),
    slotSeed: u32(buffer, 12),
    mac: buffer.subarray(16, 22),
    sessionPort: buffer.readUInt16BE(24),
    mtu: u16(buffer, 26),
    log2Sets: buffer.readUInt8(28),
    flags: buffer.readUInt8(29),
    names: decodeNames(buffer),
  };
}

function decodeNames(buffer: Buffer): Names {
  const [ipv4, ipv6] = [buffer.readUInt8(30), buffer.readUInt8(31)];
  return {
    ...(ipv4 !== 0 && {
      ipv4: { address: fromIpv4(buffer.subarray(48, 52)), length: ipv4 },
    }),
    ...(ipv6 !== 0 && { ipv6: { address: buffer.subarray(32, 48), length: ipv6 } }),
  };
}

/**
 * Generations go up by one before counters move from one id to another, and by one after:
 * so while an odd one stands they may be counted twice. A killed tool can leave an odd one.
 */
export function isCounting(generation: number): boolean {
  return (generation & 1) === 0;
}

/** The odd one that comes next. */
export function whileMoving(generation: number): number {
  return (generation + (isCounting(generation) ? 1 : 2)) >>> 0;
}

/** The even one that comes next. */
export function afterWriting(generation: number): number {
  return ((generation | 1) + 1) >>> 0;
}
