// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What is written when the network changes: entries, exits and the device, and no slots. */
import { describe, expect, test } from '@jest/globals';

import { decodeAnswerKey } from '../../../src/abi/answer.js';
import { planRefresh } from '../../../src/plan/refresh.js';
import type { Seen, Way } from '../../../src/plan/refresh.js';
import type { State } from '../../../src/plan/state.js';
import { applyWrites } from '../../../src/plan/state.js';
import type { WantedExit } from '../../../src/plan/steps.js';
import { BALANCER_MAC, mac } from '../wire/names.js';
import { filled, row, untouched } from './states.js';

const ETH1: WantedExit = {
  ...{ name: 'eth1', mac: mac('02:00:00:00:01:01'), vlan: 0, mtu: 1500, ifindex: 7 },
};
const ETH2: WantedExit = {
  ...ETH1,
  name: 'eth2',
  mac: mac('02:00:00:00:01:02'),
  ifindex: 8,
};
const OLD = mac('02:00:0a:00:01:01');
const NEW = mac('02:00:0a:00:01:99');

/** 10.0.1.1 was found by its route, over eth1; 10.0.1.2 is as its row says. */
function live(): State {
  const bare = untouched();
  const host = { ...bare, sizes: { ...bare.sizes, canLeave: true }, exits: new Map() };
  const found = { ...row('10.0.1.1'), mac: OLD, exit: ETH1, isFound: true };
  return filled(host, [found, { ...row('10.0.1.2'), exit: ETH2 }], {
    slots: 16,
    now: 10,
  });
}

function seen(way: Way | undefined, more: Partial<Seen> = {}): Seen {
  return {
    device: { name: 'eth0', mac: BALANCER_MAC, mtu: 1500 },
    ways: new Map(way ? [[1, way]] : []),
    exitNow: ({ ifindex }) => [ETH1, ETH2].find((one) => one.ifindex === ifindex),
    ...more,
  };
}

const AS_BEFORE = { mac: OLD, exit: ETH1 };

describe('a refresh', () => {
  test('of what is right writes nothing', () => {
    expect(planRefresh(live(), seen(AS_BEFORE))).toEqual({ writes: [], changes: [] });
  });

  test('of tables that nobody has filled writes nothing', () => {
    const device = { name: 'eth0', mac: NEW, mtu: 1300 };
    expect(planRefresh(untouched(), seen(undefined, { device }))).toEqual({
      ...{ writes: [], changes: [] },
    });
  });

  test('without an answer from a host leaves its entry as it is', () => {
    expect(planRefresh(live(), seen(undefined))).toEqual({ writes: [], changes: [] });
  });

  test('of another MAC writes that entry alone', () => {
    const { writes, changes } = planRefresh(live(), seen({ mac: NEW, exit: ETH1 }));
    expect(writes).toMatchObject([
      { map: 'destinations', key: 1 },
      { map: 'device', key: 0 },
    ]);
    expect(applyWrites(live(), writes).destinations.get(1)).toMatchObject({ mac: NEW });
    expect(changes).toEqual(['10.0.1.1: MAC 02:00:0a:00:01:99, was 02:00:0a:00:01:01']);
  });

  test('of another MAC tells by it whose answers come by the link', () => {
    const bare = untouched();
    const host = { ...bare, sizes: { ...bare.sizes, canRewrite: true } };
    const vip = ['192.0.2.10:80/tcp'];
    const fill = { slots: 16, forward: 'link', vip, now: 10 } as const;
    const state = filled({ ...host, answers: new Map() }, [row('10.0.1.1')], fill);
    const { writes } = planRefresh(state, seen({ mac: NEW, exit: undefined }));
    const maps = writes.map(({ map }) => map);
    expect(maps).toEqual(['answers', 'destinations', 'answers', 'device']);
    const senders = [...(applyWrites(state, writes).answers ?? [])].flatMap(([hex]) => {
      const key = decodeAnswerKey(Buffer.from(hex, 'hex'));
      return 'mac' in key ? [key] : [];
    });
    expect(senders).toEqual([{ mac: NEW, service: 1 }]);
  });

  test('of another route moves the exit, and back', () => {
    const there = planRefresh(live(), seen({ mac: OLD, exit: ETH2 }));
    expect(there.changes).toEqual(['10.0.1.1: leaves by eth2']);
    const state = applyWrites(live(), there.writes);
    expect(state.destinations.get(1)?.exit).toBe(state.destinations.get(2)?.exit);
    const home = planRefresh(state, seen({ mac: OLD, exit: undefined }));
    expect(home.changes).toEqual(['10.0.1.1: leaves by eth0']);
    expect(applyWrites(state, home.writes).destinations.get(1)?.exit).toBe(0);
  });

  test('of an exit that has another MTU and MAC changes all that leave by it', () => {
    const other = { ...ETH2, mtu: 1400, mac: NEW };
    const exitNow: Seen['exitNow'] = ({ ifindex }) => (ifindex === 8 ? other : ETH1);
    const { writes, changes } = planRefresh(live(), seen(AS_BEFORE, { exitNow }));
    const after = applyWrites(live(), writes);
    expect([...(after.exits?.values() ?? [])]).toContainEqual(other);
    expect(after.destinations.get(2)?.largestPacket).toBe(1380);
    expect(after.destinations.get(1)?.largestPacket).toBe(1480);
    expect(changes).toEqual([
      'eth2: MAC 02:00:0a:00:01:99, was 02:00:00:00:01:02',
      'eth2: MTU 1400, was 1500',
    ]);
  });

  test('of the device itself changes what comes in there', () => {
    const device = { name: 'eth0', mac: NEW, mtu: 1300 };
    const { writes, changes } = planRefresh(live(), seen(AS_BEFORE, { device }));
    expect(writes.map(({ map }) => map)).toEqual(['device']);
    const after = applyWrites(live(), writes);
    expect(after.device).toMatchObject({ mac: NEW, mtu: 1300 });
    expect(after.device.generation).toBe(live().device.generation + 2);
    expect(changes).toHaveLength(2);
  });

  test('of an exit that is gone leaves it as it is', () => {
    const gone: Seen['exitNow'] = () => undefined;
    // Or the kernel would refuse the device, and the other entries would not be kept.
    const lost = { ...live(), lostExits: new Set([1, 2]) };
    expect(planRefresh(lost, seen(undefined, { exitNow: gone })).writes).toEqual([]);
  });
});
