// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * datapath/l4lb.h in TypeScript: what lies in the maps, byte by byte.
 * test/unit/abi/contract.test.ts holds the two files against each other.
 *
 * Integers are in the order of the host that runs program and tools alike;
 * addresses and ports are in network order.
 */
import { endianness } from 'node:os';

/** The program's name carries the version, so it can be told before reading. */
export const ABI = 1;
export const PROGRAM_NAME = `l4lb_${ABI}`;
export const DECAP_PROGRAM_NAME = `l4lb_decap_${ABI}`;

export const MAP_NAMES = [
  'device',
  'services',
  'slots',
  'destinations',
  'counters',
  'verdicts',
] as const;
export type MapName = (typeof MAP_NAMES)[number];

export const VALUE_SIZES: Record<MapName, number> = {
  device: 32,
  services: 32,
  slots: 8,
  destinations: 48,
  counters: 16,
  verdicts: 16,
};

/** Of `memories`, which only the host build has. */
export const MEMORY_SIZE = 8;

export type Action = 'TX' | 'PASS' | 'DROP';

export interface Verdict {
  number: number;
  name: string;
  action: Action;
  meaning: string;
}

/** In the order of their numbers: 0 sends, 1 to 15 pass, 16 to 31 drop, 32 to 47 answer. */
export const VERDICTS = [
  { number: 0, name: 'balanced', action: 'TX', meaning: 'sent to a destination' },
  {
    number: 1,
    name: 'not ip',
    action: 'PASS',
    meaning: 'no IP packet in the frame: ARP, LLDP, a third VLAN tag',
  },
  {
    number: 2,
    name: 'not tcp or udp',
    action: 'PASS',
    meaning: 'IP, but neither TCP nor UDP nor an error about them',
  },
  {
    number: 3,
    name: 'not ours',
    action: 'PASS',
    meaning: 'no service has this address, port and protocol',
  },
  {
    number: 4,
    name: 'not for us',
    action: 'PASS',
    meaning: 'sent to a group, or to the MAC address of another device',
  },
  {
    number: 5,
    name: 'ssh kept',
    action: 'PASS',
    meaning: 'ssh to the host, let through a service on all ports',
  },
  {
    number: 6,
    name: 'dhcp kept',
    action: 'PASS',
    meaning: 'a DHCP answer, let through a service on all ports',
  },
  {
    number: 7,
    name: 'empty slot',
    action: 'PASS',
    meaning: 'the slot of this packet has no destination',
  },
  {
    number: 16,
    name: 'fragment',
    action: 'DROP',
    meaning: 'a fragment, whose ports only its first piece could tell',
  },
  {
    number: 17,
    name: 'malformed',
    action: 'DROP',
    meaning: 'a header is cut short, or a length claims what is not there',
  },
  {
    number: 18,
    name: 'too big',
    action: 'DROP',
    meaning: "with the outer header longer than the device's MTU",
  },
  {
    number: 19,
    name: 'no room',
    action: 'DROP',
    meaning: 'the frame could not be extended by an outer header',
  },
  {
    number: 20,
    name: 'extension headers',
    action: 'DROP',
    meaning: 'IPv6 extension headers that are too many, or lead elsewhere',
  },
  {
    number: 21,
    name: 'echo limited',
    action: 'DROP',
    meaning: 'an ICMP echo request of more than are answered in a second',
  },
  {
    number: 32,
    name: 'echo answered',
    action: 'TX',
    meaning: "an ICMP echo request to a service's address, answered",
  },
  {
    number: 33,
    name: 'too big told',
    action: 'TX',
    meaning: 'too big, and the sender was told what would fit',
  },
] as const satisfies Verdict[];
export type VerdictName = (typeof VERDICTS)[number]['name'];

const LITTLE = endianness() === 'LE';

function u16(buffer: Buffer, at: number): number {
  return LITTLE ? buffer.readUInt16LE(at) : buffer.readUInt16BE(at);
}
function u32(buffer: Buffer, at: number): number {
  return LITTLE ? buffer.readUInt32LE(at) : buffer.readUInt32BE(at);
}
function u64(buffer: Buffer, at: number): bigint {
  return LITTLE ? buffer.readBigUInt64LE(at) : buffer.readBigUInt64BE(at);
}
function putU16(buffer: Buffer, value: number, at: number): void {
  if (LITTLE) buffer.writeUInt16LE(value, at);
  else buffer.writeUInt16BE(value, at);
}
function putU32(buffer: Buffer, value: number, at: number): void {
  if (LITTLE) buffer.writeUInt32LE(value, at);
  else buffer.writeUInt32BE(value, at);
}
function putU64(buffer: Buffer, value: bigint, at: number): void {
  if (LITTLE) buffer.writeBigUInt64LE(value, at);
  else buffer.writeBigUInt64BE(value, at);
}

/** Several words of 4 bytes, as a struct holds them. */
export function encodeWords(words: readonly number[]): Buffer {
  const buffer = Buffer.alloc(4 * words.length);
  words.forEach((word, index) => putU32(buffer, word, 4 * index));
  return buffer;
}

export function decodeWords(buffer: Buffer): number[] {
  return Array.from({ length: buffer.length / 4 }, (_, index) => u32(buffer, 4 * index));
}

/** Every map is an array, so its keys are numbers of four bytes. */
export function encodeKey(key: number): Buffer {
  const buffer = Buffer.alloc(4);
  putU32(buffer, key, 0);
  return buffer;
}

export function decodeKey(buffer: Buffer): number {
  return u32(buffer, 0);
}

export interface Device {
  abi: number;
  /** One more with each fill: how a watcher notices. */
  generation: number;
  cellSeed: number;
  slotSeed: number;
  mac: Buffer;
  /** Of the ssh session that filled the tables, 0 for none. */
  sessionPort: number;
  mtu: number;
  /** Of the map flows, in a build that has it. */
  log2Sets: number;
  flags: number;
}

/** EtherType of IPv4, as it stands behind the MAC in a frame that is sent. */
const ETHERTYPE_IPV4 = 0x0800;

/** ICMP echo to a service's address is left to the host. */
export const DEVICE_NO_ECHO = 1;

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
  };
}

export const CELL_USED = 1;
export const CELL_KEEPS_SSH = 2;
/** Not a way in, but a note that its address has ways by port. */
export const CELL_BY_PORT = 4;

/** In a hot slot UDP stays on the previous destination. */
export const CELL_UDP_STAYS = 16;
/** Each fill moves the fewest slots: see minimal-table.ts. */
export const CELL_MINIMAL_TABLE = 64;
/** Its slots are chosen by the source address alone. */
export const CELL_HASH_SOURCE = 128;

/** In a time of a cell: it is in minutes, else in seconds. */
export const MINUTES = 0x8000;

/** A time as a cell can hold it: from nine hours on in whole minutes, rounded up. */
export function storableTime(seconds: number): number {
  return seconds < MINUTES ? seconds : Math.ceil(seconds / 60) * 60;
}
function encodeTime(seconds: number): number {
  return seconds < MINUTES ? seconds : MINUTES | Math.ceil(seconds / 60);
}
function decodeTime(time: number): number {
  return time < MINUTES ? time : (time - MINUTES) * 60;
}
/** All packets of its address and protocol go to its service: fragments may too. */
export const CELL_FRAGMENTS = 32;

/** One way into a service. */
export interface Cell {
  /** 16 bytes; all zero for any. */
  address: Buffer;
  /** 0 for any. */
  port: number;
  protocol: number;
  /** Seconds until a hot slot may go cold, 0 for the default. */
  idle: number;
  /** Seconds that a drained destination is remembered at the most, 0 for no end. */
  drainDeadline: number;
  /** Of the address: 4, 6; 0 for any. */
  version: number;
  firstSlot: number;
  service: number;
  log2Slots: number;
  flags: number;
}

/** All but the upper ones of a slot's number are shifted out. */
const HASH_BITS = 32;

export function encodeCell(cell: Cell): Buffer {
  const buffer = Buffer.alloc(VALUE_SIZES.services);
  putU16(buffer, encodeTime(cell.idle), 0);
  putU16(buffer, encodeTime(cell.drainDeadline), 2);
  cell.address.copy(buffer, 4);
  buffer.writeUInt16BE(cell.port, 20);
  buffer.writeUInt8(cell.protocol, 22);
  buffer.writeUInt8(cell.version, 23);
  putU32(buffer, cell.firstSlot, 24);
  putU16(buffer, cell.service, 28);
  buffer.writeUInt8(HASH_BITS - cell.log2Slots, 30);
  buffer.writeUInt8(cell.flags, 31);
  return buffer;
}

export function decodeCell(buffer: Buffer): Cell {
  return {
    idle: decodeTime(u16(buffer, 0)),
    drainDeadline: decodeTime(u16(buffer, 2)),
    address: buffer.subarray(4, 20),
    port: buffer.readUInt16BE(20),
    protocol: buffer.readUInt8(22),
    version: buffer.readUInt8(23),
    firstSlot: u32(buffer, 24),
    service: u16(buffer, 28),
    log2Slots: HASH_BITS - buffer.readUInt8(30),
    flags: buffer.readUInt8(31),
  };
}

export const EMPTY_CELL: Buffer = Buffer.alloc(VALUE_SIZES.services);

/** Previous of a hot slot whose previous destination is gone. */
export const NOBODY = 0xffff;

/** A slot that moved is hot: it remembers who had it before, or that it had. */
export interface Slot {
  /** The id of its destination, 0 for none. */
  current: number;
  /** The id that older connections go to, NOBODY, or 0 where the slot is cold. */
  previous: number;
  /** When it became hot, in seconds of the clock that is never set. */
  since: number;
  /** When its previous was drained: minutes from then on, and one. None: it is not. */
  drained?: number;
}

/** Records of flows note when they were seen in units of so many seconds. */
export const SEEN_SECONDS = 4;

export const EMPTY_SLOT: Slot = { current: 0, previous: 0, since: 0 };

/** Slots lie four to a word; what hot ones remember lies in a map of its own. */
export const QUAD = 4;
const HOT = 0x8000;

/** A slot as its quad has it. */
export interface QuadSlot {
  current: number;
  isHot: boolean;
}

/** Four slots; the first is in the lowest bits of a word. */
export function encodeQuad(slots: readonly QuadSlot[]): Buffer {
  const buffer = Buffer.alloc(VALUE_SIZES.slots);
  slots.forEach(({ current, isHot }, index) =>
    putU16(buffer, isHot ? current | HOT : current, inQuad(index)),
  );
  return buffer;
}

export function decodeQuad(buffer: Buffer): QuadSlot[] {
  return Array.from({ length: QUAD }, (_, index) => {
    const slot = u16(buffer, inQuad(index));
    return { current: slot & ~HOT, isHot: (slot & HOT) !== 0 };
  });
}

function inQuad(index: number): number {
  return 2 * (LITTLE ? index : QUAD - 1 - index);
}

export type Memory = Omit<Slot, 'current'>;

export function encodeMemory({ previous, since, drained = 0 }: Memory): Buffer {
  const buffer = Buffer.alloc(MEMORY_SIZE);
  putU16(buffer, previous, 0);
  putU16(buffer, drained, 2);
  putU32(buffer, since, 4);
  return buffer;
}

export function decodeMemory(buffer: Buffer): Memory {
  const drained = u16(buffer, 2);
  return {
    previous: u16(buffer, 0),
    since: u32(buffer, 4),
    ...(drained === 0 ? {} : { drained }),
  };
}

/** An entry of the destination table. */
export interface Destination {
  address: Buffer;
  mac: Buffer;
  /** The id of the service that owns it, 0 for a free id. */
  service: number;
  weight: number;
  /** Mask of the last 16 bits of the source, which differ by connection; 0: none. */
  spread: number;
  source: Buffer;
  headerSum: number;
  largestInner: number;
}

export function encodeDestination(destination: Destination): Buffer {
  const buffer = Buffer.alloc(VALUE_SIZES.destinations);
  destination.address.copy(buffer, 0);
  destination.mac.copy(buffer, 16);
  putU16(buffer, destination.service, 22);
  putU16(buffer, destination.weight, 24);
  putU16(buffer, destination.spread, 26);
  destination.source.copy(buffer, 28);
  putU16(buffer, destination.headerSum, 44);
  putU16(buffer, destination.largestInner, 46);
  return buffer;
}

export function decodeDestination(buffer: Buffer): Destination {
  return {
    address: buffer.subarray(0, 16),
    mac: buffer.subarray(16, 22),
    service: u16(buffer, 22),
    weight: u16(buffer, 24),
    spread: u16(buffer, 26),
    source: buffer.subarray(28, 44),
    headerSum: u16(buffer, 44),
    largestInner: u16(buffer, 46),
  };
}

/** Packets and bytes, exact: both outgrow what a number can hold. */
export interface Counter {
  packets: bigint;
  bytes: bigint;
}

export function encodeCounter(counter: Counter): Buffer {
  const buffer = Buffer.alloc(VALUE_SIZES.counters);
  putU64(buffer, counter.packets, 0);
  putU64(buffer, counter.bytes, 8);
  return buffer;
}

export function decodeCounter(buffer: Buffer): Counter {
  return { packets: u64(buffer, 0), bytes: u64(buffer, 8) };
}

/** One record of `flows`, of a connection that began in a hot slot. */
export interface FlowRecord {
  /** 0: empty. */
  signature: number;
  destination: number;
  /** A packet came after the SYN. */
  established: boolean;
  /** In units of 4 seconds, 16 bits. */
  seen: number;
}

const RECORD_SIZE = 8;
const ESTABLISHED = 0x8000;

/** Those of one set. */
export function decodeRecords(set: Buffer): FlowRecord[] {
  return Array.from({ length: set.length / RECORD_SIZE }, (_, place) => {
    const at = place * RECORD_SIZE;
    const destination = u16(set, at + 4);
    return {
      signature: u32(set, at),
      destination: destination & ~ESTABLISHED,
      established: (destination & ESTABLISHED) !== 0,
      seen: u16(set, at + 6),
    };
  });
}
