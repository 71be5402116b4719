// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { CELL_BY_PORT, CELL_KEEPS_SSH } from '../../../src/abi/cell.js';
import type { Counter } from '../../../src/abi/counter.js';
import { formatAddress } from '../../../src/wire/address.js';
import { Failure } from '../../../src/text/failure.js';
import { SLOT_SEED } from '../../../src/wire/hash.js';
import { headerSum, largestPacket } from '../../../src/wire/outer-header.js';
import type { State, Write } from '../../../src/plan/state.js';
import type { WantedDestination } from '../../../src/plan/steps.js';
import { applyWrites } from '../../../src/plan/state.js';
import { isHot } from '../../../src/plan/hot-slots.js';
import { someSlot } from '../../../src/plan/slots.js';
import { servicesIn } from '../../../src/plan/services.js';
import { consistentTable } from '../../../src/plan/consistent.js';
import { formatWay, wayKey } from '../../../src/wire/way.js';
import { BALANCER, BALANCER_MAC, ip, mac, randomNumbers } from '../wire/names.js';
import type { Fill } from './states.js';
import {
  addressesBySlot,
  filled,
  idsOf,
  lookUp,
  planFor,
  row,
  rows,
  slotsOf,
  untouched,
  ways,
  oneByOne,
} from './states.js';

const WHOLE = { firstSlot: 0, log2Slots: 9 };

function count(writes: readonly Write[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { map } of oneByOne(writes)) counts[map] = (counts[map] ?? 0) + 1;
  return counts;
}

/** The slots of two states that differ in their destination's address. */
function moved(before: State, after: State, service = WHOLE): number {
  const old = addressesBySlot(before, service);
  return addressesBySlot(after, service).filter((address, slot) => address !== old[slot])
    .length;
}

/** The table as it has to be in the end, whatever the ids are. */
function wantedBySlot(file: readonly WantedDestination[], slots: number): string[] {
  return [...consistentTable(file, slots)].map((index) => {
    const destination = file[index];
    return destination ? formatAddress(destination.address) : 'none';
  });
}

function flagsOf(live: State, way: string): number[] {
  return ways(way).map((one) => lookUp(live, one)?.flags ?? -1);
}

/** The state after traffic: every destination in use has counted. */
function counting(live: State, packets: bigint): State {
  const used = [...live.destinations].filter(([, { service }]) => service !== 0);
  return {
    ...live,
    counters: new Map([
      ...live.counters,
      ...used.map(([id]) => [id, { packets, bytes: packets * 100n }] as const),
    ]),
  };
}

/** The map and the entry that it writes. */
function nameOf(write: Write): string {
  return write.map === 'slots' ? write.map : `${write.map} ${write.key}`;
}

function generationsOf(writes: readonly Write[]): number[] {
  return writes.flatMap((write) =>
    write.map === 'device' ? [write.value.generation] : [],
  );
}

function totalPackets(live: State): bigint {
  return [...live.counters.values()].reduce((sum, { packets }) => sum + packets, 0n);
}

/**
 * All that must hold after every single write of a plan. The files are those of
 * the service that is planned for, before and after.
 */
function checkEveryPrefix(
  before: State,
  writes: readonly Write[],
  service: { id: number; firstSlot: number; log2Slots: number },
  files: { old: readonly WantedDestination[]; wanted: readonly WantedDestination[] },
): State {
  const macs = new Map<string, Set<string>>();
  for (const { address, mac: hardware } of [...files.old, ...files.wanted]) {
    const key = formatAddress(address);
    macs.set(key, (macs.get(key) ?? new Set()).add(hardware.toString('hex')));
  }
  const goal = applyWrites(before, writes);
  const others = [...servicesIn(before.cells).values()].filter(
    ({ id }) => id !== service.id,
  );
  const oldWays = [...servicesIn(before.cells).values()].flatMap((one) => one.ways);
  const newWays = [...servicesIn(goal.cells).values()].flatMap((one) => one.ways);
  const lasting = oldWays.filter(
    (way) => lookUp(before, way) && newWays.some((one) => wayKey(one) === wayKey(way)),
  );
  const untouchedSlots = new Map(others.flatMap((other) => [...slotsOf(before, other)]));
  const end = service.firstSlot + (1 << service.log2Slots);
  const faults = new Set<string>();
  /** Entries that were looked at already; they never change in place. */
  const sound = new Set<object>();
  let state = before;
  for (const write of oneByOne(writes)) {
    if (write.map === 'destinations') {
      const there = state.destinations.get(write.key);
      const isUsed = someSlot(state.slots, ({ current }) => current === write.key);
      if (isUsed && !there?.address.equals(write.value.address)) {
        faults.add(`id ${write.key} gets another address while slots point to it`);
      }
    }
    state = applyWrites(state, [write]);

    for (const way of lasting) {
      if (!lookUp(state, way)) faults.add(`${formatWay(way)} is not found`);
    }
    for (const [key, slot] of untouchedSlots) {
      if (state.slots.get(key)?.current !== slot.current) {
        faults.add(`slot ${key} of another service changed`);
      }
    }
    const isLive = newWays.some((way) => lookUp(state, way)?.service === service.id);
    if (!isLive) continue;
    state.slots.forEach(({ current }, key) => {
      if (key < service.firstSlot || key >= end) return;
      const entry = state.destinations.get(current);
      if (current === 0 || (entry && sound.has(entry))) return;
      const address = entry ? formatAddress(entry.address) : 'none';
      if (entry?.service !== service.id) {
        faults.add(`slot ${key} points to id ${current}, which is not the service's own`);
      } else if (!macs.get(address)?.has(entry.mac.toString('hex'))) {
        faults.add(`slot ${key} sends to ${address}, with a MAC that no file has`);
      } else if (entry.headerSum !== headerSum(entry.source, entry.address)) {
        faults.add(`the entry of ${address} has a wrong sum`);
      } else {
        sound.add(entry);
      }
    });
  }
  expect([...faults]).toEqual([]);
  return state;
}

describe('plan of the first fill', () => {
  const FILE = rows(32);
  const made = planFor(untouched(), FILE);
  const state = applyWrites(untouched(), made.writes);

  test('gives every slot the destination that the table says', () => {
    expect(addressesBySlot(state, WHOLE)).toEqual(wantedBySlot(FILE, 512));
  });

  test('gives the ids from 1, in the order of the file', () => {
    expect([...idsOf(state)]).toEqual(
      FILE.map(({ address }, index) => [formatAddress(address), index + 1]),
    );
  });

  test('writes whole entries', () => {
    expect(state.destinations.get(1)).toEqual({
      address: ip('10.0.1.0'),
      mac: mac('02:00:0a:00:01:00'),
      service: 1,
      weight: 1,
      spread: 0,
      source: BALANCER,
      headerSum: headerSum(BALANCER, ip('10.0.1.0')),
      largestPacket: 1480,
      forward: 'tunnel',
      isFound: false,
      isForgotten: false,
      exit: 0,
      port: 0,
      block: 0,
    });
  });

  test('describes the device', () => {
    expect(state.device).toEqual({
      abi: 2,
      generation: 2,
      cellSeed: state.device.cellSeed,
      slotSeed: SLOT_SEED,
      mac: BALANCER_MAC,
      sessionPort: 0,
      mtu: 1500,
      log2Sets: 0,
      flags: 0,
      names: {},
    });
  });

  test('makes a way for all TCP and one for all UDP, and leaves ssh to the host', () => {
    for (const way of ways('any')) {
      expect(lookUp(state, way)).toMatchObject({
        service: 1,
        firstSlot: 0,
        log2Slots: 9,
        flags: 3,
      });
    }
  });

  test('says what it does', () => {
    expect(made).toMatchObject({
      isNew: true,
      ways: ['any/tcp', 'any/udp'],
      used: 32,
      wanted: 32,
      removed: [],
      changed: [],
      slots: 512,
      slotsMoved: 512,
      isEmpty: false,
    });
    expect(made.added).toHaveLength(32);
  });

  test('writes counters not at all, entries before slots, and ways behind them', () => {
    const order = made.writes.map(({ map }) => map);
    expect(order.filter((map, at) => map !== order[at - 1])).toEqual([
      'destinations',
      'slots',
      'services',
      'device',
    ]);
  });
});

describe('plan of a refill', () => {
  const FILE = rows(32);
  const before = filled(untouched(), FILE);

  test('has nothing to do where the tables say so already', () => {
    expect(planFor(before, FILE)).toMatchObject({
      writes: [],
      added: [],
      removed: [],
      changed: [],
      slotsMoved: 0,
    });
  });

  test('has nothing to do for the same rows in another order', () => {
    expect(planFor(before, [...FILE].reverse()).writes).toEqual([]);
  });

  test('without one destination moves little more than its slots', () => {
    const made = planFor(before, FILE.slice(1));
    const after = applyWrites(before, made.writes);
    expect(made.removed).toEqual(['10.0.1.0']);
    expect(made.slotsMoved).toBe(moved(before, after));
    expect(made.slotsMoved).toBeGreaterThanOrEqual(16);
    expect(made.slotsMoved).toBeLessThan(64);
    expect(count(made.writes)).toEqual({
      slots: made.slotsMoved,
      device: 1,
      destinations: 1,
    });
  });

  test('frees the id of a destination that is gone, and keeps its address', () => {
    const after = filled(before, FILE.slice(1));
    expect(after.destinations.get(1)).toMatchObject({
      service: 0,
      address: ip('10.0.1.0'),
    });
  });

  test('with one destination more moves what that one gets, and little more', () => {
    const made = planFor(before, [...FILE, row('10.0.9.9')]);
    const after = applyWrites(before, made.writes);
    expect(made.added).toEqual(['10.0.9.9']);
    expect(made.slotsMoved).toBeLessThan(64);
    expect(
      addressesBySlot(after, WHOLE).filter((one) => one === '10.0.9.9'),
    ).toHaveLength(
      [...consistentTable([...FILE, row('10.0.9.9')], 512)].filter(
        (index) => index === 32,
      ).length,
    );
    expect(count(made.writes)).toEqual({
      destinations: 1,
      slots: made.slotsMoved,
      device: 1,
    });
  });

  test.each([
    {
      change: 'another MAC of one destination',
      file: [row('10.0.1.0', 1, '02:00:00:00:00:99'), ...FILE.slice(1)],
      fill: {},
      entries: 1,
      changed: ['10.0.1.0'],
    },
    {
      change: 'twice the weight of all',
      file: FILE.map((one) => ({ ...one, weight: 2 })),
      fill: {},
      entries: 32,
      changed: FILE.map(({ address }) => formatAddress(address)),
    },
    { change: 'another MTU', file: FILE, fill: { mtu: 9000 }, entries: 32, changed: [] },
    {
      change: 'another source address',
      file: FILE,
      fill: { source: ip('10.0.0.2') },
      entries: 32,
      changed: [],
    },
    {
      change: "another MAC of the device's own",
      file: FILE,
      fill: { mac: mac('02:00:0a:00:00:02') },
      entries: 0,
      changed: [],
    },
    {
      change: 'another port of the ssh session',
      file: FILE,
      fill: { sessionPort: 2222 },
      entries: 0,
      changed: [],
    },
  ] as {
    change: string;
    file: WantedDestination[];
    fill: Fill;
    entries: number;
    changed: string[];
  }[])(
    '$change rewrites $entries entries and moves no slot',
    ({ file, fill, entries, changed }) => {
      const made = planFor(before, file, fill);
      expect(count(made.writes)).toEqual({
        ...(entries > 0 ? { destinations: entries } : {}),
        device: 1,
      });
      expect(made).toMatchObject({ changed, slotsMoved: 0, added: [], removed: [] });
    },
  );

  test('another MTU changes the largest inner packet of every entry', () => {
    const after = filled(before, FILE, { mtu: 9000 });
    expect(after.device.mtu).toBe(9000);
    for (const entry of after.destinations.values()) {
      expect(entry.largestPacket).toBe(largestPacket(9000, entry.address, 'tunnel'));
    }
  });

  test('another source changes the sum of every entry with it', () => {
    const source = ip('10.0.0.2');
    for (const entry of filled(before, FILE, { source }).destinations.values()) {
      expect(entry.source).toEqual(source);
      expect(entry.headerSum).toBe(headerSum(source, entry.address));
    }
  });

  test('another weight moves slots to the one that has more', () => {
    const made = planFor(before, [row('10.0.1.0', 2), ...FILE.slice(1)]);
    const after = applyWrites(before, made.writes);
    const own = (live: State): number =>
      addressesBySlot(live, WHOLE).filter((one) => one === '10.0.1.0').length;
    expect(made.changed).toEqual(['10.0.1.0']);
    expect(own(after)).toBeGreaterThan(own(before));
  });

  test('a weight of 0 drains a destination: it keeps its id, and has no slot', () => {
    const after = filled(before, [row('10.0.1.0', 0), ...FILE.slice(1)]);
    expect(idsOf(after).get('10.0.1.0')).toBe(1);
    expect(addressesBySlot(after, WHOLE)).not.toContain('10.0.1.0');
    expect(addressesBySlot(after, WHOLE)).not.toContain('none');
  });

  test('weights of 0 alone empty all slots, and the plan says so', () => {
    const made = planFor(
      before,
      FILE.map((one) => ({ ...one, weight: 0 })),
    );
    expect(made).toMatchObject({ isEmpty: true, slotsMoved: 512 });
    const after = applyWrites(before, made.writes);
    expect(new Set(addressesBySlot(after, WHOLE))).toEqual(new Set(['none']));
  });

  test('keeps the port of the last ssh session where there is none now', () => {
    const session = filled(before, FILE, { sessionPort: 2222 });
    expect(filled(session, rows(31)).device.sessionPort).toBe(2222);
    expect(filled(session, rows(31), { sessionPort: 22 }).device.sessionPort).toBe(22);
  });

  test('keeps the seed of the slots that the tables have', () => {
    const seeded = { ...before, device: { ...before.device, slotSeed: 99 } };
    expect(filled(seeded, rows(31)).device.slotSeed).toBe(99);
  });

  test('goes on to the next even generation, and to none where nothing is written', () => {
    expect(filled(before, rows(31)).device.generation).toBe(4);
    expect(filled(before, FILE).device.generation).toBe(2);
    const last = { ...before, device: { ...before.device, generation: 0xffffffff } };
    expect(filled(last, rows(31)).device.generation).toBe(0);
  });

  test('does not change what it was given', () => {
    const live = filled(untouched(), FILE);
    planFor(live, rows(40, 7), { mtu: 9000 });
    expect(live).toEqual(before);
  });
});

describe('plan of ids and counters', () => {
  const FILE = rows(8);
  const before = counting(filled(untouched(), FILE), 1000n);

  test('keeps the id of every destination that stays', () => {
    const old = idsOf(before);
    const after = idsOf(filled(before, [...rows(4, 9), ...FILE.slice(3).reverse()]));
    for (const { address } of FILE.slice(3)) {
      expect(after.get(formatAddress(address))).toBe(old.get(formatAddress(address)));
    }
  });

  test('gives no id that the same step has freed', () => {
    const after = filled(before, [...FILE.slice(1), row('10.0.9.9')]);
    expect(idsOf(after).get('10.0.9.9')).toBe(9);
  });

  test('gives the lowest free id, one that was freed before', () => {
    const less = filled(before, FILE.slice(1));
    expect(idsOf(filled(less, [...FILE.slice(1), row('10.0.9.9')])).get('10.0.9.9')).toBe(
      1,
    );
  });

  test('leaves the counters of a freed id alone until it has a new owner', () => {
    const less = filled(before, FILE.slice(1));
    expect(less.counters).toEqual(before.counters);
    const more = filled(less, [...FILE.slice(1), row('10.0.9.9')]);
    expect(more.counters.get(1)).toEqual({ packets: 0n, bytes: 0n });
    expect(more.counters.get(0)).toEqual({ packets: 1000n, bytes: 100_000n });
    expect(totalPackets(more)).toBe(totalPackets(before));
  });

  test('what was counted of answers moves with them, and alone too', () => {
    const returned = new Map([
      [0, { packets: 7n, bytes: 70n }],
      [1, { packets: 20n, bytes: 2000n }],
      [2, { packets: 30n, bytes: 3000n }],
    ]);
    const less = { ...filled(before, FILE.slice(1)), returned };
    const wanted = [...FILE.slice(1), row('10.0.9.9')];
    const moved = new Map([
      ...returned,
      [0, { packets: 27n, bytes: 2070n }],
      [1, { packets: 0n, bytes: 0n }],
    ]);
    expect(filled(less, wanted).returned).toEqual(moved);
    const alone = { ...less, counters: new Map<number, Counter>() };
    const { writes } = planFor(alone, wanted);
    const { generation } = less.device;
    expect(applyWrites(alone, writes).returned).toEqual(moved);
    expect(generationsOf(writes)).toEqual([1, 2, 4].map((more) => generation + more));
    expect(writes.slice(0, 4).map(nameOf)).toEqual([
      ...['device 0', 'returned 0', 'returned 1', 'device 0'],
    ]);
  });

  test('counters move between an odd generation and an even one', () => {
    const less = filled(before, FILE.slice(1));
    const { writes } = planFor(less, [...FILE.slice(1), row('10.0.9.9')]);
    let { generation } = less.device;
    const under: Record<string, number[]> = {};
    for (const write of writes) {
      if (write.map === 'device') ({ generation } = write.value);
      else (under[write.map] ??= []).push(generation);
    }
    const last = less.device.generation;
    expect(under).toMatchObject({
      counters: [last + 1, last + 1],
      destinations: [last + 2],
    });
    expect(generation).toBe(last + 4);
    // Of the device nothing else changes before the end.
    const [first] = writes.filter((write) => write.map === 'device');
    expect(first?.value).toEqual({ ...less.device, generation: last + 1 });
  });

  test('a fill after one that was killed while counters moved begins with a new odd one', () => {
    const less = filled(before, FILE.slice(1));
    const wanted = [...FILE.slice(1), row('10.0.9.9')];
    const cut = applyWrites(less, planFor(less, wanted).writes.slice(0, 2));
    const { generation } = cut.device;
    expect(generation % 2).toBe(1);
    expect(generationsOf(planFor(cut, wanted).writes)).toEqual(
      [2, 3, 5].map((more) => generation + more),
    );
  });

  test('adds to what id 0 holds already', () => {
    const retired = {
      ...filled(before, FILE.slice(1)),
      counters: new Map([
        ...before.counters,
        [0, { packets: 2n ** 60n, bytes: 2n ** 62n }] as const,
      ]),
    };
    const after = filled(retired, [...FILE.slice(1), row('10.0.9.9')]);
    expect(after.counters.get(0)).toEqual({
      packets: 2n ** 60n + 1000n,
      bytes: 2n ** 62n + 100_000n,
    });
  });

  test('moves counters first of all, to id 0 before it clears them', () => {
    const less = filled(before, FILE.slice(2));
    const { writes } = planFor(less, [
      ...FILE.slice(2),
      row('10.0.9.9'),
      row('10.0.9.8'),
    ]);
    expect(writes.slice(0, 4).map(nameOf)).toEqual([
      'device 0',
      'counters 0',
      'counters 1',
      'counters 2',
    ]);
  });

  test('never writes the counters of a destination that stays', () => {
    const { writes } = planFor(before, [...FILE.slice(1), row('10.0.9.9')], {
      mtu: 9000,
    });
    expect(writes.filter(({ map }) => map === 'counters')).toEqual([]);
  });

  test('never gives out id 0', () => {
    const sizes = { slots: 16, destinations: 4, cells: 16 };
    const full = filled(untouched(sizes), rows(4));
    expect([...idsOf(full).values()].sort()).toEqual([1, 2, 3, 4]);
  });
});

describe('plan of ways', () => {
  const FILE = rows(4);

  test.each([
    { was: 'a service for all', vip: ['any'], takeSsh: undefined, flags: 3 },
    { was: 'a service for all, --take-ssh', vip: ['any'], takeSsh: true, flags: 1 },
    { was: 'a whole address', vip: ['192.0.2.10'], takeSsh: false, flags: 3 },
    { was: 'a port', vip: ['192.0.2.10:22'], takeSsh: false, flags: 1 },
  ])('$was has the flags $flags', ({ vip, takeSsh, flags }) => {
    const state = filled(untouched(), FILE, {
      vip,
      ...(takeSsh === undefined ? {} : { takeSsh }),
    });
    expect(flagsOf(state, vip[0] ?? '')).toEqual([flags, flags]);
  });

  test('ssh is taken as before where a refill does not say', () => {
    const taking = filled(untouched(), FILE, { takeSsh: true });
    expect(flagsOf(filled(taking, rows(5)), 'any')).toEqual([1, 1]);
    const keeping = filled(untouched(), FILE);
    expect(flagsOf(filled(keeping, rows(5)), 'any')).toEqual([3, 3]);
  });

  test('--vip without --take-ssh leaves ssh to the host again', () => {
    const taking = filled(untouched(), FILE, { takeSsh: true });
    const after = filled(taking, FILE, { vip: ['any'], takeSsh: false });
    expect(flagsOf(after, 'any')).toEqual([3, 3]);
  });

  test('a new way changes its cells and the generation, nothing else', () => {
    const before = filled(untouched(), FILE, { vip: ['192.0.2.10:80/tcp'] });
    const vip = ['192.0.2.10:80/tcp', '192.0.2.10:443/tcp'];
    const made = planFor(before, FILE, { vip });
    expect(made.slotsMoved).toBe(0);
    expect(count(made.writes).destinations).toBeUndefined();
    const after = applyWrites(before, made.writes);
    expect(flagsOf(after, '192.0.2.10:80/tcp')).toEqual([1]);
    expect(flagsOf(after, '192.0.2.10:443/tcp')).toEqual([1]);
    expect(made.ways).toEqual(['192.0.2.10:80/tcp', '192.0.2.10:443/tcp']);
  });

  test('a way that is named no more is gone, with its note for fragments', () => {
    const before = filled(untouched(), FILE, {
      vip: ['192.0.2.10:80/tcp', '192.0.2.20:80/tcp'],
    });
    expect(before.cells.size).toBe(4);
    const after = filled(before, FILE, { vip: ['192.0.2.10:80/tcp'] });
    expect(flagsOf(after, '192.0.2.20:80/tcp')).toEqual([-1]);
    expect([...after.cells.values()].map(formatWay).sort()).toEqual([
      '192.0.2.10/tcp',
      '192.0.2.10:80/tcp',
    ]);
  });

  test('ways that go are emptied last, so that they stand as long as they can', () => {
    const before = filled(untouched(), FILE, {
      vip: ['192.0.2.10:80/tcp', '192.0.2.20:80/tcp'],
    });
    const { writes } = planFor(before, rows(5), { vip: ['192.0.2.10:80/tcp'] });
    const device = writes.findIndex(({ map }) => map === 'device');
    const emptied = writes.flatMap((write, at) =>
      write.map === 'services' && write.value === undefined ? [at] : [],
    );
    expect(emptied).toHaveLength(2);
    for (const at of emptied) expect(at).toBeGreaterThan(device);
  });

  test('a way by port has a note on its address, that is no way', () => {
    const state = filled(untouched(), FILE, { vip: ['192.0.2.10:80/tcp'] });
    const note = [...state.cells.values()].find(({ port }) => port === 0);
    expect(note?.flags).toBe(CELL_BY_PORT);
    expect(flagsOf(state, '192.0.2.10/tcp')).toEqual([-1]);
  });
});

describe('plan of two services', () => {
  const SIZES = { slots: 1024, destinations: 64, cells: 64 };
  const WEB: Fill = { vip: ['192.0.2.10:80/tcp'], slots: 512 };
  const DNS: Fill = { vip: ['192.0.2.20:53/udp'], slots: 256 };
  const both = filled(filled(untouched(SIZES), rows(8), WEB), rows(4), DNS);

  test('they have slots and ids of their own, for the same addresses too', () => {
    expect([...idsOf(both, 1).values()]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect([...idsOf(both, 2).values()]).toEqual([9, 10, 11, 12]);
    expect(addressesBySlot(both, { firstSlot: 0, log2Slots: 9 })).toEqual(
      wantedBySlot(rows(8), 512),
    );
    expect(addressesBySlot(both, { firstSlot: 512, log2Slots: 8 })).toEqual(
      wantedBySlot(rows(4), 256),
    );
  });

  test('a fill of one leaves the slots, entries and ways of the other alone', () => {
    const { writes } = planFor(both, rows(6, 3), { vip: ['192.0.2.20:53/udp'] });
    const after = checkEveryPrefix(
      both,
      writes,
      { id: 2, firstSlot: 512, log2Slots: 8 },
      { old: rows(4), wanted: rows(6, 3) },
    );
    expect(slotsOf(after, WHOLE)).toEqual(slotsOf(both, WHOLE));
    expect(idsOf(after, 1)).toEqual(idsOf(both, 1));
    expect(flagsOf(after, '192.0.2.10:80/tcp')).toEqual([1]);
  });

  test('a service without an id left for it fails, before the first write', () => {
    const sizes = { slots: 1024, destinations: 8, cells: 64 };
    const one = filled(untouched(sizes), rows(7), WEB);
    const full = filled(one, rows(1, 3), DNS);
    const attempt = (): unknown =>
      planFor(full, rows(1, 4), { vip: ['192.0.2.20:53/udp'] });
    expect(attempt).toThrow(Failure);
    expect(attempt).toThrow('there is no id for a new destination');
  });
});

describe('plan of a full table', () => {
  test('more destinations than fit are cut, and the plan has both numbers', () => {
    const made = planFor(untouched(), rows(600));
    expect(made).toMatchObject({ used: 512, wanted: 600 });
    expect(made.added).toHaveLength(512);
    const state = applyWrites(untouched(), made.writes);
    expect(new Set(addressesBySlot(state, WHOLE)).size).toBe(512);
  });

  test('no more destinations are used than the service has slots', () => {
    expect(planFor(untouched(), rows(20), { slots: 8 })).toMatchObject({
      used: 8,
      wanted: 20,
      slots: 8,
    });
  });

  test('512 of 512 are replaced by 512 others in several steps, each of them sound', () => {
    const before = counting(filled(untouched(), rows(512)), 7n);
    const others = rows(512, 100);
    const made = planFor(before, others);
    expect(made).toMatchObject({ used: 512, wanted: 512 });
    const after = checkEveryPrefix(
      before,
      made.writes,
      { id: 1, ...WHOLE },
      { old: rows(512), wanted: others },
    );
    expect(addressesBySlot(after, WHOLE)).toEqual(wantedBySlot(others, 512));
    expect(idsOf(after).size).toBe(512);
    expect(totalPackets(after)).toBe(512n * 7n);
    const generations = generationsOf(made.writes);
    expect(generations.length).toBeGreaterThan(3);
    const inOrder = new Set([...generations].sort((a, b) => a - b));
    expect(generations).toEqual([...inOrder]);
    expect(after.device.generation).toBe(generations.at(-1));
  });

  test('the generation goes up with each step that writes, and each ends with its frees', () => {
    const before = filled(untouched(), rows(512));
    const generations = generationsOf(planFor(before, rows(512, 100)).writes);
    expect(generations).toEqual(generations.map((_, step) => 2 * (step + 2)));
  });
});

describe('plan, killed after any of its writes', () => {
  const SIZES = { slots: 128, destinations: 24, cells: 64 };
  const FIRST: { id: number; fill: Fill; log2Slots: number; firstSlot: number } = {
    id: 1,
    fill: { slots: 64 },
    log2Slots: 6,
    firstSlot: 0,
  };
  const SECOND = { ...FIRST, id: 2, fill: { slots: 32 }, log2Slots: 5, firstSlot: 64 };
  const VIPS = [
    ['192.0.2.10', '192.0.2.11:80/tcp', '192.0.2.12:443/tcp', '192.0.2.13/udp'],
    ['192.0.2.20', '192.0.2.21:80/tcp', '192.0.2.22:53'],
  ];

  /** A number of rows at random, with weights and MACs that change now and then. */
  function randomFile(random: () => number, network: number): WantedDestination[] {
    const most = random() < 0.3 ? 14 : 6;
    const chance = random();
    const file = rows(most, network)
      .filter(() => random() < chance)
      .map((one) => ({
        ...one,
        weight: 1 + Math.floor(random() * 3),
        mac: random() < 0.2 ? mac('02:00:00:00:00:99') : one.mac,
      }));
    return file.length > 0 ? file : rows(1, network);
  }

  /** The first way is always among them, so that it is the same service. */
  function randomWays(random: () => number, all: readonly string[]): string[] {
    return all.filter((_, index) => index === 0 || random() < 0.5);
  }

  test.each(Array.from({ length: 12 }, (_, index) => ({ seed: index + 1 })))(
    'leaves a sound table and can just be run again: 12 fills at random, from seed $seed',
    ({ seed }) => {
      const random = randomNumbers(seed);
      let live = untouched(SIZES);
      const files: WantedDestination[][] = [[], []];
      let planned = 0;
      for (let round = 0; round < 12; round++) {
        const which = random() < 0.7 ? 0 : 1;
        const { id, fill, log2Slots, firstSlot } = which === 0 ? FIRST : SECOND;
        if (which === 1 && !servicesIn(live.cells).has(1)) continue;
        const old = files[which] ?? [];
        const wanted = randomFile(random, which === 0 ? 1 + Math.floor(random() * 3) : 1);
        const asked: Fill = {
          ...fill,
          vip: randomWays(random, VIPS[which] ?? []),
          takeSsh: random() < 0.5,
          mtu: random() < 0.2 ? 9000 : 1500,
        };
        const before = counting(live, BigInt(1 + Math.floor(random() * 1000)));
        let made;
        try {
          made = planFor(before, wanted, asked);
        } catch (error) {
          // The other service has the ids; nothing was written.
          if (error instanceof Failure) continue;
          throw error;
        }
        expect(made.service).toMatchObject({ id, log2Slots, firstSlot });
        const used = wanted.slice(0, made.used);
        const service = { id, log2Slots, firstSlot };
        const after = checkEveryPrefix(before, made.writes, service, {
          old,
          wanted: used,
        });

        expect(addressesBySlot(after, service)).toEqual(
          wantedBySlot(used, 1 << log2Slots),
        );
        expect(totalPackets(after)).toBe(totalPackets(before));
        const { generation } = after.device;
        expect(generation % 2).toBe(0);
        expect(generation).toBe(
          generationsOf(made.writes).at(-1) ?? before.device.generation,
        );
        expect(planFor(after, used, asked).writes).toEqual([]);

        // Killed somewhere, and run again. What it leaves may use other ids.
        const singly = oneByOne(made.writes);
        const cut = Math.floor(random() * singly.length);
        const left = applyWrites(before, singly.slice(0, cut));
        const again = planFor(left, used, asked);
        const fixed = checkEveryPrefix(left, again.writes, service, {
          old,
          wanted: used,
        });
        expect(addressesBySlot(fixed, service)).toEqual(addressesBySlot(after, service));
        expect(new Set([...fixed.cells.values()].map(wayKey))).toEqual(
          new Set([...after.cells.values()].map(wayKey)),
        );
        for (const way of made.service.ways) {
          expect(lookUp(fixed, way)?.flags).toBe(lookUp(after, way)?.flags);
        }
        live = after;
        files[which] = used;
        planned++;
      }
      expect(planned).toBeGreaterThan(5);
    },
  );

  test('a new seed for the cells is told only when all ways lie under it', () => {
    const sizes = { slots: 64, destinations: 8, cells: 16 };
    const VIP = Array.from({ length: 8 }, (_, i) => `192.0.2.${i + 1}/tcp`);
    let live = filled(untouched(sizes), rows(2), { vip: VIP.slice(0, 1) });
    let seeds = 0;
    for (let many = 2; many <= VIP.length; many++) {
      const { writes, service } = planFor(live, rows(2), { vip: VIP.slice(0, many) });
      const after = checkEveryPrefix(live, writes, service, {
        old: rows(2),
        wanted: rows(2),
      });
      if (after.device.cellSeed !== live.device.cellSeed) seeds++;
      live = after;
      for (const way of ways(...VIP.slice(0, many))) {
        expect(lookUp(live, way)?.flags).toBe(1 | CELL_KEEPS_SSH);
      }
    }
    expect(seeds).toBeGreaterThan(0);
    expect(live.cells.size).toBe(VIP.length);
  });
});

describe('plan of slots that remember', () => {
  const NOW = 1000;
  const before = filled(untouched(), rows(4), { now: NOW - 500 });
  const idOf = (state: State, { address }: WantedDestination): number | undefined =>
    [...state.destinations].find(
      ([, entry]) => entry.service !== 0 && entry.address.equals(address),
    )?.[0];

  test('a first fill makes no slot hot', () => {
    expect([...before.slots.values()].filter(isHot)).toEqual([]);
  });

  test('a slot that goes to another destination remembers the one that still stands', () => {
    const after = filled(before, rows(5), { now: NOW });
    const moved = [...after.slots].filter(
      ([key, slot]) => slot.current !== before.slots.get(key)?.current,
    );
    expect(moved.length).toBeGreaterThan(0);
    for (const [key, slot] of moved) {
      expect(slot).toMatchObject({
        previous: before.slots.get(key)?.current,
        since: NOW,
      });
    }
  });

  test('a slot of a destination that is removed forgets it at once', () => {
    const [first, ...others] = rows(4) as [WantedDestination, ...WantedDestination[]];
    const gone = idOf(before, first);
    const after = filled(before, others, { now: NOW });
    for (const [key, slot] of after.slots) {
      if (before.slots.get(key)?.current === gone) expect(isHot(slot)).toBe(false);
    }
  });

  test('a drained destination keeps its connections: its slots remember it', () => {
    const [first, ...others] = rows(4) as [WantedDestination, ...WantedDestination[]];
    const drained = idOf(before, first);
    const after = filled(before, [{ ...first, weight: 0 }, ...others], { now: NOW });
    const slots = [...after.slots.values()];
    expect(slots.filter(({ current }) => current === drained)).toEqual([]);
    expect(slots.filter(({ previous }) => previous === drained).length).toBe(
      [...before.slots.values()].filter(({ current }) => current === drained).length,
    );
  });

  test('slots that moved long before note when the one that they remember is drained', () => {
    const moved = filled(before, rows(5), { now: NOW });
    const drained = [
      ...rows(4).map((row) => ({ ...row, weight: 0 })),
      ...rows(5).slice(4),
    ];
    const after = filled(moved, drained, { now: NOW + 600 });
    const hot = [...moved.slots].filter(([, slot]) => isHot(slot));
    expect(hot.length).toBeGreaterThan(0);
    for (const [key, slot] of hot) {
      expect(after.slots.get(key)).toEqual({ ...slot, current: 5, drained: 11 });
    }
    const again = planFor(after, drained, { now: NOW + 900 });
    expect(again.writes).toEqual([]);
  });

  test('a hot slot that moves once more is noted as kept before it does', () => {
    const moved = filled(before, rows(5), { now: NOW });
    const hot = [...moved.slots].flatMap(([key, slot]) => (isHot(slot) ? [key] : []));
    const { writes } = planFor(moved, rows(4), { now: NOW + 600 });
    const kept = writes.filter(({ map }) => map === 'kept');
    expect(kept).toEqual(hot.map((key) => ({ map: 'kept', key, value: NOW + 600 })));
    const places = [...writes.keys()];
    const isAt = (place: number, map: string): boolean => writes[place]?.map === map;
    expect(places.findLast((place) => isAt(place, 'kept'))).toBeLessThan(
      places.find((place) => isAt(place, 'slots')) ?? 0,
    );
  });

  test('a build without memory has only cold slots', () => {
    const after = filled(filled(untouched(), rows(4)), rows(5));
    expect([...after.slots.values()].filter(isHot)).toEqual([]);
  });
});

describe('plan of services with very many slots', () => {
  const blue = rows(2);
  const green = [...blue.map((one) => ({ ...one, weight: 0 })), ...rows(2, 2)];

  // More than fit the stack as arguments.
  test('all of 131072 slots move, and back again', () => {
    const slots = 131_072;
    const sizes = { slots: 1 << 20, destinations: 4096, cells: 1024, sets: 1 };
    const fill = { slots, now: 1000 };
    const before = filled(untouched(sizes), blue, fill);
    const moved = filled(before, green, { now: 2000 });
    const back = planFor(moved, blue, { now: 3000 });
    expect(back).toMatchObject({ slots, slotsMoved: slots });
    const { slots: all } = applyWrites(moved, back.writes);
    expect([...all.values()].filter(isHot).length).toBe(slots);
  });

  test('a million slots are filled', () => {
    const sizes = { slots: 1 << 20, destinations: 4096, cells: 1024 };
    const made = planFor(untouched(sizes), blue, { slots: 1 << 20, now: 1000 });
    expect(made.slotsMoved).toBe(1 << 20);
  });
});
