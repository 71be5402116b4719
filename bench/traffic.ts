// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The packets of a case, in the words of flood/flood. Pure. */
import { FIRST_PORT } from '../src/abi/pool.js';
import { checksum } from '../src/wire/checksum.js';
import { TCP, UDP } from '../src/wire/protocols.js';
import { parseAddress, parseMac } from '../src/wire/address.js';
import type { FramePlan } from '../src/flood/frame.js';
import { addMacs, planFrame } from '../src/flood/frame.js';
import { senderArguments } from '../src/flood/send.js';
import { anySource, parsePrefix } from '../src/flood/target.js';
import { DEVICE, FAR_MAC, NEAR_MAC, SERVICE } from './wire.js';

export interface Traffic {
  family: 'ipv4' | 'ipv6';
  /** A packet in the middle of a connection, or one that begins it. */
  kind: 'udp' | 'tcp' | 'syn';
  /** Undefined: as many as there are packets, from random sources. */
  flows: number | undefined;
  /** Of the frame without its checksum; undefined: 60, or what the headers take. */
  size: number | undefined;
  /** Spread over so many, a power of two. */
  services: number;
  /** As a balancer sends it to a destination. */
  isEncapsulated: boolean;
  /** As it sends it in a hot slot where destinations decide; encapsulated, too. */
  isNamed: boolean;
  /** Of connections that the far end holds: its sockets are from CLIENT, from CLIENT_PORT on. */
  isHeld: boolean;
  /** What a destination answers to ports of full-nat, from the first on. */
  isToPorts: boolean;
}

export const USUAL_TRAFFIC: Traffic = {
  family: 'ipv4',
  kind: 'udp',
  flows: undefined,
  size: undefined,
  services: 1,
  isEncapsulated: false,
  isNamed: false,
  isHeld: false,
  isToPorts: false,
};

/** The client of connections that the far end holds, and the first of its ports. */
export const CLIENT = '10.8.0.1';
export const CLIENT_PORT = 0x8000;
/** A prefix whose addresses name destinations, and the far end's only sibling. */
export const NAMES = '10.7.0.0/16';
export const SIBLING = '10.0.0.5';

const ETHERNET = 14;
const IPV4 = 20;
const IPIP = 4;
/**
 * Sources that a host can have: of others, multicast among them, the kernel takes no
 * packet, though XDP does.
 */
const UNICAST = parsePrefix('32.0.0.0/3');
/** Where our frames have the destination's port: behind Ethernet, IPv4 and the source's. */
const PORT_AT = ETHERNET + IPV4 + 2;
const TCP_SUM_AT = ETHERNET + IPV4 + 16;
const BALANCER = '10.0.0.9';
/** The sibling's number in NAMES is the last byte of its address. */
const NAMING_SIBLING = '10.7.0.5';
const UDP_SUM_AT = ETHERNET + IPV4 + 6;

export function floodArguments(traffic: Traffic, count: number): string[] {
  const { family, kind, flows, size } = traffic;
  const address = parsed(parseAddress(SERVICE[family]));
  const port = traffic.isToPorts ? FIRST_PORT : SERVICE.port;
  const way = { address, port, protocol: kind === 'udp' ? UDP : TCP };
  const others = family === 'ipv4' ? UNICAST : anySource(address);
  const isFromOne = traffic.isHeld || traffic.isToPorts;
  const source = isFromOne ? parsePrefix(CLIENT) : others;
  const isSyn = kind === 'syn';
  let plan = addMacs(
    planFrame({ way, source, size, isSyn }),
    parsed(parseMac(FAR_MAC)),
    parsed(parseMac(NEAR_MAC)),
  );
  if (traffic.services > 1) plan = overServices(plan, traffic.services);
  if (traffic.isHeld) plan = overPorts(plan, flows ?? 1);
  if (traffic.isToPorts) plan = toPorts(plan, flows ?? 1);
  if (traffic.isEncapsulated) {
    plan = encapsulated(plan, traffic.isNamed ? NAMING_SIBLING : BALANCER);
  }
  return senderArguments(DEVICE, plan, { threads: 1, flows, count });
}

function parsed(bytes: Buffer | undefined): Buffer {
  if (bytes) return bytes;
  throw new Error('a constant of the benchmark is no address');
}

/** The lowest bits of the port differ, too. */
function overServices(plan: FramePlan, services: number): FramePlan {
  const bits = Math.log2(services);
  const run = `${PORT_AT * 8 + 16 - bits}+${bits}@${UDP_SUM_AT}u`;
  // The source's port lies in the same word, and touching bits must be one run; it is
  // enough that its own 15 are left out.
  const others = plan.varied.slice(0, 1);
  return { ...plan, varied: [...others, run], bits: plan.bits - 15 + bits };
}

/** From CLIENT_PORT on, as many ports as there are flows, a power of two. */
function overPorts(plan: FramePlan, flows: number): FramePlan {
  const bits = Math.log2(flows);
  const run = `${PORT_AT * 8 - bits}+${bits}@${TCP_SUM_AT}`;
  return { ...plan, varied: [run], bits };
}

/** To as many ports as there are flows, a power of two. */
function toPorts(plan: FramePlan, flows: number): FramePlan {
  const bits = Math.log2(flows);
  const run = `${PORT_AT * 8 + 16 - bits}+${bits}@${TCP_SUM_AT}`;
  return { ...plan, varied: [run], bits };
}

/** An outer IPv4 header in front of the inner one, whose fields lie so much further on. */
function encapsulated(plan: FramePlan, source: string): FramePlan {
  const inner = plan.length - ETHERNET;
  const outer = Buffer.alloc(IPV4);
  outer.set([0x45, 0, (inner + IPV4) >> 8, (inner + IPV4) & 255]);
  outer.set([64, IPIP], 8);
  outer.set(parsed(parseAddress(source)).subarray(12), 12);
  outer.set(parsed(parseAddress('10.0.0.4')).subarray(12), 16);
  outer.writeUInt16BE(checksum(outer), 10);
  const { headers } = plan;
  return {
    ...plan,
    headers: Buffer.concat([
      headers.subarray(0, ETHERNET),
      outer,
      headers.subarray(ETHERNET),
    ]),
    length: plan.length + IPV4,
    varied: plan.varied.map(moveBack),
  };
}

/** FIRST+BITS@SUM,...: all but the number of bits is a place. */
function moveBack(run: string): string {
  const [bits = '', sums = ''] = run.split('@');
  const [first, count] = bits.split('+');
  const places = sums
    .split(',')
    .map((sum) => sum.replace(/\d+/, (at) => `${+at + IPV4}`));
  return `${Number(first) + IPV4 * 8}+${count}@${places.join(',')}`;
}
