// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Tables by chance, as the model takes them. */
import type { Claim, Port } from '../../src/abi/port.js';
import type { FlowRecord } from '../../src/abi/record.js';
import type { Slot } from '../../src/abi/slot.js';
import { NOBODY } from '../../src/abi/slot.js';
import {
  DEVICE_ANSWERS,
  DEVICE_NO_ECHO,
  DEVICE_POOLS,
  DEVICE_XDP_ANSWERS,
} from '../../src/abi/device.js';
import type { ModelDestination, ModelExit, Tables } from '../../src/model/types.js';
import type { Names, NamesPrefix } from '../../src/wire/names.js';
import { makeCells } from './cells.js';
import {
  ANY,
  DESTINATIONS,
  EXITS,
  IPV4,
  LOG2_SETS,
  PORTS,
  SERVICES,
  SLOTS,
} from './choices.js';
import type { Flow } from './flow.js';
import { makeFlow } from './flow.js';
import { makeAnswers, makeFlowBack, makeSenders } from './nat.js';
import type { Random } from './random.js';
import { CLAIM_SETS } from '../../src/abi/pool.js';
import { BLOCKS, makePools, makePorts, sentFrom } from './ports.js';
import { makeRecords } from './records.js';

export interface Scenario {
  tables: Omit<Tables, 'build'>;
  cellSeed: number;
  flows: Flow[];
  /** Records, whose `seen` is an age until the chunk begins. */
  records: Map<number, FlowRecord[]>;
  /** Who has full-nat's ports, with ages in the same way. */
  claims: Map<number, Claim[]>;
  ports: Map<number, Port>;
  /** What is `since` in slots is an age, too. */
  mayTell: boolean;
  mayRecord: boolean;
  mayEcho: boolean;
}

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
    flags:
      (random.chance(20) ? DEVICE_NO_ECHO : 0) |
      (random.chance(70) ? DEVICE_ANSWERS : 0) |
      (random.chance(30) ? DEVICE_XDP_ANSWERS : 0) |
      (random.chance(80) ? DEVICE_POOLS : 0),
    names: makeNames(random),
  };
  const pools = makePools(random);
  const destinations = new Map(
    Array.from({ length: DESTINATIONS }, (_, id) => [
      id,
      sentFrom(random, pools, makeDestination(random, id)),
    ]),
  );
  const answers = makeAnswers(random, [...destinations.values()]);
  const scenario: Scenario = {
    tables: {
      device,
      secret: BigInt(random.word()) * 2n ** 32n + BigInt(random.word()) || 1n,
      cells,
      slots: new Map(
        Array.from({ length: SLOTS }, (_, slot) => [slot, makeSlot(random)]),
      ),
      exits: new Map(
        Array.from({ length: EXITS }, (_, index) => [index + 1, makeExit(random)]),
      ),
      destinations,
      answers,
      senders: makeSenders(random),
      pools,
      claimSets: BLOCKS * CLAIM_SETS,
    },
    cellSeed: random.word(),
    flows: [
      ...Array.from({ length: 24 }, () => makeFlow(random, cells)),
      ...Array.from({ length: 12 }, () => makeFlowBack(random, answers)),
    ],
    records: new Map(),
    claims: new Map(),
    ports: new Map(),
    mayTell: random.chance(85),
    mayRecord: random.chance(85),
    mayEcho: random.chance(85),
  };
  const withRecords = { ...scenario, records: makeRecords(random, scenario) };
  return { ...withRecords, ...makePorts(random, withRecords) };
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

function makeExit(random: Random): ModelExit {
  return {
    mac: random.bytes(6),
    vlan: random.chance(50) ? 0 : random.between(1, 4094),
    isThere: random.chance(85),
  };
}

const FULL = ['full-nat', 'full-nat', 'full-nat', 'full-nat'] as const;
/** As often as they are worth looking at: a tunnel does most. */
const FORWARDS = [
  'tunnel',
  'tunnel',
  'link',
  'local',
  'nat',
  'nat',
  'nat',
  ...FULL,
] as const;

function makeDestination(random: Random, id: number): ModelDestination {
  if (id === 0 || id > 13) {
    return {
      address: ANY,
      mac: Buffer.alloc(6),
      service: 0,
      weight: 0,
      isForgotten: false,
      spread: 0,
      source: ANY,
      largestPacket: 0,
      forward: 'tunnel',
      port: 0,
      exit: 0,
      block: 0,
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
    isForgotten: random.chance(15),
    spread,
    source,
    largestPacket: random.chance(50) ? 1460 : random.pick(LARGEST),
    forward: random.pick(FORWARDS),
    port: random.chance(50) ? 0 : random.pick(PORTS),
    exit: random.chance(70) ? 0 : random.between(1, EXITS),
    block: 0,
  };
}

/** Ages become times. */
export function begin(
  scenario: Scenario,
  seconds: number,
): {
  slots: Tables['slots'];
  records: Map<number, FlowRecord[]>;
  claims: Map<number, Claim[]>;
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
  const claims = new Map(
    [...scenario.claims].map(([set, all]) => [
      set,
      all.map((claim) =>
        claim.signature === 0
          ? claim
          : { ...claim, seen: ((seconds >> 2) - claim.seen) & 0xffff },
      ),
    ]),
  );
  return { slots, records, claims };
}
