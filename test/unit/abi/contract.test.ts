// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';

import {
  ANSWERS,
  ANSWER_FRAGMENTS,
  ANSWER_KEY_SIZE,
  ANSWER_LINK,
  ANSWER_SIZE,
  decodeAnswer,
  decodeAnswerKey,
  encodeAnswer,
  encodeAnswerKey,
  encodeSenderKey,
} from '../../../src/abi/answer.js';
import { carryFrames, decodeCarriedFlows, flowsFrame } from '../../../src/abi/carry.js';
import {
  CHECKS,
  CHECK_MAC,
  CHECK_SIZE,
  PORTS_OF_CHECK,
  encodeCheck,
} from '../../../src/abi/check.js';
import { DECAP_VERDICTS } from '../../../src/abi/decap.js';
import { decodeCounter, encodeCounter } from '../../../src/abi/counter.js';
import type { Counter } from '../../../src/abi/counter.js';
import {
  DESTINATION_FORGOTTEN,
  DESTINATION_FOUND,
  decodeDestination,
  encodeDestination,
} from '../../../src/abi/destination.js';
import type { Destination } from '../../../src/abi/destination.js';
import { EXITS, decodeExit, encodeExit } from '../../../src/abi/exit.js';
import type { Exit } from '../../../src/abi/exit.js';
import {
  decodeMemory,
  decodeNames,
  decodeQuad,
  encodeMemory,
  encodeNames,
  encodeQuad,
} from '../../../src/abi/slot.js';
import type { Memory } from '../../../src/abi/slot.js';
import {
  CELL_BY_PORT,
  CELL_FRAGMENTS,
  CELL_HASH_SOURCE,
  CELL_KEEPS_SSH,
  CELL_MINIMAL_TABLE,
  CELL_NAMES,
  CELL_UDP_STAYS,
  CELL_USED,
  EMPTY_CELL,
  MINUTES,
  decodeCell,
  encodeCell,
  storableTime,
} from '../../../src/abi/cell.js';
import type { Cell } from '../../../src/abi/cell.js';
import {
  DEVICE_ANSWERS,
  DEVICE_NO_ECHO,
  DEVICE_POOLS,
  DEVICE_XDP_ANSWERS,
  decodeDevice,
  encodeDevice,
} from '../../../src/abi/device.js';
import type { Device } from '../../../src/abi/device.js';
import { decodeKey, encodeKey } from '../../../src/abi/bytes.js';
import { LOCAL_SERVER, VERDICTS } from '../../../src/abi/verdicts.js';
import { SERVER_SIZE, encodeServer } from '../../../src/abi/steer.js';
import { SUM_OF, sumAnswers, sumFrames } from '../../../src/abi/sum.js';
import {
  ABI,
  DECAP_ABI,
  DECAP_PROGRAM_NAME,
  PROGRAM_NAME,
  VALUE_SIZES,
} from '../../../src/abi/maps.js';
import {
  FIRST_PORT,
  MOST_BLOCKS,
  USUAL_BLOCKS,
  MOST_POOLS,
  POOLS_SIZE,
  decodePools,
  encodePools,
} from '../../../src/abi/pool.js';
import {
  CLAIM_ANSWERED,
  CLAIM_CLIENT_FIN,
  CLAIM_ENDED,
  CLAIM_ESTABLISHED,
  CLAIM_LASTS,
  CLAIM_READY,
  CLAIM_RESET,
  CLAIM_RST,
  CLAIM_SERVER_FIN,
  CLAIM_TCP,
  CLAIM_UDP,
  PORT_SIZE,
  decodePort,
} from '../../../src/abi/port.js';
import { must } from '../../../src/text/must.js';
import { parseNames } from '../../../src/wire/names.js';
import { SLOT_SEED } from '../../../src/wire/hash.js';
import { ENTRY_FORWARDS } from '../../../src/wire/forward.js';
import { headerSum } from '../../../src/wire/outer-header.js';
import { BALANCER, BALANCER_MAC, VIP, WEB_1, mac } from '../wire/names.js';

function header(name: string): string {
  return readFileSync(new URL(`../../../datapath/${name}`, import.meta.url), 'utf8');
}
const L4LB = header('l4lb.h');
const DECAP = header('../programs/decap.h');
const CARRY = header('../programs/carry.h');
const STEER = header('../programs/steer.h');
const CHECK = header('../programs/check.h');
const SUM = header('../programs/sum.h');

/** A number that a header defines. */
function defined(text: string, name: string): number {
  const match = new RegExp(`#define ${name} (\\d+)\\b`).exec(text);
  if (!match) throw new Error(`the header does not define ${name}`);
  return Number(match[1]);
}

interface HeaderVerdict {
  symbol: string;
  number: number;
  name: string;
  meaning: string;
}

/** The lines V(NAME, number, "name", "meaning") of a header. */
function verdictsOf(text: string): HeaderVerdict[] {
  const line = /\bV\(([A-Z_]+), (\d+), "([^"]*)",[\s\\]*"([^"]*)"\)/g;
  return [...text.matchAll(line)].map(
    ([, symbol = '', number, name = '', meaning = '']) => ({
      symbol,
      number: Number(number),
      name,
      meaning,
    }),
  );
}

/** 0 sends, 1 to 15 pass, then come those that drop, that answer, and that send on. */
function actionOf(number: number): string {
  if (number >= 40) return 'REDIRECT';
  if (number === 0 || number >= 32) return 'TX';
  return number < 16 ? 'PASS' : 'DROP';
}

interface Field {
  name: string;
  at: number;
  length: number;
}

const TYPES: Record<string, number> = {
  __u8: 1,
  __u16: 2,
  __be16: 2,
  __be32: 4,
  __u32: 4,
  __u64: 8,
};

/** Where the fields of a struct lie, as a C compiler lays them out. */
function fieldsOf(text: string, struct: string): Field[] {
  const body = new RegExp(`struct ${struct} \\{([^}]*)\\}`).exec(text)?.[1];
  if (body === undefined) throw new Error(`the header has no struct ${struct}`);
  const withoutComments = body.replaceAll(/\/\*[^]*?\*\//g, '');
  let end = 0;
  return withoutComments
    .split(';')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => {
      const match = /^(\w+)\s+(\w+)(?:\[(\d+)\])?$/.exec(line);
      const size = TYPES[match?.[1] ?? ''];
      if (!match || size === undefined) throw new Error(`cannot read the field ${line}`);
      const at = Math.ceil(end / size) * size;
      const length = size * Number(match[3] ?? 1);
      end = at + length;
      return { name: match[2] ?? '', at, length };
    });
}

/** A text of hex digits with spaces wherever they help to read it. */
function bytes(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex');
}

const NO_ADDRESS = Buffer.alloc(16);
const NO_MAC = Buffer.alloc(6);

const EMPTY_DEVICE: Device = {
  abi: 0,
  generation: 0,
  cellSeed: 0,
  slotSeed: 0,
  mac: NO_MAC,
  sessionPort: 0,
  mtu: 0,
  log2Sets: 0,
  flags: 0,
  names: {},
};
const CELL_OF_NONE: Cell = {
  address: NO_ADDRESS,
  port: 0,
  protocol: 0,
  idle: 0,
  drainDeadline: 0,
  version: 0,
  firstSlot: 0,
  service: 0,
  // So nothing of the hash is shifted out.
  log2Slots: 32,
  flags: 0,
};
const EMPTY_MEMORY: Memory = { previous: 0, since: 0 };
const EMPTY_DESTINATION: Destination = {
  address: NO_ADDRESS,
  mac: NO_MAC,
  service: 0,
  weight: 0,
  spread: 0,
  source: NO_ADDRESS,
  headerSum: 0,
  largestPacket: 0,
  forward: 'tunnel',
  isFound: false,
  isForgotten: false,
  exit: 0,
  port: 0,
  block: 0,
};
const EMPTY_EXIT: Exit = { mac: NO_MAC, vlan: 0, ifindex: 0, mtu: 0 };
const EMPTY_ANSWER_KEY = { address: NO_ADDRESS, port: 0, protocol: 0 };
const EMPTY_ANSWER = {
  ...{ address: NO_ADDRESS, port: 0 },
  ...{ isForFragments: false, isByLink: false, id: 0 },
};
const EMPTY_COUNTER: Counter = { packets: 0n, bytes: 0n };

const ONES_8 = 0xff;
const ONES_16 = 0xffff;
const ONES_32 = 0xffffffff;
const ONES_64 = 0xffffffffffffffffn;
const ONES_MAC = Buffer.alloc(6, 0xff);
const ONES_ADDRESS = Buffer.alloc(16, 0xff);

/** The one field that is always the same. */
function withoutType(device: Buffer): Buffer {
  return device.fill(0, 22, 24);
}

/** It follows from the address. */
function withoutVersion(key: Buffer): Buffer {
  return key.fill(0, 19, 20);
}

/** A value in which a single field is not zero, but all ones. */
const SINGLE_FIELDS: { struct: string; field: string; value: Buffer }[] = [
  ...Object.entries({
    abi: { abi: ONES_32 },
    generation: { generation: ONES_32 },
    cell_seed: { cellSeed: ONES_32 },
    slot_seed: { slotSeed: ONES_32 },
    mac: { mac: ONES_MAC },
    session_port: { sessionPort: ONES_16 },
    mtu: { mtu: ONES_16 },
    log2_sets: { log2Sets: 0xff },
    flags: { flags: ONES_8 },
    names_ipv4_bits: { names: { ipv4: { address: NO_ADDRESS, length: ONES_8 } } },
    names_ipv6_bits: { names: { ipv6: { address: NO_ADDRESS, length: ONES_8 } } },
    names: {
      names: {
        ipv4: { address: ONES_ADDRESS, length: 0 },
        ipv6: { address: ONES_ADDRESS, length: 0 },
      },
    },
  }).map(([field, one]) => ({
    struct: 'l4lb_device',
    field,
    value: withoutType(encodeDevice({ ...EMPTY_DEVICE, ...one })),
  })),
  ...Object.entries({
    // All ones are the most minutes that fit.
    idle: { idle: 60 * 0x7fff },
    drain_deadline: { drainDeadline: 60 * 0x7fff },
    address: { address: ONES_ADDRESS },
    port: { port: ONES_16 },
    protocol: { protocol: ONES_8 },
    version: { version: ONES_8 },
    first_slot: { firstSlot: ONES_32 },
    service: { service: ONES_16 },
    shift: { log2Slots: 32 - ONES_8 },
    flags: { flags: ONES_8 },
  }).map(([field, one]) => ({
    struct: 'l4lb_cell',
    field,
    value: encodeCell({ ...CELL_OF_NONE, ...one }),
  })),
  ...Object.entries({
    previous: { previous: ONES_16 },
    drained: { drained: ONES_16 },
    since: { since: ONES_32 },
    second: { second: ONES_16 },
  }).map(([field, one]) => ({
    struct: 'l4lb_memory',
    field,
    value: encodeMemory({ ...EMPTY_MEMORY, ...one }),
  })),
  {
    struct: 'l4lb_names',
    field: 'slots',
    value: encodeNames([ONES_32, ONES_32]),
  },
  ...Object.entries({
    address: { address: ONES_ADDRESS },
    mac: { mac: ONES_MAC },
    service: { service: ONES_16 },
    weight: { weight: ONES_16 },
    spread: { spread: ONES_16 },
    source_address: { source: ONES_ADDRESS },
    header_sum: { headerSum: ONES_16 },
    largest_packet: { largestPacket: ONES_16 },
    exit: { exit: ONES_16 },
    port: { port: ONES_16 },
    block: { block: ONES_16 },
  }).map(([field, one]) => ({
    struct: 'l4lb_destination',
    field,
    value: encodeDestination({ ...EMPTY_DESTINATION, ...one }),
  })),
  ...Object.entries({
    mac: { mac: ONES_MAC },
    tag: { vlan: ONES_16 },
    ifindex: { ifindex: ONES_32 },
    mtu: { mtu: ONES_32 },
  }).map(([field, one]) => ({
    struct: 'l4lb_exit',
    field,
    value: encodeExit({ ...EMPTY_EXIT, ...one }),
  })),
  ...Object.entries({
    address: { address: ONES_ADDRESS },
    port: { port: ONES_16 },
    protocol: { protocol: ONES_8 },
  }).map(([field, one]) => ({
    struct: 'l4lb_answer_key',
    field,
    value: withoutVersion(encodeAnswerKey({ ...EMPTY_ANSWER_KEY, ...one })),
  })),
  ...Object.entries({
    mac: { mac: ONES_MAC },
    service: { service: ONES_16 },
  }).map(([field, one]) => ({
    struct: 'l4lb_sender_key',
    field,
    value: encodeSenderKey({ mac: NO_MAC, service: 0, ...one }),
  })),
  ...Object.entries({
    address: { address: ONES_ADDRESS },
    port: { port: ONES_16 },
    destination: { id: ONES_16 },
  }).map(([field, one]) => ({
    struct: 'l4lb_answer',
    field,
    value: encodeAnswer({ ...EMPTY_ANSWER, ...one }),
  })),
  ...Object.entries({
    packets: { packets: ONES_64 },
    bytes: { bytes: ONES_64 },
  }).map(([field, one]) => ({
    struct: 'l4lb_counter',
    field,
    value: encodeCounter({ ...EMPTY_COUNTER, ...one }),
  })),
];

const DEVICE: Device = {
  abi: 2,
  generation: 0x01020304,
  cellSeed: 0x11121314,
  slotSeed: SLOT_SEED,
  mac: BALANCER_MAC,
  sessionPort: 2222,
  mtu: 1500,
  log2Sets: 17,
  flags: DEVICE_NO_ECHO,
  names: { ipv4: parseNames('10.7.0.0/16'), ipv6: parseNames('fd00:7::/112') },
};
const WEB_CELL: Cell = {
  address: VIP,
  port: 443,
  protocol: 6,
  idle: 300,
  drainDeadline: 36_000,
  version: 4,
  firstSlot: 65536,
  service: 2,
  log2Slots: 9,
  flags: CELL_USED | CELL_KEEPS_SSH,
};
const FOUR = [
  { current: 0x0102, isHot: false },
  { current: 0x0304, isHot: true },
  { current: 0, isHot: false },
  { current: 0x7fff, isHot: true },
];
const MEMORY: Memory = {
  previous: 0x0304,
  since: 0x05060708,
  drained: 0x090a,
  second: 0x0b0c,
};
const NAMES = [0x0d0e0f10, 0xf1f2f3f4];
const DESTINATION: Destination = {
  address: WEB_1,
  mac: mac('02:00:0a:00:01:0f'),
  service: 0x0102,
  weight: 0x0304,
  spread: 0x00ff,
  source: BALANCER,
  headerSum: headerSum(BALANCER, WEB_1),
  largestPacket: 1480,
  forward: 'link',
  isFound: true,
  isForgotten: true,
  exit: 0x0506,
  port: 0x0708,
  block: 0x090a,
};
/** These have other values than all ones. */
const NEVER_ALL_ONES = [
  'l4lb_destination.flags',
  'l4lb_answer.flags',
  'l4lb_answer_key.version',
  'l4lb_sender_key.version',
];
const COUNTER: Counter = { packets: 0x0102030405060708n, bytes: 0xf1f2f3f4f5f6f7f8n };

const IS_LITTLE = endianness() === 'LE';
const testOnLittleEndian = IS_LITTLE ? test : test.skip;
const WHY_SKIPPED = IS_LITTLE
  ? ''
  : ' (skipped: the bytes are those of little-endian hosts)';

describe('abi', () => {
  test('has the version of the header, and it is in the names of the programs', () => {
    expect(ABI).toBe(defined(L4LB, 'L4LB_ABI'));
    expect(PROGRAM_NAME).toBe(`l4lb_${ABI}`);
    expect(DECAP_PROGRAM_NAME).toBe(`l4lb_decap_${DECAP_ABI}`);
    expect(DECAP_ABI).toBe(defined(DECAP, 'DECAP_ABI'));
  });

  test('has the verdicts of the header: numbers, names and meanings', () => {
    const inHeader = verdictsOf(L4LB).map(({ number, name, meaning }) => ({
      number,
      name,
      meaning,
    }));
    expect(inHeader).toHaveLength(VERDICTS.length);
    expect(
      VERDICTS.map(({ number, name, meaning }) => ({ number, name, meaning })),
    ).toEqual(inHeader);
  });

  test('has the verdicts of the decapsulation header: numbers and names', () => {
    const inHeader = verdictsOf(DECAP).map(({ number, name }) => ({ number, name }));
    expect(inHeader).toHaveLength(10);
    expect(DECAP_VERDICTS.map(({ number, name }) => ({ number, name }))).toEqual(
      inHeader,
    );
  });

  test.each([...verdictsOf(L4LB), ...verdictsOf(DECAP)])(
    'the verdict $symbol is called "$name", and says in a short line what it means',
    ({ symbol, name, meaning }) => {
      expect(name).toBe(symbol.toLowerCase().replaceAll('_', ' '));
      expect(meaning).not.toBe('');
      expect(meaning.length).toBeLessThan(70);
    },
  );

  test.each([...VERDICTS])(
    'the number $number of "$name" says that its action is $action',
    ({ number, action }) => {
      expect(action).toBe(actionOf(number));
    },
  );

  test('what counts for a destination too is "local server"', () => {
    const [verdict] = VERDICTS.filter(({ number }) => number === LOCAL_SERVER);
    expect(verdict?.name).toBe('local server');
  });

  test('the drops begin where the header says, and all verdicts fit the map', () => {
    expect(L4LB).toContain('L4LB_FIRST_DROP = 16,');
    expect(L4LB).toContain('L4LB_FIRST_ROUTED = 40,');
    expect(L4LB).toContain('L4LB_VERDICT_ENTRIES = 48,');
    for (const { number } of [...VERDICTS, ...DECAP_VERDICTS]) {
      expect(number).toBeLessThan(48);
    }
  });

  test.each([
    { which: 'the balancer', verdicts: [...VERDICTS] },
    { which: 'the destination', verdicts: [...DECAP_VERDICTS] },
  ])('no two verdicts of $which share a name or a number', ({ verdicts }) => {
    expect(new Set(verdicts.map(({ name }) => name)).size).toBe(verdicts.length);
    expect(new Set(verdicts.map(({ number }) => number)).size).toBe(verdicts.length);
    expect(verdicts.map(({ number }) => number)).toEqual(
      verdicts.map(({ number }) => number).sort((a, b) => a - b),
    );
  });

  test.each([
    { flag: 'L4LB_CELL_USED', value: CELL_USED },
    { flag: 'L4LB_CELL_KEEPS_SSH', value: CELL_KEEPS_SSH },
    { flag: 'L4LB_CELL_BY_PORT', value: CELL_BY_PORT },
    { flag: 'L4LB_CELL_HASH_SOURCE', value: CELL_HASH_SOURCE },
    { flag: 'L4LB_DESTINATION_FOUND', value: DESTINATION_FOUND },
    { flag: 'L4LB_DESTINATION_FORGOTTEN', value: DESTINATION_FORGOTTEN },
    { flag: 'L4LB_CELL_UDP_STAYS', value: CELL_UDP_STAYS },
    { flag: 'L4LB_CELL_NAMES', value: CELL_NAMES },
    { flag: 'L4LB_CELL_MINIMAL_TABLE', value: CELL_MINIMAL_TABLE },
    { flag: 'L4LB_CELL_FRAGMENTS', value: CELL_FRAGMENTS },
    { flag: 'L4LB_DEVICE_NO_ECHO', value: DEVICE_NO_ECHO },
    { flag: 'L4LB_DEVICE_ANSWERS', value: DEVICE_ANSWERS },
    { flag: 'L4LB_DEVICE_XDP_ANSWERS', value: DEVICE_XDP_ANSWERS },
    { flag: 'L4LB_DEVICE_POOLS', value: DEVICE_POOLS },
    { flag: 'L4LB_CLAIM_READY', value: CLAIM_READY },
    { flag: 'L4LB_CLAIM_TCP', value: CLAIM_TCP },
    { flag: 'L4LB_CLAIM_ANSWERED', value: CLAIM_ANSWERED },
    { flag: 'L4LB_CLAIM_ESTABLISHED', value: CLAIM_ESTABLISHED },
    { flag: 'L4LB_CLAIM_CLIENT_FIN', value: CLAIM_CLIENT_FIN },
    { flag: 'L4LB_CLAIM_SERVER_FIN', value: CLAIM_SERVER_FIN },
    { flag: 'L4LB_CLAIM_RST', value: CLAIM_RST },
    { flag: 'L4LB_CLAIM_ENDED', value: CLAIM_ENDED },
    { flag: 'L4LB_CLAIM_RESET', value: CLAIM_RESET },
    { flag: 'L4LB_CLAIM_UDP', value: CLAIM_UDP },
    { flag: 'L4LB_CLAIM_LASTS', value: CLAIM_LASTS },
    { flag: 'L4LB_MOST_POOLS', value: MOST_POOLS },
    { flag: 'L4LB_MOST_BLOCKS', value: MOST_BLOCKS },
    { flag: 'L4LB_BLOCKS', value: USUAL_BLOCKS },
    { flag: 'L4LB_ANSWER_FRAGMENTS', value: ANSWER_FRAGMENTS },
    { flag: 'L4LB_ANSWER_LINK', value: ANSWER_LINK },
  ])('the flag $flag is $value in the header too', ({ flag, value }) => {
    expect(value).toBe(defined(L4LB, flag));
  });

  test.each([
    { struct: 'l4lb_device', map: 'device' },
    { struct: 'l4lb_cell', map: 'services' },
    { struct: 'l4lb_quad', map: 'slots' },
    { struct: 'l4lb_destination', map: 'destinations' },
    { struct: 'l4lb_counter', map: 'counters' },
    { struct: 'l4lb_counter', map: 'verdicts' },
  ] as const)('the map $map has values of the size of $struct', ({ struct, map }) => {
    const asserted = new RegExp(`sizeof\\(struct ${struct}\\) == (\\d+)`).exec(L4LB);
    expect(Number(asserted?.[1])).toBe(VALUE_SIZES[map]);
    const last = fieldsOf(L4LB, struct).at(-1) ?? { at: 0, length: 0 };
    expect(Math.ceil((last.at + last.length) / 8) * 8).toBe(VALUE_SIZES[map]);
  });

  test('full-nat has pools and ports of these sizes', () => {
    expect(L4LB).toContain(`sizeof(struct l4lb_pools) == ${POOLS_SIZE},`);
    expect(L4LB).toContain(`sizeof(struct l4lb_port) == ${PORT_SIZE},`);
    expect(L4LB).toContain(`L4LB_FIRST_PORT 0x${FIRST_PORT.toString(16)}`);
    const pools = [
      { address: WEB_1, hostBits: 0, firstBlock: 0x0102 },
      { address: Buffer.alloc(16, 0x20), hostBits: 4, firstBlock: 16 },
    ];
    const encoded = encodePools(pools);
    expect(decodePools(encoded)).toEqual(pools);
    const place = Object.fromEntries(
      fieldsOf(L4LB, 'l4lb_pool').map(({ name, at }) => [name, at]),
    );
    expect(encoded.subarray(place['last'], 24).toString('hex')).toBe(
      `0a00010f${endianness() === 'LE' ? '0201' : '0102'}0004`,
    );
    expect(encoded.subarray(24, 48).toString('hex')).toBe(
      `${'20'.repeat(12)}0000000020202020${endianness() === 'LE' ? '1000' : '0010'}0406`,
    );
  });

  test('the fields of a port lie where the program has them', () => {
    const value = Buffer.from(Array.from({ length: PORT_SIZE }, (_, at) => at));
    const place = Object.fromEntries(
      fieldsOf(L4LB, 'l4lb_port').map(({ name, at }) => [name, at]),
    );
    const { client, address, clientPort, servicePort, protocol } = decodePort(value);
    expect({
      client: client[0],
      address: address[0],
      client_port: clientPort >> 8,
      service_port: servicePort >> 8,
      protocol,
    }).toEqual({
      client: place['client'],
      address: place['address'],
      client_port: place['client_port'],
      service_port: place['service_port'],
      protocol: place['protocol'],
    });
  });

  test('the map answers has keys and values of these sizes, and as many as fit', () => {
    expect(L4LB).toContain(`sizeof(struct l4lb_answer_key) == ${ANSWER_KEY_SIZE},`);
    expect(L4LB).toContain(`sizeof(struct l4lb_sender_key) == ${ANSWER_KEY_SIZE},`);
    expect(L4LB).toContain(`sizeof(struct l4lb_answer) == ${ANSWER_SIZE},`);
    expect(L4LB).toContain(`L4LB_ANSWERS (1 << ${Math.log2(ANSWERS)})`);
  });

  test('a server on this host lies in its key as in programs/steer.h', () => {
    expect(STEER).toContain(`sizeof(struct l4lb_server) == ${SERVER_SIZE},`);
    const places = fieldsOf(STEER, 'l4lb_server').map(({ name, at }) => [name, at]);
    expect(places).toEqual([
      ...[['address', 0] as const, ['port', 16] as const],
      ...[['protocol', 18] as const, ['spare', 19] as const],
    ]);
    const server = encodeServer({ address: WEB_1, port: 223, protocol: 6 });
    expect(server).toEqual(Buffer.concat([WEB_1, bytes('00df 06 00')]));
  });

  test('a check lies in its map as in programs/check.h', () => {
    expect(CHECK).toContain(`sizeof(struct l4lb_check) == ${CHECK_SIZE},`);
    expect(CHECK).toContain(`#define L4LB_CHECKS ${CHECKS}\n`);
    expect(CHECK).toContain(`#define L4LB_PORTS_OF_CHECK ${PORTS_OF_CHECK}\n`);
    const digits = CHECK_MAC.replaceAll(':', '');
    expect(CHECK).toContain(`L4LB_CHECK_MAC_UPPER 0x${digits.slice(0, 8)}\n`);
    expect(CHECK).toContain(`L4LB_CHECK_MAC_LOWER 0x${digits.slice(8)}\n`);
    const places = fieldsOf(CHECK, 'l4lb_check').map(({ name, at }) => [name, at]);
    expect(places).toEqual([
      ...[['address', 0] as const, ['destination', 16] as const, ['spare', 20] as const],
    ]);
    const check = encodeCheck({ address: WEB_1, destination: 7 });
    expect(check.subarray(0, 16)).toEqual(WEB_1);
    expect(check.readUInt32LE(16)).toBe(7);
    expect(encodeCheck(undefined)).toEqual(Buffer.alloc(CHECK_SIZE));
  });

  test.each([
    { struct: 'l4lb_cell', member: 'port' },
    { struct: 'l4lb_cell', member: 'first_slot' },
    { struct: 'l4lb_destination', member: 'mac' },
    { struct: 'l4lb_destination', member: 'source_address' },
  ])('$member of $struct lies where the header asserts it', ({ struct, member }) => {
    const asserted = new RegExp(`L4LB_OFFSET\\(${struct}, ${member}\\) == (\\d+)`);
    const field = fieldsOf(L4LB, struct).find(({ name }) => name === member);
    expect(Number(asserted.exec(L4LB)?.[1])).toBe(field?.at);
  });

  test.each(SINGLE_FIELDS)(
    'writes $field of $struct to its own bytes and no others',
    ({ struct, field, value }) => {
      const there = fieldsOf(L4LB, struct).find(({ name }) => name === field);
      if (!there) throw new Error(`struct ${struct} has no field ${field}`);
      const expected = Buffer.alloc(value.length);
      expected.fill(0xff, there.at, there.at + there.length);
      expect(value.toString('hex')).toBe(expected.toString('hex'));
    },
  );

  test('has the numbers of all ways to forward, in their byte', () => {
    const { at = 0 } =
      fieldsOf(L4LB, 'l4lb_destination').find(({ name }) => name === 'forward') ?? {};
    const numbers = ENTRY_FORWARDS.map((forward) =>
      Number(
        new RegExp(`L4LB_${forward.toUpperCase().replace('-', '_')} = (\\d+),`).exec(
          L4LB,
        )?.[1],
      ),
    );
    expect(numbers).toEqual(
      ENTRY_FORWARDS.map((forward) => {
        const bytes = encodeDestination({ ...EMPTY_DESTINATION, forward });
        return bytes[at];
      }),
    );
    expect(new Set(numbers).size).toBe(ENTRY_FORWARDS.length);
  });

  test('an entry of the first version is one of a tunnel', () => {
    const tunnel = {
      ...{ ...DESTINATION, forward: 'tunnel' as const },
      ...{ isFound: false, isForgotten: false, exit: 0, port: 0, block: 0 },
    };
    const short = encodeDestination(tunnel).subarray(0, 48);
    expect(decodeDestination(short)).toEqual(tunnel);
  });

  test('knows every field of the header but the constant and the spare ones', () => {
    const known = SINGLE_FIELDS.map(({ struct, field }) => `${struct}.${field}`);
    const inHeader = [...new Set(SINGLE_FIELDS.map(({ struct }) => struct))].flatMap(
      (struct) =>
        fieldsOf(L4LB, struct)
          .filter(({ name }) => !['spare', 'ipv4', 'forward'].includes(name))
          .map(({ name }) => `${struct}.${name}`)
          .filter((name) => !NEVER_ALL_ONES.includes(name)),
    );
    expect(known).toEqual(inHeader);
  });

  test('a time in minutes is marked as in the header', () => {
    expect(MINUTES).toBe(Number(/#define L4LB_MINUTES (0x[0-9a-f]+)\b/.exec(L4LB)?.[1]));
  });

  test.each([
    { seconds: 1, stored: 1 },
    { seconds: 32_767, stored: 32_767 },
    { seconds: 32_768, stored: 32_820 },
    { seconds: 32_820, stored: 32_820 },
    { seconds: 604_800, stored: 604_800 },
  ])('a time of $seconds seconds is stored as $stored', ({ seconds, stored }) => {
    expect(storableTime(seconds)).toBe(stored);
    expect(storableTime(stored)).toBe(stored);
    const cell = { ...WEB_CELL, idle: seconds, drainDeadline: seconds };
    expect(decodeCell(encodeCell(cell))).toMatchObject({
      idle: stored,
      drainDeadline: stored,
    });
  });

  test('reads back what it wrote', () => {
    expect(decodeDevice(encodeDevice(DEVICE))).toEqual(DEVICE);
    expect(decodeCell(encodeCell(WEB_CELL))).toEqual(WEB_CELL);
    expect(decodeQuad(encodeQuad(FOUR))).toEqual(FOUR);
    expect(decodeMemory(encodeMemory(MEMORY))).toEqual(MEMORY);
    expect(decodeNames(encodeNames(NAMES))).toEqual(NAMES);
    expect(decodeDestination(encodeDestination(DESTINATION))).toEqual(DESTINATION);
    expect(decodeCounter(encodeCounter(COUNTER))).toEqual(COUNTER);
    const exit = { mac: ONES_MAC, vlan: 20, ifindex: 7, mtu: 1500 };
    expect(decodeExit(encodeExit(exit))).toEqual(exit);
    expect(decodeExit(encodeExit({ ...exit, ifindex: 0 }))).toBeUndefined();
    expect(EXITS).toBe(defined(L4LB, 'L4LB_EXITS'));
    const key = { address: WEB_1, port: 8080, protocol: 17 };
    expect(decodeAnswerKey(encodeAnswerKey(key))).toEqual(key);
    const sender = { mac: ONES_MAC, service: 0x0102 };
    expect(decodeAnswerKey(encodeSenderKey(sender))).toEqual(sender);
    for (const flags of [
      { isForFragments: false, isByLink: false },
      { isForFragments: true, isByLink: false },
      { isForFragments: false, isByLink: true },
    ]) {
      const answer = { address: VIP, port: 80, ...flags, id: 7 };
      expect(decodeAnswer(encodeAnswer(answer))).toEqual(answer);
    }
    expect(decodeKey(encodeKey(0x01020304))).toBe(0x01020304);
  });

  test.each([
    { field: 'nobody', value: { ...MEMORY, previous: 0xffff } },
    { field: 'the latest time', value: { ...MEMORY, since: 0xffffffff } },
    { field: 'a previous that is not drained', value: { previous: 1, since: 2 } },
  ])('reads back $field as a number that is not negative', ({ value }) => {
    expect(decodeMemory(encodeMemory(value))).toEqual(value);
  });

  testOnLittleEndian.each([
    {
      what: 'a key',
      value: encodeKey(0x01020304),
      expected: '04030201',
    },
    {
      what: 'the device',
      value: encodeDevice(DEVICE),
      expected:
        '02000000 04030201 14131211 626c346c  02000a000001 0800  08ae dc05 11 01 1070' +
        'fd000007000000000000000000000000 0a070000 00000000',
    },
    {
      what: 'a cell',
      value: encodeCell(WEB_CELL),
      expected:
        '2c01 5882 00000000000000000000ffffc000020a  01bb 06 04  00000100 0200 17 03',
    },
    {
      what: 'four slots',
      value: encodeQuad(FOUR),
      expected: '0201 0483 0000 ffff',
    },
    {
      what: 'a memory',
      value: encodeMemory(MEMORY),
      expected: '0403 0a09 08070605  0c0b 0000 0000 0000',
    },
    {
      what: 'the names of two slots',
      value: encodeNames(NAMES),
      expected: '0d0e0f10 f1f2f3f4',
    },
    {
      what: 'a destination',
      value: encodeDestination(DESTINATION),
      expected:
        '00000000000000000000ffff0a00010f  02000a00010f 0201  0403 ff00' +
        '00000000000000000000ffff0a000001  1495  c805' +
        '01 03 0605 0708 0a09',
    },
    {
      what: 'the key of an answer',
      value: encodeAnswerKey({ address: WEB_1, port: 8080, protocol: 17 }),
      expected: '00000000000000000000ffff0a00010f  1f90 11 04',
    },
    {
      what: 'the key of a sender',
      value: encodeSenderKey({ mac: mac('02:00:0a:00:01:0f'), service: 0x0102 }),
      expected: '02000a00010f 0201  0000000000000000000000 00',
    },
    {
      what: 'an answer',
      value: encodeAnswer({
        ...{ address: VIP, port: 80 },
        ...{ isForFragments: true, isByLink: false, id: 1 },
      }),
      expected: '00000000000000000000ffffc000020a  0050 01 000000 0100',
    },
    {
      what: 'a counter',
      value: encodeCounter(COUNTER),
      expected: '0807060504030201 f8f7f6f5f4f3f2f1',
    },
  ])(`writes $what as these bytes${WHY_SKIPPED}`, ({ value, expected }) => {
    expect(value.toString('hex')).toBe(bytes(expected).toString('hex'));
  });

  test('an empty cell is all zero, so that it is no way and no note', () => {
    expect(EMPTY_CELL).toEqual(encodeCell(CELL_OF_NONE));
    expect(EMPTY_CELL.every((byte) => byte === 0)).toBe(true);
  });

  test('a frame of sums holds as many as the header says, and fits 1,500 bytes', () => {
    const perFrame = defined(CARRY, 'CARRY_SUMS');
    const size = Number(/sizeof\(struct carry_sum\) == (\d+)/.exec(CARRY)?.[1]);
    const sums = new Map(
      Array.from({ length: perFrame + 1 }, (_, id) => [id, COUNTER] as const),
    );
    expect(carryFrames(sums).map(({ length }) => length)).toEqual([
      perFrame * size,
      size,
    ]);
    expect(perFrame * size).toBeLessThanOrEqual(1500);
  });

  test('the frame for flows lies as struct carry_flows says', () => {
    const frame = flowsFrame(8, 4, 7);
    const words = Object.fromEntries(
      fieldsOf(CARRY, 'carry_flows').map(({ name, at }) => [
        name,
        decodeKey(frame.subarray(at, at + 4)),
      ]),
    );
    const expected = { next: 0, mask_before: 7, mask: 3, since: 7, carried: 0, lost: 0 };
    expect(words).toEqual(expected);
    const done = Buffer.concat([frame.subarray(0, 16), encodeKey(5), encodeKey(6)]);
    expect(decodeCarriedFlows(done)).toEqual({ carried: 5, lost: 6 });
  });

  test('a sum in a frame lies as struct carry_sum says', () => {
    const [frame] = carryFrames(new Map([[7, COUNTER]]));
    const at = Object.fromEntries(
      fieldsOf(CARRY, 'carry_sum').map((field) => [field.name, field]),
    );
    const part = (name: string): Buffer | undefined =>
      frame?.subarray(at[name]?.at, (at[name]?.at ?? 0) + (at[name]?.length ?? 0));
    expect(part('key')).toEqual(encodeKey(7));
    expect(part('spare')).toEqual(Buffer.alloc(4));
    expect(Buffer.concat([part('packets') ?? NO_MAC, part('bytes') ?? NO_MAC])).toEqual(
      encodeCounter(COUNTER),
    );
  });

  test('a question lies as struct sum_question says, by the numbers of enum sum_of', () => {
    for (const [name, number] of Object.entries(SUM_OF)) {
      expect(SUM).toContain(`SUM_${name.toUpperCase()} = ${number},`);
    }
    const [frame = NO_MAC] = sumFrames([
      { of: 'counters', key: 3 },
      { of: 'slots', key: 7, number: 9 },
    ]);
    expect(frame).toHaveLength(32);
    const words = Object.fromEntries(
      fieldsOf(SUM, 'sum_question').map(({ name, at }) => [
        name,
        decodeKey(frame.subarray(16 + at, 20 + at)),
      ]),
    );
    expect(words).toEqual({ of: SUM_OF.slots, key: 7, number: 9, spare: 0 });
  });

  test('an answer to a question about a counter is a counter', () => {
    const { packets: first, bytes: second } = COUNTER;
    expect(sumAnswers([encodeCounter(COUNTER)])).toEqual([{ first, second }]);
  });

  test('questions that are too many for a frame are asked in several, in their order', () => {
    const many = Array.from({ length: 4001 }, (_, key) => ({
      of: 'counters' as const,
      key,
    }));
    const frames = sumFrames(many);
    expect(frames.map(({ length }) => length)).toEqual([64_000, 16]);
    expect(decodeKey(must(frames[1], 'the rest').subarray(4, 8))).toBe(4000);
  });
});
