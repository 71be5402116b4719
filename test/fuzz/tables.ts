// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Tables as they lie in the maps: what the tools would write, by datapath/l4lb.h. */
import { onWire } from '../../src/wire/address.js';
import { onesSum } from '../../src/wire/checksum.js';
import { cellIndex } from '../../src/plan/cells.js';
import {
  EMPTY_SLOT,
  QUAD,
  PAIR,
  encodeMemory,
  encodeNames,
  encodeQuad,
} from '../../src/abi/slot.js';
import { encodeKey } from '../../src/abi/bytes.js';
import { ABI } from '../../src/abi/maps.js';
import type { Pool } from '../../src/abi/pool.js';
import type { Claim, Port } from '../../src/abi/port.js';
import { hash } from '../../src/wire/hash.js';
import { isIpv4 } from '../../src/model/bytes.js';
import type {
  ModelCell,
  ModelDestination,
  ModelExit,
  Tables,
} from '../../src/model/types.js';
import { namesOfSlot } from '../../src/plan/names.js';
import type { AddressOf } from '../../src/plan/names.js';
import type { Names } from '../../src/wire/names.js';
import { versionOf } from '../../src/wire/way.js';
import { SLOTS } from './choices.js';
import type { Scenario } from './scenario.js';

export type Content = Map<string, Map<number, Buffer>>;

export function encodeTables(
  scenario: Scenario,
  slots: Tables['slots'],
  cells: number,
): Content {
  const { device, destinations, exits } = scenario.tables;
  const head = Buffer.alloc(56);
  const placed = placeCells(scenario, cells);
  head.writeUInt32LE(ABI, 0);
  head.writeUInt32LE(placed.seed, 8);
  head.writeUInt32LE(device.slotSeed, 12);
  device.mac.copy(head, 16);
  head.writeUInt16BE(0x0800, 22);
  head.writeUInt16BE(device.sessionPort, 24);
  head.writeUInt16LE(1500, 26);
  head.writeUInt8(device.log2Sets, 28);
  head.writeUInt8(device.flags, 29);
  // Their lengths are for the tools alone.
  device.names.ipv6?.address.copy(head, 32);
  device.names.ipv4?.address.copy(head, 48, 12);
  const addressOf = (id: number): Buffer | undefined => destinations.get(id)?.address;
  const memories = [...slots].map(
    ([slot, value]) => [slot, encodeMemory(value)] as const,
  );
  return new Map([
    ['device', new Map([[0, head]])],
    ['services', placed.cells],
    ['slots', encodeSlots(slots)],
    ['memories', new Map(memories)],
    ['names', encodeAllNames(slots, device.names, addressOf)],
    [
      'destinations',
      new Map([...destinations].map(([id, entry]) => [id, encodeEntry(entry)])),
    ],
    ['exits', encodeExits(exits, encodeExit)],
    [
      'exit_devices',
      encodeExits(exits, ({ isThere }) => encodeKey(isThere ? LOOPBACK : 0)),
    ],
  ]);
}

/** The device of every exit that is there: any will do, since nothing is really sent. */
const LOOPBACK = 1;

/**
 * Entries of the hash `answers`: struct l4lb_answer_key or struct l4lb_sender_key, and
 * struct l4lb_answer.
 */
export function encodeAnswers({
  answers = [],
  senders = [],
}: Pick<Tables, 'answers' | 'senders'>): (readonly [Buffer, Buffer])[] {
  const bySender = senders.map(({ key, id }) => {
    const from = Buffer.alloc(20);
    key.mac.copy(from, 0);
    from.writeUInt16LE(key.service, 6);
    const by = Buffer.alloc(24);
    by.writeUInt16LE(id, 22);
    return [from, by] as const;
  });
  const byAddress = answers.map(({ key, value }) => {
    const from = Buffer.alloc(20);
    key.address.copy(from, 0);
    from.writeUInt16BE(key.port, 16);
    from.writeUInt8(key.protocol, 18);
    from.writeUInt8(versionOf(key.address), 19);
    const by = Buffer.alloc(24);
    value.address.copy(by, 0);
    by.writeUInt16BE(value.port, 16);
    by.writeUInt8((value.isForFragments ? 1 : 0) | (value.isByLink ? 2 : 0), 18);
    by.writeUInt16LE(value.id, 22);
    return [from, by] as const;
  });
  return [...byAddress, ...bySender];
}

function encodeExits(
  exits: Tables['exits'],
  encode: (exit: ModelExit) => Buffer,
): Map<number, Buffer> {
  return new Map([...(exits ?? [])].map(([number, exit]) => [number, encode(exit)]));
}

function encodeExit({ mac, vlan, isThere }: ModelExit): Buffer {
  const bytes = Buffer.alloc(16);
  mac.copy(bytes, 0);
  bytes.writeUInt16BE(vlan, 6);
  bytes.writeUInt32LE(isThere ? LOOPBACK : 0, 8);
  return bytes;
}

function encodeAllNames(
  slots: Tables['slots'],
  prefixes: Names,
  addressOf: AddressOf,
): Map<number, Buffer> {
  const namesOf = (key: number): number =>
    namesOfSlot(prefixes, addressOf, slots.get(key) ?? EMPTY_SLOT);
  return new Map(
    Array.from({ length: SLOTS / PAIR }, (_, pair) => [
      pair,
      encodeNames([namesOf(pair * PAIR), namesOf(pair * PAIR + 1)]),
    ]),
  );
}

function encodeSlots(slots: Tables['slots']): Map<number, Buffer> {
  const all = Array.from({ length: SLOTS }, (_, slot) => slots.get(slot) ?? EMPTY_SLOT);
  const inQuads = all.map(({ current, previous }) => ({
    current,
    isHot: previous !== 0,
  }));
  return new Map(
    Array.from({ length: SLOTS / QUAD }, (_, quad) => [
      quad,
      encodeQuad(inQuads.slice(quad * QUAD, (quad + 1) * QUAD)),
    ]),
  );
}

function encodeCell(cell: ModelCell): Buffer {
  const bytes = Buffer.alloc(32);
  cell.address.copy(bytes, 4);
  bytes.writeUInt16BE(cell.port, 20);
  bytes.writeUInt8(cell.protocol, 22);
  bytes.writeUInt8(versionOf(cell.address), 23);
  bytes.writeUInt32LE(cell.firstSlot, 24);
  bytes.writeUInt16LE(cell.service, 28);
  bytes.writeUInt8(32 - cell.log2Slots, 30);
  bytes.writeUInt8(cell.flags, 31);
  return bytes;
}

/** enum l4lb_forward. */
const FORWARDS: Record<ModelDestination['forward'], number> = {
  ...{ tunnel: 0, link: 1, nat: 2, 'full-nat': 3, local: 4 },
};

function encodeEntry(entry: ModelDestination): Buffer {
  const bytes = Buffer.alloc(56);
  entry.address.copy(bytes, 0);
  entry.mac.copy(bytes, 16);
  bytes.writeUInt16LE(entry.service, 22);
  bytes.writeUInt16LE(entry.weight, 24);
  bytes.writeUInt16LE(entry.spread, 26);
  entry.source.copy(bytes, 28);
  bytes.writeUInt16LE(headerSum(entry), 44);
  bytes.writeUInt16LE(entry.largestPacket, 46);
  bytes.writeUInt8(FORWARDS[entry.forward], 48);
  bytes.writeUInt8(entry.isForgotten ? 2 : 0, 49);
  bytes.writeUInt16LE(entry.exit, 50);
  bytes.writeUInt16BE(entry.port, 52);
  bytes.writeUInt16LE(entry.block, 54);
  return bytes;
}

function headerSum({ address, source }: ModelDestination): number {
  const to = onWire(address);
  if (!isIpv4(to)) return 0;
  return onesSum([Buffer.from('00004000' + '40040000', 'hex'), source.subarray(12), to]);
}

/** Finds a seed under which no two cells share a place. */
function placeCells(
  { tables, cellSeed }: Scenario,
  size: number,
): { seed: number; cells: Map<number, Buffer> } {
  for (let tries = 0; ; tries++) {
    const seed = (hash(cellSeed, tries, 0) | 0x0001_0001) >>> 0;
    const cells = new Map<number, Buffer>();
    for (const cell of tables.cells) {
      cells.set(cellIndex(cell, seed, size), encodeCell(cell));
    }
    if (cells.size === tables.cells.length) return { seed, cells };
  }
}

export function encodeSecret(secret: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(secret);
  return bytes;
}

/** struct l4lb_pools. */
export function encodePools(pools: readonly Pool[]): Buffer {
  const bytes = Buffer.alloc(192);
  for (const [index, { address, hostBits, firstBlock }] of pools.entries()) {
    const at = index * 24;
    address.copy(bytes, at, 0, 12);
    address.copy(bytes, at + 16, 12);
    bytes.writeUInt16LE(firstBlock, at + 20);
    bytes.writeUInt8(hostBits, at + 22);
    bytes.writeUInt8(versionOf(address), at + 23);
  }
  return bytes;
}

/** struct l4lb_set of claims. */
export function encodeClaims(claims: readonly Claim[]): Buffer {
  const bytes = Buffer.alloc(64);
  for (const [place, { signature, state, seen }] of claims.entries()) {
    bytes.writeUInt32LE(signature, place * 8);
    bytes.writeUInt16LE(state, place * 8 + 4);
    bytes.writeUInt16LE(seen, place * 8 + 6);
  }
  return bytes;
}

/** struct l4lb_port. */
export function encodePort(port: Port): Buffer {
  const bytes = Buffer.alloc(64);
  port.client.copy(bytes, 0);
  port.address.copy(bytes, 16);
  bytes.writeUInt16BE(port.clientPort, 32);
  bytes.writeUInt16BE(port.servicePort, 34);
  bytes.writeUInt16LE(port.destination, 36);
  bytes.writeUInt8(port.protocol, 38);
  bytes.writeUInt8(port.version, 39);
  bytes.writeUInt32LE(port.awaited, 40);
  return bytes;
}
