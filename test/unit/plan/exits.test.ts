// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Destinations that packets leave for by another device than the one they came in on. */
import { describe, expect, test } from '@jest/globals';

import { EXITS } from '../../../src/abi/exit.js';
import { exportConfig } from '../../../src/plan/export.js';
import type { State } from '../../../src/plan/state.js';
import { applyWrites } from '../../../src/plan/state.js';
import type { WantedDestination, WantedExit } from '../../../src/plan/steps.js';
import { formatAddress } from '../../../src/wire/address.js';
import { mac } from '../wire/names.js';
import { filled, planFor, row, rows, untouched } from './states.js';

const SLOTS = { slots: 16 };

function exit(ifindex: number, more: Partial<WantedExit> = {}): WantedExit {
  const own = mac(`02:00:00:00:00:${ifindex.toString(16).padStart(2, '0')}`);
  return { name: `eth${ifindex}`, mac: own, vlan: 0, mtu: 1500, ifindex, ...more };
}

/** A program that can send by another device. */
function host(): State {
  const bare = untouched();
  return { ...bare, sizes: { ...bare.sizes, canLeave: true }, exits: new Map() };
}

function by(one: WantedDestination, way: WantedExit | undefined): WantedDestination {
  return { ...one, exit: way };
}

/** The number of the device that packets for an address leave by. */
function deviceOf(state: State, address: string): number | undefined {
  const entry = [...state.destinations.values()].find(
    (one) => one.service !== 0 && formatAddress(one.address) === address,
  );
  return state.exits?.get(entry?.exit ?? 0)?.ifindex;
}

const [first, second, third] = rows(3) as [
  WantedDestination,
  WantedDestination,
  WantedDestination,
];

describe('exits', () => {
  test('are numbered once each, and written before the entries that have them', () => {
    const all = [by(first, exit(7)), by(second, exit(7)), by(third, exit(9))];
    const plan = planFor(host(), all, SLOTS);
    expect([...(plan.after.exits ?? [])].map(([number]) => number)).toEqual([1, 2]);
    expect(
      ['10.0.1.0', '10.0.1.1', '10.0.1.2'].map((one) => deviceOf(plan.after, one)),
    ).toEqual([7, 7, 9]);
    const order = plan.writes.map(({ map }) => map);
    expect(order.lastIndexOf('exits')).toBeLessThan(order.indexOf('destinations'));
    expect(plan.exits).toEqual([
      { device: 'eth7', destinations: ['10.0.1.0', '10.0.1.1'] },
      { device: 'eth9', destinations: ['10.0.1.2'] },
    ]);
  });

  test('stay as they are if nothing changes', () => {
    const all = [by(first, exit(7)), second];
    const live = filled(host(), all, SLOTS);
    expect(planFor(live, all).writes).toEqual([]);
  });

  test('a VLAN of the same device is another one', () => {
    const all = [by(first, exit(7)), by(second, exit(7, { vlan: 20 }))];
    const { after } = planFor(host(), all, SLOTS);
    expect([...(after.exits?.values() ?? [])].map(({ vlan }) => vlan)).toEqual([0, 20]);
  });

  test('the MTU is that of the device that packets leave by', () => {
    const all = [by(first, exit(7, { mtu: 1400 })), second];
    const { after, room } = planFor(host(), all, SLOTS);
    const lengths = [...after.destinations.values()].map((one) => one.largestPacket);
    expect(lengths.filter((one) => one > 0)).toEqual([1380, 1480]);
    expect(room).toBe(1380);
  });

  test('another MAC of the device changes the exit, and no entry', () => {
    const live = filled(host(), [by(first, exit(7))], SLOTS);
    const other = exit(7, { mac: mac('02:00:00:00:00:99') });
    const { writes } = planFor(live, [by(first, other)]);
    expect(writes.map(({ map }) => map)).toEqual(['exits', 'device']);
  });

  test('a number is given anew only when no entry has it any more', () => {
    let live = filled(host(), [by(first, exit(7)), by(second, exit(8))], SLOTS);
    // Both move to another device: the entries still have the old numbers meanwhile.
    const plan = planFor(live, [by(first, exit(9)), by(second, exit(9))]);
    expect(plan.changed).toEqual(['10.0.1.0', '10.0.1.1']);
    for (const write of plan.writes) {
      live = applyWrites(live, [write]);
      expect([7, 9]).toContain(deviceOf(live, '10.0.1.0'));
      expect([8, 9]).toContain(deviceOf(live, '10.0.1.1'));
    }
    expect(deviceOf(live, '10.0.1.0')).toBe(9);
    const { after } = planFor(live, [by(first, exit(10)), by(second, exit(9))]);
    expect([...(after.exits?.keys() ?? [])]).toEqual([1, 2, 3]);
    expect(after.exits?.get(1)?.ifindex).toBe(10);
  });

  test('one that no entry has any more keeps its number from others when it comes back', () => {
    const both = filled(host(), [by(first, exit(7)), by(second, exit(8))], SLOTS);
    const without = filled(both, [first, second]);
    expect([...(without.exits?.keys() ?? [])]).toEqual([1, 2]);
    const { after } = planFor(without, [by(first, exit(9)), by(second, exit(7))]);
    expect(deviceOf(after, '10.0.1.0')).toBe(9);
    expect(deviceOf(after, '10.0.1.1')).toBe(7);
  });

  test('a destination goes back to the device that packets come in on', () => {
    const live = filled(host(), [by(first, exit(7))], SLOTS);
    const { after, changed, exits } = planFor(live, [first]);
    expect(changed).toEqual(['10.0.1.0']);
    expect(deviceOf(after, '10.0.1.0')).toBeUndefined();
    expect(exits).toEqual([]);
  });

  test('that the program has lost are written again, with the number that they had', () => {
    const all = [by(first, exit(7)), by(second, exit(9))];
    const { after } = planFor(host(), all, SLOTS);
    const lost = { ...after, lostExits: new Set([2]) };
    const { writes } = planFor(lost, all, SLOTS);
    expect(writes.filter(({ map }) => map === 'exits')).toMatchObject([
      { key: 2, value: { ifindex: 9 } },
    ]);
  });

  test('a program that cannot send by another device is told so', () => {
    expect(() => planFor(untouched(), [by(first, exit(7))], SLOTS)).toThrow(
      '10.0.1.0 is reached over another device, and this program cannot send there',
    );
  });

  test(`there are at most ${EXITS}`, () => {
    const all = Array.from({ length: EXITS + 1 }, (_, index) =>
      by(row(`10.0.2.${index}`), exit(index + 2)),
    );
    expect(planFor(host(), all.slice(0, EXITS), { slots: 128 }).exits).toHaveLength(
      EXITS,
    );
    expect(() => planFor(host(), all, { slots: 128 })).toThrow(
      `there are more than ${EXITS} devices that packets leave by`,
    );
  });
});

describe('an export', () => {
  const live = filled(host(), [by(first, exit(7)), second], SLOTS);

  test('names the device', () => {
    const text = exportConfig(live, ({ ifindex }) => `eth${ifindex}`);
    expect(text).toContain(
      '{ address = "10.0.1.0", mac = "02:00:0a:00:01:00", device = "eth7" }',
    );
    expect(text).toContain('{ address = "10.0.1.1", mac = "02:00:0a:00:01:01" }');
  });

  test('of one whose device is gone leaves the way there to be found', () => {
    expect(exportConfig(live)).toContain('{ address = "10.0.1.0" }');
  });
});
