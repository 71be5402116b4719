// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Plans the frames of a flood: what they have in common, and which bits differ, in the
 * form that flood/flood takes.
 */
import { buildFrame } from '../wire/frame.js';
import { TCP } from '../wire/protocols.js';
import { isIpv6 } from '../wire/address.js';
import { UsageFailure } from '../text/failure.js';
import { formatCount } from '../text/format.js';
import type { Way } from '../wire/way.js';
import type { Prefix } from './target.js';
import { familyBits } from './target.js';

export interface Flow {
  way: Way;
  source: Prefix;
  /** The frame's size without its checksum; undefined: the shortest possible. */
  size: number | undefined;
  isSyn: boolean;
}

export interface FramePlan {
  /** The MAC addresses are zeros until addMacs(). */
  headers: Buffer;
  /** The length of the frame. */
  length: number;
  /** Runs of bits that differ: FIRST+BITS@SUM,... */
  varied: string[];
  /** The number of bits in all runs. */
  bits: number;
}

const MAC = 6;
const ETHERNET = 2 * MAC + 2;
/** The shortest frame, without its checksum, which the device adds. */
const SHORTEST = 60;
/** Source ports are 32768 to 65535, the range that clients use. */
const FIRST_PORT = 0x8000;
const PORT_BITS = 15;
const SYN = 0x02;
/** Most packets of a connection look like this; none of them begins a connection. */
const ACK = 0x10;

export function planFrame(flow: Flow): FramePlan {
  const { way, source, isSyn } = flow;
  const lengths = headerLengths(way);
  const headerLength = ETHERNET + lengths.ip + lengths.transport;
  const size = flow.size ?? Math.max(SHORTEST, headerLength);
  if (size < headerLength) {
    throw new UsageFailure(`--size ${size}: the headers alone take ${headerLength}`, {
      next: `--size ${headerLength}, or more`,
    });
  }
  const frame = buildFrame({
    from: { address: source.address, port: FIRST_PORT },
    to: way,
    protocol: way.protocol,
    tcpFlags: isSyn ? SYN : ACK,
    length: size - ETHERNET,
    vlans: [],
    mac: Buffer.alloc(MAC),
  });
  const runs = [sourceRun(way, source), portRun(way)].filter(({ bits }) => bits > 0);
  return {
    headers: frame.subarray(0, headerLength),
    length: size,
    varied: runs.map(({ first, bits, sums }) => `${first}+${bits}@${sums.join(',')}`),
    bits: runs.reduce((sum, { bits }) => sum + bits, 0),
  };
}

/** Adds the MAC addresses of the next hop and of the device. */
export function addMacs(plan: FramePlan, to: Buffer, from: Buffer): FramePlan {
  return { ...plan, headers: Buffer.concat([to, from, plan.headers.subarray(2 * MAC)]) };
}

/** Checks that the sources and ports are enough for that many flows. */
export function checkFlows(plan: FramePlan, flows: number): void {
  const most = 2 ** plan.bits;
  if (flows <= most) return;
  throw new UsageFailure(
    `--flows ${flows}: these sources and ports make only ${formatCount(most)}`,
    { next: 'use more sources, such as --src 10.1.0.0/16, or --random-source' },
  );
}

interface Bits {
  /** The first bit, counted from the beginning of the frame. */
  first: number;
  bits: number;
  /** The bytes where the checksums over these bits begin. */
  sums: string[];
}

function headerLengths({ address, protocol }: Way): { ip: number; transport: number } {
  return { ip: isIpv6(address) ? 40 : 20, transport: protocol === TCP ? 20 : 8 };
}

/** Returns the place of TCP's or UDP's checksum; `u` marks UDP, where 0 means none. */
function transportSum(way: Way): string {
  const transport = ETHERNET + headerLengths(way).ip;
  return way.protocol === TCP ? `${transport + 16}` : `${transport + 6}u`;
}

function sourceRun(way: Way, { address, length }: Prefix): Bits {
  const isV6 = isIpv6(way.address);
  const at = ETHERNET + (isV6 ? 8 : 12);
  const ipSum = isV6 ? [] : [`${ETHERNET + 10}`];
  return {
    first: at * 8 + length,
    bits: familyBits(address) - length,
    sums: [...ipSum, transportSum(way)],
  };
}

function portRun(way: Way): Bits {
  const at = ETHERNET + headerLengths(way).ip;
  return { first: at * 8 + 16 - PORT_BITS, bits: PORT_BITS, sums: [transportSum(way)] };
}
