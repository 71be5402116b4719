// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** struct l4lb_destination. */
import { u16, putU16 } from './bytes.js';
import { VALUE_SIZES } from './maps.js';
import type { EntryForward } from '../wire/forward.js';
import { ENTRY_FORWARDS, USUAL_FORWARD } from '../wire/forward.js';

/** An entry of the destination table. */
export interface Destination {
  address: Buffer;
  mac: Buffer;
  /** The id of the service that owns it, 0 for a free id. */
  service: number;
  weight: number;
  /** Mask of the last 16 bits of the source, which differ by connection, or by block; 0: none. */
  spread: number;
  source: Buffer;
  headerSum: number;
  largestPacket: number;
  forward: EntryForward;
  /** Whether MAC and exit were found by the kernel's routes, and shall follow them. */
  isFound: boolean;
  /** Whether no packet goes there, not even of a connection that it has. */
  isForgotten: boolean;
  /** The number of its exit, 0 if packets leave where they came in. */
  exit: number;
  /** The port that its packets get, 0 if they keep theirs. */
  port: number;
  /** The first block of ports of its pool, by full-nat. */
  block: number;
}

const FORWARD_AT = 48;
const FLAGS_AT = 49;
const EXIT_AT = 50;
const PORT_AT = 52;
const BLOCK_AT = 54;

/** L4LB_DESTINATION_FOUND. */
export const DESTINATION_FOUND = 1;
/** L4LB_DESTINATION_FORGOTTEN. */
export const DESTINATION_FORGOTTEN = 2;

export function encodeDestination(destination: Destination): Buffer {
  const buffer = Buffer.alloc(VALUE_SIZES.destinations);
  destination.address.copy(buffer, 0);
  destination.mac.copy(buffer, 16);
  putU16(buffer, destination.service, 22);
  putU16(buffer, destination.weight, 24);
  putU16(buffer, destination.spread, 26);
  destination.source.copy(buffer, 28);
  putU16(buffer, destination.headerSum, 44);
  putU16(buffer, destination.largestPacket, 46);
  buffer.writeUInt8(ENTRY_FORWARDS.indexOf(destination.forward), FORWARD_AT);
  const found = destination.isFound ? DESTINATION_FOUND : 0;
  const forgotten = destination.isForgotten ? DESTINATION_FORGOTTEN : 0;
  buffer.writeUInt8(found | forgotten, FLAGS_AT);
  putU16(buffer, destination.exit, EXIT_AT);
  buffer.writeUInt16BE(destination.port, PORT_AT);
  putU16(buffer, destination.block, BLOCK_AT);
  return buffer;
}

export function decodeDestination(buffer: Buffer): Destination {
  const flags = buffer[FLAGS_AT] ?? 0;
  return {
    address: buffer.subarray(0, 16),
    mac: buffer.subarray(16, 22),
    service: u16(buffer, 22),
    weight: u16(buffer, 24),
    spread: u16(buffer, 26),
    source: buffer.subarray(28, 44),
    headerSum: u16(buffer, 44),
    largestPacket: u16(buffer, 46),
    // The entry of ABI 1 ends here. Like the program, takes any other number for a tunnel.
    forward: ENTRY_FORWARDS[buffer[FORWARD_AT] ?? 0] ?? USUAL_FORWARD,
    isFound: (flags & DESTINATION_FOUND) !== 0,
    isForgotten: (flags & DESTINATION_FORGOTTEN) !== 0,
    exit: buffer.length > EXIT_AT ? u16(buffer, EXIT_AT) : 0,
    port: buffer.length > PORT_AT ? buffer.readUInt16BE(PORT_AT) : 0,
    block: buffer.length > BLOCK_AT ? u16(buffer, BLOCK_AT) : 0,
  };
}

/** Whether the id has or had a destination: an entry that was freed keeps its address. */
export function hadDestination({ service, address }: Destination): boolean {
  return service !== 0 || address.some((byte) => byte !== 0);
}
