// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { carryFrames } from '../../../src/abi/carry.js';
import type { Counter } from '../../../src/abi/counter.js';
import { encodeKey } from '../../../src/abi/bytes.js';
import type { CarriedTables } from '../../../src/plan/carry-tables.js';
import { carrySums, carryTables } from '../../../src/plan/carry-tables.js';
import type { State } from '../../../src/plan/state.js';
import { applyWrites } from '../../../src/plan/state.js';
import { formatAddress } from '../../../src/wire/address.js';
import { BALANCER_MAC } from '../wire/names.js';
import {
  addressesBySlot,
  filled,
  idsOf,
  lookUp,
  row,
  rows,
  untouched,
  ways,
} from './states.js';

const PORTABLE = { slots: 512, destinations: 512, cells: 16 };
const HOST = { slots: 4096, destinations: 1024, cells: 64 };
const DEVICE = { mac: BALANCER_MAC, mtu: 1500 };

/** What the new maps hold when all is carried. */
function carried(old: State, sizes: State['sizes']): CarriedTables & { state: State } {
  const tables = carryTables(old, sizes, DEVICE);
  // The new program has its own, empty maps.
  return { ...tables, state: applyWrites(untouched(sizes), tables.writes) };
}

function counter(packets: bigint): Counter {
  return { packets, bytes: packets * 100n };
}

describe('tables that are carried over', () => {
  const old = filled(filled(untouched(PORTABLE), rows(9)), rows(9).slice(2));

  test.each([
    { into: 'maps of the same size', sizes: PORTABLE },
    { into: 'larger maps', sizes: HOST },
  ])('into $into: no packet moves', ({ sizes }) => {
    const { state, losses } = carried(old, sizes);
    const service = { firstSlot: 0, log2Slots: 9 };
    expect(losses).toEqual([]);
    expect(addressesBySlot(state, service)).toEqual(addressesBySlot(old, service));
    for (const way of ways('any')) {
      expect(lookUp(state, way)).toMatchObject({ service: 1, log2Slots: 9, flags: 3 });
    }
    expect(state.device).toMatchObject({ abi: 2, slotSeed: old.device.slotSeed });
  });

  test('the ids lead from each destination to itself', () => {
    const { state, ids } = carried(old, HOST);
    expect(ids.size).toBe(7);
    for (const [from, to] of ids) {
      const address = (live: State, id: number): string =>
        formatAddress(live.destinations.get(id)?.address ?? Buffer.alloc(16));
      expect(address(state, to)).toBe(address(old, from));
    }
  });

  test('weights, MACs, the source and the port of the ssh session go along', () => {
    const rich = filled(untouched(PORTABLE), [row('10.0.1.15', 3), row('10.0.1.16', 0)], {
      sessionPort: 2222,
    });
    const { state } = carried(rich, HOST);
    expect([...state.destinations.values()]).toEqual([...rich.destinations.values()]);
    expect(state.device.sessionPort).toBe(2222);
  });

  test('the MTU and the MAC are those of the device now', () => {
    const tables = carryTables(old, HOST, {
      mac: Buffer.from('020000000007', 'hex'),
      mtu: 9000,
    });
    const state = applyWrites(untouched(HOST), tables.writes);
    expect(state.device).toMatchObject({
      mac: Buffer.from('020000000007', 'hex'),
      mtu: 9000,
    });
    for (const entry of state.destinations.values()) {
      expect(entry.largestPacket).toBe(8980);
    }
  });

  test.each([
    { takeSsh: true, flags: 1 },
    { takeSsh: false, flags: 3 },
  ])('a service that takes ssh goes on to take it: $takeSsh', ({ takeSsh, flags }) => {
    const { state } = carried(filled(untouched(PORTABLE), rows(3), { takeSsh }), HOST);
    for (const way of ways('any')) expect(lookUp(state, way)?.flags).toBe(flags);
  });

  test('the generation goes on, so that who watches notices', () => {
    const { state } = carried(old, HOST);
    expect(state.device.generation).toBeGreaterThan(old.device.generation);
  });

  test('an empty table has nothing to carry', () => {
    expect(carryTables(untouched(), HOST, DEVICE)).toEqual({
      writes: [],
      ids: new Map(),
      losses: [],
    });
  });

  test('too many destinations are lost, and it says how many', () => {
    const { state, ids, losses } = carried(filled(untouched(HOST), rows(40)), {
      slots: 4096,
      destinations: 30,
      cells: 16,
    });
    expect(losses).toEqual(['only 30 of 40 destinations fit the new program']);
    expect(ids.size).toBe(30);
    expect(idsOf(state).size).toBe(30);
  });

  test('too many slots are cut to what there is, and it says so', () => {
    const { state, losses } = carried(filled(untouched(HOST), rows(8)), PORTABLE);
    expect(losses).toEqual([
      'any/tcp, any/udp: 512 slots now, not 4096, so most of its connections move',
    ]);
    expect(lookUp(state, ways('any/tcp')[0] ?? never())).toMatchObject({
      firstSlot: 0,
      log2Slots: 9,
    });
    expect(addressesBySlot(state, { firstSlot: 0, log2Slots: 9 })).not.toContain('none');
  });

  const WEB = ['192.0.2.10:80/tcp'];
  const DNS = ['192.0.2.20:53/udp'];
  const two = filled(
    filled(untouched(HOST), rows(4), { vip: WEB, slots: 256 }),
    rows(8),
    { vip: DNS, slots: 1024 },
  );

  test('two services keep their ids and slots, the larger lies first', () => {
    const { state, losses, ids } = carried(two, { ...HOST, slots: 2048 });
    expect(losses).toEqual([]);
    expect(ids.size).toBe(12);
    expect(lookUp(state, ways(...DNS)[0] ?? never())).toMatchObject({
      service: 2,
      firstSlot: 0,
      log2Slots: 10,
    });
    expect(lookUp(state, ways(...WEB)[0] ?? never())).toMatchObject({
      service: 1,
      firstSlot: 1024,
      log2Slots: 8,
    });
    const [web, dns] = [
      { firstSlot: 1024, log2Slots: 8 },
      { firstSlot: 0, log2Slots: 10 },
    ];
    expect(addressesBySlot(state, web)).toEqual(
      addressesBySlot(two, { firstSlot: 0, log2Slots: 8 }),
    );
    expect(addressesBySlot(state, dns)).toEqual(
      addressesBySlot(two, { firstSlot: 1024, log2Slots: 10 }),
    );
  });

  test('two services share the slots of a smaller program', () => {
    const { state, losses } = carried(two, PORTABLE);
    expect(losses).toEqual([
      '192.0.2.20:53/udp: 256 slots now, not 1024, so most of its connections move',
    ]);
    const slots = [WEB, DNS].map((way) => {
      const cell = lookUp(state, ways(...way)[0] ?? never());
      return [cell?.firstSlot, cell?.log2Slots];
    });
    expect(slots.sort()).toEqual([
      [0, 8],
      [256, 8],
    ]);
    for (const key of state.slots.keys()) expect(key).toBeLessThan(512);
  });
});

test('a service of 131,072 slots is carried over', () => {
  const sizes = { slots: 1 << 18, destinations: 512, cells: 64 };
  const old = filled(untouched(sizes), rows(3), { slots: 1 << 17 });
  const { state, losses } = carried(old, { ...sizes, slots: 1 << 20 });
  expect(losses).toEqual([]);
  const service = { firstSlot: 0, log2Slots: 17 };
  expect(addressesBySlot(state, service)).toEqual(addressesBySlot(old, service));
});

describe('sums that are carried over', () => {
  test('go to the new ids, and to id 0 where there is none', () => {
    const counters = new Map([
      [0, counter(5n)],
      [1, counter(10n)],
      [2, counter(20n)],
      [3, counter(0n)],
      [4, counter(40n)],
    ]);
    const ids = new Map([
      [1, 7],
      [4, 1],
    ]);
    expect(carrySums(counters, ids)).toEqual(
      new Map([
        [0, counter(25n)],
        [7, counter(10n)],
        [1, counter(40n)],
      ]),
    );
  });

  test('are none where nothing was counted', () => {
    expect(carrySums(new Map([[1, counter(0n)]]), new Map([[1, 1]])).size).toBe(0);
  });

  test('lose no packet', () => {
    const counters = new Map(
      Array.from(
        { length: 100 },
        (_, id) => [id, counter(2n ** 60n + BigInt(id))] as const,
      ),
    );
    const ids = new Map(
      Array.from({ length: 50 }, (_, id) => [id + 1, 100 - id] as const),
    );
    const total = (sums: ReadonlyMap<number, Counter>): bigint =>
      [...sums.values()].reduce((sum, { packets }) => sum + packets, 0n);
    expect(total(carrySums(counters, ids))).toBe(total(counters));
  });
});

describe('frames of sums', () => {
  test.each([
    { sums: 0, frames: [] },
    { sums: 1, frames: [1] },
    { sums: 62, frames: [62] },
    { sums: 63, frames: [62, 1] },
    { sums: 130, frames: [62, 62, 6] },
  ])('$sums sums are put into frames of $frames', ({ sums, frames }) => {
    const all = new Map(
      Array.from({ length: sums }, (_, id) => [id, counter(BigInt(id))] as const),
    );
    expect(carryFrames(all).map(({ length }) => length / 24)).toEqual(frames);
  });

  test('each has its key, four bytes of nothing, packets and bytes', () => {
    const [frame] = carryFrames(new Map([[3, { packets: 1n, bytes: 2n ** 64n - 1n }]]));
    const one = Buffer.alloc(8);
    new BigUint64Array(one.buffer, one.byteOffset, 1)[0] = 1n;
    expect(frame).toEqual(
      Buffer.concat([encodeKey(3), Buffer.alloc(4), one, Buffer.alloc(8, 0xff)]),
    );
  });
});

function never(): never {
  throw new Error('the test names no way');
}
