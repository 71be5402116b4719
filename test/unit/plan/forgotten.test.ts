// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Destinations that no packet may go to any more, and their way back. */
import { describe, expect, test } from '@jest/globals';

import type { Remember, TableKind } from '../../../src/abi/cell.js';
import { NOBODY } from '../../../src/abi/slot.js';
import type { Slot } from '../../../src/abi/slot.js';
import { configPlanJson, describeConfigPlan } from '../../../src/fill/text/config.js';
import { planConfig } from '../../../src/plan/all.js';
import { carryTables } from '../../../src/plan/carry-tables.js';
import { exportConfig } from '../../../src/plan/export.js';
import { isHot } from '../../../src/plan/hot-slots.js';
import { chainOf } from '../../../src/plan/names.js';
import { layOut } from '../../../src/plan/match-services.js';
import { planRefresh } from '../../../src/plan/refresh.js';
import type { State, Write } from '../../../src/plan/state.js';
import { applyWrites } from '../../../src/plan/state.js';
import type { WantedDestination } from '../../../src/plan/steps.js';
import { joinNames, parseNames } from '../../../src/wire/names.js';
import { BALANCER_MAC, mac } from '../wire/names.js';
import { applyConfig, servicesOf } from './configs.js';
import type { Fill } from './states.js';
import { filled, idsOf, planFor, row, untouched } from './states.js';

const NAMES = joinNames([parseNames('10.7.0.0/16')]);
const VIP = ['192.0.2.10:80/tcp'];
const ALL = ['10.0.1.1', '10.0.1.2', '10.0.1.3', '10.0.1.4', '10.0.1.5'];
const forgotten = (address: string): WantedDestination => ({
  ...row(address, 0),
  isForgotten: true,
});
const drained = (address: string): WantedDestination => row(address, 0);
/** All destinations, of which some are another kind of row. */
const rowsBut = (
  those: readonly string[],
  kind: (address: string) => WantedDestination,
): WantedDestination[] =>
  ALL.map((address) => (those.includes(address) ? kind(address) : row(address)));
const idsFor = (state: State, those: readonly string[]): number[] => {
  const ids = idsOf(state);
  return those.map((address) => ids.get(address) ?? 0);
};
/** Where packets of a slot may go, as far as the slot says. */
const knownTo = (slot: Slot): number[] => [slot.current, ...chainOf(slot)];

/** Each slot leads to a whole entry at every moment, and to none that is forgotten. */
function expectValid(state: State, writes: readonly Write[]): void {
  let now = state;
  const wrong = writes.flatMap((write) => {
    now = applyWrites(now, [write]);
    const bad = [...now.slots.values()].find(({ current }) => {
      const entry = now.destinations.get(current);
      return entry?.service !== 1 || entry.isForgotten;
    });
    return bad ? [{ write, bad }] : [];
  });
  expect(wrong).toEqual([]);
}

const CASES = (['balancer', 'destinations', 'nobody'] as const).flatMap((remember) =>
  (['consistent', 'minimal'] as const).map((table) => ({ remember, table })),
);

describe.each<{ remember: Remember | 'nobody'; table: TableKind }>(CASES)(
  'where $remember remembers, in a $table table, a destination that is forgotten',
  ({ remember, table }) => {
    const at = (now: number): Fill => ({
      ...{ slots: 32, vip: VIP, table },
      ...(remember !== 'nobody' && { now, remember }),
      ...(remember === 'destinations' && { names: NAMES }),
    });
    const cold = filled(untouched(), rowsBut([], drained), at(100));
    // Slots have moved twice, so that some know two destinations besides their own.
    const moved = [['10.0.1.4'], ['10.0.1.5', '10.0.1.4'], ['10.0.1.2'], []].reduce(
      (state, those, index) => filled(state, rowsBut(those, drained), at(200 + index)),
      cold,
    );

    describe.each([
      { those: ['10.0.1.1'] },
      { those: ['10.0.1.4', '10.0.1.2'] },
      { those: ['10.0.1.2', '10.0.1.3', '10.0.1.5'] },
    ])('$those', ({ those }) => {
      const starts = {
        'while all slots are cold': cold,
        'while slots are hot': moved,
        'after it drained': filled(moved, rowsBut(those, drained), at(300)),
      };
      test.each(Object.entries(starts))('%s', (_, start) => {
        const ids = idsFor(start, those);
        const counters = new Map(ids.map((id) => [id, { packets: 5n, bytes: 9n }]));
        const live = { ...start, counters };
        const made = planFor(live, rowsBut(those, forgotten), at(400));
        const after = applyWrites(live, made.writes);
        for (const slot of after.slots.values()) {
          expect(knownTo(slot).filter((id) => ids.includes(id))).toEqual([]);
        }
        expectValid(live, made.writes);
        expect([made.forgotten, made.drained, made.changed]).toEqual([
          [...those].sort(),
          [],
          [],
        ]);
        expect(made.forgets).toEqual([]);
        expect([idsOf(after), after.counters]).toEqual([idsOf(live), counters]);
        for (const id of ids) {
          expect(after.destinations.get(id)).toMatchObject({
            ...{ weight: 0, isForgotten: true, service: 1 },
          });
        }
        expect(planFor(after, rowsBut(those, forgotten), at(500)).writes).toEqual([]);
      });
    });

    test('leaves the memory of the others', () => {
      const [dead] = idsFor(moved, ['10.0.1.3']);
      const after = filled(moved, rowsBut(['10.0.1.3'], forgotten), at(400));
      for (const [key, slot] of moved.slots) {
        const is = after.slots.get(key);
        if (!is || slot.current !== is.current) continue;
        const rest = chainOf(slot).filter((id) => id !== dead);
        // A slot that would name only its own destination names nobody.
        const isOwn = remember === 'destinations' && rest[0] === is.current;
        expect(chainOf(is)).toEqual(isOwn ? [] : rest);
        if (rest.length === chainOf(slot).length) expect(is).toEqual(slot);
        // Connections that began meanwhile are on record.
        if (remember === 'balancer') expect(isHot(is)).toBe(isHot(slot));
      }
    });

    test('comes back like one that is added', () => {
      const those = ['10.0.1.2', '10.0.1.4'];
      const gone = filled(moved, rowsBut(those, forgotten), at(400));
      const file = rowsBut(['10.0.1.4'], forgotten);
      const made = planFor(gone, file, at(500));
      const back = applyWrites(gone, made.writes);
      const [id = 0, other = 0] = idsFor(gone, those);
      expectValid(gone, made.writes);
      expect(made).toMatchObject({ restored: ['10.0.1.2'], changed: [], forgotten: [] });
      expect(back.destinations.get(id)).toMatchObject({ weight: 1, isForgotten: false });
      const got = [...back.slots].filter(([, { current }]) => current === id);
      expect(got.length).toBeGreaterThan(0);
      for (const [key, slot] of got) {
        const was = gone.slots.get(key);
        if (remember === 'nobody') expect(isHot(slot)).toBe(false);
        else if (was && !isHot(was)) expect(slot.previous).toBe(was.current);
        else expect(slot.previous).not.toBe(NOBODY);
      }
      for (const slot of back.slots.values()) {
        expect(knownTo(slot)).not.toContain(other);
      }
      expect(planFor(back, file, at(600)).writes).toEqual([]);
    });
  },
);

describe('a destination that is forgotten', () => {
  const fill: Fill = { slots: 16, vip: VIP, now: 100 };
  const live = filled(untouched(), rowsBut([], drained), fill);
  const file = rowsBut(['10.0.1.3'], forgotten);
  const after = filled(live, file, fill);
  const [id = 0] = idsFor(live, ['10.0.1.3']);

  test('may be new, and then has nothing to be remembered by', () => {
    const made = planFor(untouched(), file, fill);
    expect(made).toMatchObject({ forgotten: [], added: ALL, used: 5 });
    const first = applyWrites(untouched(), made.writes);
    expect(first.destinations.get(id)).toMatchObject({ weight: 0, isForgotten: true });
    expect(planFor(first, file, fill).writes).toEqual([]);
  });

  test('may drain instead, which changes no slot', () => {
    const made = planFor(after, rowsBut(['10.0.1.3'], drained), fill);
    expect(made).toMatchObject({ changed: ['10.0.1.3'], forgotten: [], slotsMoved: 0 });
    expect(made.writes.map(({ map }) => map)).toEqual(['destinations', 'device']);
  });

  test('has no weight', () => {
    const wrong = { ...row('10.0.1.3'), isForgotten: true };
    expect(() => planFor(live, [wrong], fill)).toThrow('10.0.1.3 is forgotten, but');
  });

  test('is exported with weight 0', () => {
    expect(exportConfig(after)).toMatch(/"10\.0\.1\.3", mac = \S+, weight = 0 }/);
  });

  test('stays so when MAC addresses are looked up anew', () => {
    const device = { name: 'eth0', mac: BALANCER_MAC, mtu: 1500 };
    const way = { mac: mac('02:00:00:00:00:77'), exit: undefined };
    const seen = { device, ways: new Map([[id, way]]), exitNow: () => undefined };
    const { writes } = planRefresh(after, seen);
    expect(writes).toMatchObject([
      { map: 'destinations', key: id, value: { mac: way.mac, isForgotten: true } },
      { map: 'device' },
    ]);
  });

  test('stays so in a program of another build', () => {
    const { sizes } = untouched();
    const { writes } = carryTables(after, sizes, { mac: BALANCER_MAC, mtu: 1500 });
    const carried = applyWrites(untouched(), writes);
    expect(carried.destinations.get(id)).toMatchObject({ weight: 0, isForgotten: true });
  });

  test('stays so in the steps of a fill that is short of ids', () => {
    const sizes = { slots: 64, destinations: 5, cells: 16, sets: 1 };
    const full = filled(untouched(sizes), file, fill);
    const others = ['10.0.2.1', '10.0.2.2', '10.0.2.3', '10.0.2.4', '10.0.2.5'];
    const { writes } = planFor(
      full,
      others.map((address) => row(address)),
      fill,
    );
    expectValid(full, writes);
    const entries = writes.flatMap((write) =>
      write.map === 'destinations' && write.key === id ? [write.value] : [],
    );
    for (const entry of entries.filter(({ service }) => service !== 0)) {
      const isOld = entry.address.equals(row('10.0.1.3').address);
      expect(entry.isForgotten).toBe(isOld);
    }
  });

  test('is so in each of the services that say so, as the text tells', () => {
    const text = (name: string, port: number): string => `[[service]]
name = "${name}"
ways = ["192.0.2.10:${port}/tcp"]
slots = 16
destinations = ["10.0.1.1", "10.0.1.2", "10.0.1.3"]
`;
    const config = ['web', 'mail', 'other']
      .map((name, at) => text(name, at + 1))
      .join('\n');
    const start = applyConfig(untouched(), config, 100);
    const services = servicesOf(config).map((service) => ({
      ...service,
      destinations: service.destinations.map((one) => {
        const isDead = service.name !== 'other' && one.address.at(-1) === 3;
        return isDead ? { ...one, weight: 0, isForgotten: true } : one;
      }),
    }));
    const device = { mac: BALANCER_MAC, mtu: 1500, sessionPort: 0 };
    const made = planConfig(start, layOut(start, services), { ...device, now: 200 });
    const where = { interface: 'eth0', mode: 'Driver' } as const;
    expect(describeConfigPlan(made, where, true).at(-1)).toMatch(
      /^ {2}would be: 0 added, 0 removed, 0 drained, 2 forgotten, 0 changed, /,
    );
    expect(configPlanJson(made)).toMatchObject({ totals: { forgotten: 2, drained: 0 } });
    const states = [...made.after.destinations.values()].filter(({ address }) =>
      address.equals(row('10.0.1.3').address),
    );
    expect(states.map(({ isForgotten }) => isForgotten)).toEqual([true, true, false]);
  });
});
