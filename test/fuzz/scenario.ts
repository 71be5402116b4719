// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Tables by chance, as the model takes them and as they lie in the maps. */
import { onWire } from '../../src/wire/address.js';
import { onesSum } from '../../src/wire/checksum.js';
import { cellIndex } from '../../src/plan/cells.js';
import type { FlowRecord } from '../../src/abi/record.js';
import { ESTABLISHED, LASTING } from '../../src/abi/record.js';
import type { Slot } from '../../src/abi/slot.js';
import {
  EMPTY_SLOT,
  NOBODY,
  QUAD,
  PAIR,
  encodeMemory,
  encodeNames,
  encodeQuad,
} from '../../src/abi/slot.js';
import {
  CELL_BY_PORT,
  CELL_FRAGMENTS,
  CELL_HASH_SOURCE,
  CELL_KEEPS_SSH,
  CELL_NAMES,
  CELL_UDP_STAYS,
  CELL_USED,
} from '../../src/abi/cell.js';
import { DEVICE_NO_ECHO } from '../../src/abi/device.js';
import { encodeKey } from '../../src/abi/bytes.js';
import { ABI } from '../../src/abi/maps.js';
import { hash } from '../../src/wire/hash.js';
import { isIpv4 } from '../../src/model/bytes.js';
import { NO_RECORD, chooseSlot, findRecord } from '../../src/model/slot.js';
import type {
  ModelCell,
  ModelDestination,
  ProgramState,
  Tables,
} from '../../src/model/types.js';
import { namesOfSlot } from '../../src/plan/names.js';
import type { AddressOf } from '../../src/plan/names.js';
import type { Names, NamesPrefix } from '../../src/wire/names.js';
import { versionOf } from '../../src/wire/way.js';
import type { Random } from './random.js';

/** Maps of these sizes take the place of the object's: their content is read each time. */
export const SLOTS = 64;
export const DESTINATIONS = 16;
export const LOG2_SETS = 3;
export const RECORDS = 8;
/** Set in the signature of each record that is not empty. */
const FULL = 0x80000000;
const ENDED = 0x8000;
const SERVICES = 4;
/** Of the portable build's 16, so that a seed is found soon. */
const MOST_CELLS = 10;
const TCP = 6;
const SYN = 0x02;
const UDP = 17;
const IPV4 = '00000000000000000000ffff';
const ANY = Buffer.alloc(16);

/** One that a scenario's packets belong to, as often as not. */
export interface Flow {
  source: Buffer;
  address: Buffer;
  protocol: number;
  ports: { source: number; destination: number };
  /** The sequence number of its SYN, and how many bytes of data the SYN has. */
  sequence: number;
  data: number;
}

export interface Scenario {
  tables: Omit<Tables, 'build'>;
  cellSeed: number;
  flows: Flow[];
  /** Records, whose `seen` is an age until the chunk begins. */
  records: Map<number, FlowRecord[]>;
  /** What is `since` in slots is an age, too. */
  mayTell: boolean;
  mayRecord: boolean;
  mayEcho: boolean;
}

const SERVICE_ADDRESSES = [
  `${IPV4}0a000004`,
  `${IPV4}cb00710a`,
  `${IPV4}cb00710b`,
  '20010db8000000000000000000000010',
  '20010db8000000000000000000000011',
  'fd000000000000000000ffff0a000004',
].map((hex) => Buffer.from(hex, 'hex'));
const CLIENTS = [
  'c0000207',
  'c6336401',
  '7f000001',
  'e0000001',
  '00000000',
  'ffffffff',
  'f0000001',
  'dfffffff',
  '01000000',
  '20010db8000100000000000000000007',
  'fe800000000000000000000000000001',
  'ff020000000000000000000000000001',
  '00000000000000000000000000000000',
  '00000000000000000000000000000001',
  '00000000000000000000000000000002',
  `${IPV4}c0000207`,
].map((hex) => Buffer.from(hex, 'hex'));
export const PORTS = [0, 22, 53, 67, 68, 80, 443, 546, 547, 4242, 65535];
const LARGEST = [
  0, 40, 100, 511, 512, 600, 1000, 1024, 1279, 1460, 1480, 3000, 8980, 65495,
];

export function makeScenario(random: Random): Scenario {
  const cells = makeCells(random);
  const device = {
    slotSeed: random.word(),
    mac: Buffer.concat([Buffer.from([random.chance(90) ? 2 : 0]), random.bytes(5)]),
    sessionPort: random.chance(50) ? 0 : random.pick(PORTS),
    log2Sets: LOG2_SETS,
    flags: random.chance(20) ? DEVICE_NO_ECHO : 0,
    names: makeNames(random),
  };
  const scenario: Scenario = {
    tables: {
      device,
      secret: BigInt(random.word()) * 2n ** 32n + BigInt(random.word()) || 1n,
      cells,
      slots: new Map(
        Array.from({ length: SLOTS }, (_, slot) => [slot, makeSlot(random)]),
      ),
      destinations: new Map(
        Array.from({ length: DESTINATIONS }, (_, id) => [
          id,
          makeDestination(random, id),
        ]),
      ),
    },
    cellSeed: random.word(),
    flows: Array.from({ length: 24 }, () => makeFlow(random, cells)),
    records: new Map(),
    mayTell: random.chance(85),
    mayRecord: random.chance(85),
    mayEcho: random.chance(85),
  };
  return { ...scenario, records: makeRecords(random, scenario) };
}

function makeCells(random: Random): ModelCell[] {
  const cells = new Map<string, ModelCell>();
  const put = (cell: ModelCell): void => {
    const key = `${cell.address.toString('hex')} ${cell.port} ${cell.protocol}`;
    if (!cells.has(key)) cells.set(key, cell);
  };
  let firstSlot = 0;
  for (let service = 1; service <= SERVICES; service++) {
    const log2Slots = random.below(5);
    const target = { service, firstSlot, log2Slots };
    firstSlot += 2 ** log2Slots;
    const byService =
      (random.chance(40) ? CELL_HASH_SOURCE : 0) |
      (random.chance(30) ? CELL_UDP_STAYS : 0) |
      (random.chance(40) ? CELL_NAMES : 0);
    for (
      let ways = random.between(0, 2);
      ways > 0 && cells.size < MOST_CELLS - 1;
      ways--
    ) {
      const isAny = random.chance(20);
      const address = isAny ? ANY : random.pick(SERVICE_ADDRESSES);
      const port = isAny || random.chance(40) ? 0 : random.pick(PORTS.slice(1));
      const protocol = random.pick([TCP, UDP]);
      const flags =
        CELL_USED |
        byService |
        (random.chance(50) ? CELL_KEEPS_SSH : 0) |
        (port === 0 && random.chance(50) ? CELL_FRAGMENTS : 0);
      put({ ...target, address, port, protocol, flags });
      if (port === 0) continue;
      const notes = random.chance(50) ? byService | CELL_FRAGMENTS : 0;
      const none = { service: 0, firstSlot: 0, log2Slots: 0 };
      const led = notes === 0 ? none : target;
      put({ ...led, address, port: 0, protocol, flags: CELL_BY_PORT | notes });
    }
  }
  // A way on all ports needs no note, and one by port is never without.
  return [...cells.values()].filter(
    (cell) =>
      cell.port !== 0 ||
      (cell.flags & CELL_BY_PORT) === 0 ||
      [...cells.values()].some(
        (other) =>
          other.port !== 0 &&
          other.protocol === cell.protocol &&
          other.address.equals(cell.address),
      ),
  );
}

function makeNames(random: Random): Names {
  const prefix = (address: string, length: number): NamesPrefix => ({
    address: Buffer.from(address, 'hex'),
    length,
  });
  return {
    ...(random.chance(80) && {
      ipv4: prefix(`${IPV4}0a000000`, random.pick([8, 16, 24])),
    }),
    ...(random.chance(80) && {
      ipv6: prefix(
        'fd00000000000007123456789abc'.padEnd(32, '0'),
        random.pick([112, 116, 120]),
      ),
    }),
  };
}

function makeSlot(random: Random): Slot {
  const id = (): number =>
    random.pick([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15, 16]);
  const current = random.chance(95) ? random.between(1, 12) : id();
  const isHot = random.chance(60);
  const previous = !isHot ? 0 : random.chance(20) ? NOBODY : id();
  const since = previous === 0 ? 0 : random.between(1, 4000);
  return {
    current,
    previous,
    since,
    ...(isHot && random.chance(50) && { second: id() }),
  };
}

function makeDestination(random: Random, id: number): ModelDestination {
  if (id === 0 || id > 13) {
    return {
      address: ANY,
      mac: Buffer.alloc(6),
      service: 0,
      weight: 0,
      spread: 0,
      source: ANY,
      largestInner: 0,
    };
  }
  const isV4 = random.chance(50);
  const spread = random.chance(50) ? 0 : random.pick([0xffff, 0x00ff, 0xfff0, 0x8001]);
  const source = isV4
    ? Buffer.concat([Buffer.from(IPV4, 'hex'), random.bytes(4)])
    : random.bytes(16);
  source.writeUInt16BE(source.readUInt16BE(14) & ~spread & 0xffff, 14);
  return {
    address: isV4
      ? Buffer.concat([Buffer.from(IPV4, 'hex'), random.bytes(4)])
      : random.bytes(16),
    mac: random.bytes(6),
    service: random.between(0, SERVICES),
    weight: random.chance(30) ? 0 : random.between(1, 100),
    spread,
    source,
    largestInner: random.chance(50) ? 1460 : random.pick(LARGEST),
  };
}

function makeFlow(random: Random, cells: readonly ModelCell[]): Flow {
  const cell = cells.length > 0 && random.chance(90) ? random.pick(cells) : undefined;
  const address =
    cell && !cell.address.equals(ANY)
      ? cell.address
      : random.chance(50)
        ? random.pick(SERVICE_ADDRESSES)
        : random.bytes(16);
  const to = onWire(address);
  const clients = CLIENTS.filter((one) => one.length === to.length);
  const isDhcp = cell?.protocol === UDP && cell.port === 0 && random.chance(20);
  const dhcp =
    to.length === 4 ? { source: 67, destination: 68 } : { source: 547, destination: 546 };
  return {
    source: random.chance(3)
      ? to
      : random.chance(40)
        ? random.pick(clients)
        : random.bytes(to.length),
    address: to,
    protocol: cell?.protocol ?? random.pick([TCP, UDP]),
    sequence: random.chance(20) ? random.pick([0, 0xffffffff]) : random.word(),
    data: random.chance(70) ? 0 : random.below(30),
    ports: isDhcp
      ? dhcp
      : {
          source: random.chance(50) ? random.pick(PORTS) : random.below(65536),
          destination: cell && cell.port !== 0 ? cell.port : random.pick(PORTS),
        },
  };
}

/** Some of the flows are on record already, among records of others. */
function makeRecords(
  random: Random,
  { tables, flows }: Scenario,
): Map<number, FlowRecord[]> {
  const records = new Map<number, FlowRecord[]>();
  const state: ProgramState = {
    flows: new Map(),
    now: 10n ** 15n,
    mayTell: true,
    mayRecord: true,
    mayEcho: true,
  };
  for (let set = 0; set < 2 ** LOG2_SETS; set++) {
    const fill = random.pick([0, 0, 50, 100, 100]);
    // A set without room has established records only, of the last hour.
    const isTaken = random.chance(40);
    const makeRecord = (): FlowRecord => {
      if (!random.chance(fill)) return NO_RECORD;
      const record = aged(
        random,
        ((random.word() & ~(ESTABLISHED | LASTING)) | FULL) >>> 0,
      );
      return isTaken
        ? {
            ...record,
            established: true,
            lasting: true,
            ended: false,
            seen: random.below(901),
          }
        : record;
    };
    records.set(set, Array.from({ length: RECORDS }, makeRecord));
  }
  for (const flow of flows) {
    const cell = tables.cells.find((one) => leadsTo(one, flow));
    if (!cell || flow.protocol !== TCP || random.chance(20)) continue;
    // Any hot slot will do: what a record says of its connection is the same in all.
    const slots = new Map(
      Array.from({ length: SLOTS }, (_, slot) => [
        slot,
        { current: 1, previous: 2, since: 0 },
      ]),
    );
    const all: Tables = { ...tables, slots, build: 'host' };
    const connection = { ...flow, flags: SYN, isError: false };
    const remembers = { ...cell, flags: cell.flags & ~CELL_NAMES };
    const [begun] = chooseSlot(all, state, connection, remembers).records ?? [];
    const set = begun && records.get(begun.set);
    if (!set) continue;
    const { signature } = findRecord({ ...tables.device, ...tables }, connection);
    const owned = [...tables.destinations].filter(
      ([, to]) => to.service === cell.service,
    );
    // More often than by chance a record counts.
    const stands = (record: FlowRecord): FlowRecord => {
      const [destination] = owned.length > 0 ? random.pick(owned) : [record.destination];
      return random.chance(30)
        ? record
        : { ...record, destination, seen: random.below(18) };
    };
    if (set.some((record) => record.signature === signature)) continue;
    // A connection that begins may have the addresses and ports of an older one.
    const kind = random.pick(['begun', 'followed', 'both']);
    if (kind !== 'begun') {
      const record = stands(aged(random, signature));
      set[random.below(RECORDS)] = {
        ...record,
        established: true,
        lasting: random.chance(50),
      };
    }
    if (kind !== 'followed') {
      const record = stands(aged(random, begun.record.signature));
      const established = random.chance(5);
      const lasting = established && random.chance(50);
      set[random.below(RECORDS)] = { ...record, established, lasting };
    }
  }
  return records;
}

function leadsTo(cell: ModelCell, { protocol, address, ports }: Flow): boolean {
  return (
    cell.protocol === protocol &&
    (cell.port === 0 || cell.port === ports.destination) &&
    (cell.address.equals(ANY) || onWire(cell.address).equals(address))
  );
}

function aged(random: Random, signature: number): FlowRecord {
  const established = random.chance(50);
  const age = random.pick([0, 0, 1, 5, 15, 16, 17, 100, 899, 900, 901, 1000, 40000]);
  return {
    signature,
    destination: random.chance(90)
      ? random.between(1, 12)
      : random.pick([0, 15, 16, 0x7fff]),
    established,
    lasting: established && random.chance(50),
    ended: random.chance(20),
    seen: age,
  };
}

/** Ages become times. */
export function begin(
  scenario: Scenario,
  seconds: number,
): {
  slots: Tables['slots'];
  records: Map<number, FlowRecord[]>;
} {
  const slots = new Map(
    [...scenario.tables.slots].map(([number, slot]) => [
      number,
      { ...slot, since: slot.previous === 0 ? 0 : Math.max(0, seconds - slot.since) },
    ]),
  );
  const records = new Map(
    [...scenario.records].map(([set, all]) => [
      set,
      all.map((record) =>
        record.signature === 0
          ? record
          : { ...record, seen: ((seconds >> 2) - record.seen) & 0xffff },
      ),
    ]),
  );
  return { slots, records };
}

/** The tables as bytes: what the tools would write, by datapath/l4lb.h. */
export type Content = Map<string, Map<number, Buffer>>;

export function encodeTables(
  scenario: Scenario,
  slots: Tables['slots'],
  cells: number,
): Content {
  const { device, destinations } = scenario.tables;
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
  ]);
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

function encodeEntry(entry: ModelDestination): Buffer {
  const bytes = Buffer.alloc(48);
  entry.address.copy(bytes, 0);
  entry.mac.copy(bytes, 16);
  bytes.writeUInt16LE(entry.service, 22);
  bytes.writeUInt16LE(entry.weight, 24);
  bytes.writeUInt16LE(entry.spread, 26);
  entry.source.copy(bytes, 28);
  bytes.writeUInt16LE(headerSum(entry), 44);
  bytes.writeUInt16LE(entry.largestInner, 46);
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

export function encodeRecords(records: readonly FlowRecord[]): Buffer {
  const bytes = Buffer.alloc(8 * RECORDS);
  records.forEach(({ signature, destination, established, ...rest }, place) => {
    const { lasting, ended, seen } = rest;
    const flags = (established ? ESTABLISHED : 0) | (lasting ? LASTING : 0);
    const sign = (signature | flags) >>> 0;
    bytes.writeUInt32LE(sign, place * 8);
    bytes.writeUInt16LE(destination | (ended ? ENDED : 0), place * 8 + 4);
    bytes.writeUInt16LE(seen, place * 8 + 6);
  });
  return bytes;
}

export function encodeSecret(secret: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(secret);
  return bytes;
}

export function encodeSeconds(seconds: number): Buffer {
  return encodeKey(seconds);
}
