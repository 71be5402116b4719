// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Services whose packets are rewritten: their answers, and what cannot be. */
import { describe, expect, test } from '@jest/globals';

import { decodeAnswerKey } from '../../../src/abi/answer.js';
import { DEVICE_ANSWERS, DEVICE_XDP_ANSWERS } from '../../../src/abi/device.js';
import { carryTables } from '../../../src/plan/carry-tables.js';
import { planRemoval } from '../../../src/plan/remove.js';
import { servicesIn } from '../../../src/plan/services.js';
import { reachable } from '../../../src/plan/cells.js';
import { exportConfig } from '../../../src/plan/export.js';
import type { State } from '../../../src/plan/state.js';
import { applyWrites } from '../../../src/plan/state.js';
import type { WantedDestination } from '../../../src/plan/steps.js';
import { formatMac } from '../../../src/wire/address.js';
import { formatEndpoint, parseEndpoint } from '../../../src/wire/endpoint.js';
import { protocolName } from '../../../src/wire/protocols.js';
import type { Fill } from './states.js';
import { filled, planFor, row, untouched } from './states.js';
import { applyConfig } from './configs.js';

const SIZES = { slots: 64, destinations: 8, cells: 16 };
const NOTHING: State = {
  ...untouched({ ...SIZES, canRewrite: true }),
  answers: new Map(),
};

const NAT: Fill = { slots: 16, forward: 'nat', vip: ['192.0.2.10:80/tcp'], sources: {} };

function at(...names: string[]): WantedDestination[] {
  return names.map((name) => {
    const { address, port } = parseEndpoint(name);
    return { ...row('10.0.1.1'), address, port };
  });
}

/** Each as `FROM/PROTOCOL -> TO`. */
function answersOf({ answers = new Map() }: State): string[] {
  return [...answers]
    .map(([hex, from]) => {
      const key = decodeAnswerKey(Buffer.from(hex, 'hex'));
      if ('mac' in key) {
        return `${formatMac(key.mac)} for service ${key.service} -> ${from.id}`;
      }
      const what = from.isForFragments ? ' fragments' : '';
      const protocol = protocolName(key.protocol) ?? '';
      const to = from.isByLink ? `service ${from.id}` : formatEndpoint(from);
      return `${formatEndpoint(key)}/${protocol} -> ${to}${what}`;
    })
    .sort();
}

describe('answers', () => {
  test('of destinations with ports of their own tell the port of the service', () => {
    const live = filled(
      NOTHING,
      at('10.0.1.1:8080', '10.0.1.1:8081', '10.0.1.2:8080'),
      NAT,
    );
    expect(answersOf(live)).toEqual([
      '10.0.1.1:8080/tcp -> 192.0.2.10:80',
      '10.0.1.1:8081/tcp -> 192.0.2.10:80',
      '10.0.1.2:8080/tcp -> 192.0.2.10:80',
    ]);
    expect(live.device.flags & DEVICE_ANSWERS).toBe(DEVICE_ANSWERS);
  });

  test('of others come from each port of the service', () => {
    const vip = ['[2001:db8::10]:80/tcp', '[2001:db8::10]:53'];
    const live = filled(NOTHING, at('fd00::1'), { ...NAT, vip });
    expect(answersOf(live)).toEqual([
      '[fd00::1]:53/tcp -> 2001:db8::10',
      '[fd00::1]:53/udp -> 2001:db8::10',
      '[fd00::1]:80/tcp -> 2001:db8::10',
    ]);
    const all = filled(NOTHING, at('fd00::1'), { ...NAT, vip: ['2001:db8::10/udp'] });
    expect(answersOf(all)).toEqual(['fd00::1/udp -> 2001:db8::10']);
  });

  test('are there before any packet needs them, and go last', () => {
    const tunnel = filled(NOTHING, [row('10.0.9.1')], {
      slots: 16,
      vip: ['192.0.2.9:80'],
    });
    for (const { state, file } of [
      { state: tunnel, file: at('10.0.1.1:8080') },
      { state: filled(NOTHING, at('10.0.1.1:8080'), NAT), file: at('10.0.1.2:8080') },
    ]) {
      let live = state;
      for (const write of planFor(live, file, NAT).writes) {
        live = applyWrites(live, [write]);
        const used = [...live.slots.values()].map(({ current }) =>
          live.destinations.get(current),
        );
        for (const entry of used) {
          if (entry?.forward !== 'nat') continue;
          const name = `${formatEndpoint(entry)}/tcp -> 192.0.2.10:80`;
          expect(answersOf(live)).toContain(name);
          if (live.device.abi !== 0) expect(live.device.flags).toBe(DEVICE_ANSWERS);
        }
      }
      expect(answersOf(live)).toHaveLength(1);
    }
  });

  test('go with their service, and with them the flag', () => {
    const live = filled(NOTHING, at('10.0.1.1:8080'), NAT);
    const [service] = servicesIn(reachable(live)).values();
    if (!service) throw new Error('there is one service');
    const { id, ways } = service;
    const after = applyWrites(live, planRemoval(live, { id, ways, range: service }));
    expect(answersOf(after)).toEqual([]);
    expect(after.device.flags).toBe(0);
  });

  test('are exported with their ports, and the file changes nothing', () => {
    const live = filled(NOTHING, at('10.0.1.1:8081', '10.0.1.1:8080'), NAT);
    const text = exportConfig(live);
    expect(text).toContain('forward = "nat"');
    expect(text).toMatch(/"10\.0\.1\.1:8080"[^]*"10\.0\.1\.1:8081"/);
    const again = applyConfig(live, text);
    expect(answersOf(again)).toEqual(answersOf(live));
    expect([...again.slots]).toEqual([...live.slots]);
  });

  test('of fragments do too, where one service takes them', () => {
    const text = (hash: string, destination = '10.0.1.1'): string => `
      [[service]]
      name = "web"
      address = "192.0.2.10"
      ports = 80
      protocol = "udp"
      forward = "nat"
      hash = "${hash}"
      slots = 16
      destinations = ["${destination}"]
    `;
    expect(answersOf(applyConfig(NOTHING, text('source')))).toEqual([
      '10.0.1.1/udp -> 192.0.2.10 fragments',
      '10.0.1.1:80/udp -> 192.0.2.10',
    ]);
    // A later fragment has no port that could become another one.
    const other = text('source', '10.0.1.1:8080');
    expect(answersOf(applyConfig(NOTHING, other))).toHaveLength(1);
    expect(answersOf(applyConfig(NOTHING, text('source+ports')))).toHaveLength(1);
  });
});

describe('answers by link', () => {
  const LINK: Fill = { ...NAT, forward: 'link' };
  const BOTH = [row('10.0.1.1'), row('fd00::2')];
  const MACS = [row('10.0.1.1'), row('fd00::2')].map(({ mac }) => formatMac(mac));

  test('have the address of the service, and the MAC address of a destination', () => {
    const vip = ['192.0.2.10:80/tcp', '[2001:db8::10]:80/tcp'];
    const live = filled(NOTHING, BOTH, { ...LINK, vip });
    expect(answersOf(live)).toEqual([
      `${MACS[1]} for service 1 -> 2`,
      `${MACS[0]} for service 1 -> 1`,
      '192.0.2.10/tcp -> service 1 fragments',
      '192.0.2.10:80/tcp -> service 1',
      '2001:db8::10/tcp -> service 1 fragments',
      '[2001:db8::10]:80/tcp -> service 1',
    ]);
    expect(live.device.flags & DEVICE_ANSWERS).toBe(DEVICE_ANSWERS);
    const [service] = servicesIn(reachable(live)).values();
    if (!service) throw new Error('there is one service');
    const { id, ways } = service;
    const after = applyWrites(live, planRemoval(live, { id, ways, range: service }));
    expect([answersOf(after), after.device.flags]).toEqual([[], 0]);
  });

  test('follow another MAC address, which is there before the old one goes', () => {
    const live = filled(NOTHING, BOTH, LINK);
    const other = row('10.0.1.1', 1, '02:00:0a:00:01:99');
    const seen = planFor(live, [other, row('fd00::2')], LINK)
      .writes.filter(({ map }) => map === 'answers' || map === 'destinations')
      .map(({ map }) => map);
    expect(seen).toEqual(['answers', 'destinations', 'answers']);
    const after = filled(live, [other, row('fd00::2')], LINK);
    expect(answersOf(after)).toContain('02:00:0a:00:01:99 for service 1 -> 1');
    expect(answersOf(after)).not.toContain(`${MACS[0]} for service 1 -> 1`);
  });

  test('are those of the first of two destinations that are one host', () => {
    const twice = ['10.0.1.1', '10.0.1.2'].map((one) => row(one, 1, '02:00:0a:00:01:01'));
    expect(answersOf(filled(NOTHING, twice, LINK))).toContain(
      '02:00:0a:00:01:01 for service 1 -> 1',
    );
  });

  test('tell no fragments of two services on one address', () => {
    const one = filled(NOTHING, BOTH.slice(0, 1), LINK);
    const other = { ...LINK, vip: ['192.0.2.10:81/tcp'] };
    const two = filled(one, BOTH.slice(0, 1), other);
    expect(answersOf(two)).toEqual([
      `${MACS[0]} for service 1 -> 1`,
      `${MACS[0]} for service 2 -> 2`,
      '192.0.2.10:80/tcp -> service 1',
      '192.0.2.10:81/tcp -> service 2',
    ]);
  });

  test('are not known of a service on any address, nor where nat needs the same', () => {
    expect(answersOf(filled(NOTHING, BOTH, { ...LINK, vip: ['any/tcp'] }))).toEqual([]);
    const nat = filled(NOTHING, at('10.0.1.1'), NAT);
    const link = { ...LINK, vip: ['10.0.1.1:80/tcp'] };
    expect(answersOf(filled(nat, BOTH.slice(0, 1), link))).toEqual([
      `${MACS[0]} for service 2 -> 2`,
      '10.0.1.1/tcp -> service 2 fragments',
      '10.0.1.1:80/tcp -> 192.0.2.10',
    ]);
  });

  test('are sent by XDP where the program can, and refused where not', () => {
    const live = filled(NOTHING, BOTH, { ...LINK, answers: 'xdp' });
    expect(live.device.flags).toBe(DEVICE_ANSWERS | DEVICE_XDP_ANSWERS);
    for (const forward of ['link', 'tunnel'] as const) {
      expect(() =>
        planFor(untouched(SIZES), BOTH, { ...LINK, forward, answers: 'xdp' }),
      ).toThrow('this program cannot send answers by XDP');
    }
  });

  test('are left to the kernel when a program takes over that cannot', () => {
    const live = filled(NOTHING, BOTH, { ...LINK, answers: 'xdp' });
    const device = { mac: row('10.0.9.9').mac, mtu: 1500 };
    const { losses, writes } = carryTables(live, SIZES, device);
    expect(losses).toEqual([
      'the kernel sends answers from now on, as the new program cannot',
    ]);
    expect(writes.filter(({ map }) => map === 'answers')).toEqual([]);
  });
});

test('two ports of a host are two destinations', () => {
  const live = filled(NOTHING, at('10.0.1.1:8080', '10.0.1.1:8081'), NAT);
  const counts = [...live.slots.values()].map(({ current }) => current);
  expect(counts.filter((id) => id === 1)).toHaveLength(8);
  const plan = planFor(live, at('10.0.1.1:8081'), { forward: 'nat' });
  expect(plan.removed).toEqual(['10.0.1.1:8080']);
  expect(plan.slotsMoved).toBe(8);
});

describe('is refused', () => {
  test.each([
    [
      'a service on any address',
      { file: at('10.0.1.1'), fill: { vip: ['any/tcp'] } },
      'a service on any address cannot be forwarded by nat',
    ],
    [
      'another family',
      { file: at('fd00::1'), fill: {} },
      'fd00::1 is IPv6, and 192.0.2.10:80/tcp is not',
    ],
    [
      'two addresses',
      { file: at('10.0.1.1'), fill: { vip: ['192.0.2.10:80', '192.0.2.11:80'] } },
      'nat is for one address, and the service has 192.0.2.10 and 192.0.2.11',
    ],
    [
      'two ports that become one',
      { file: at('10.0.1.1:8080'), fill: { vip: ['192.0.2.10:80', '192.0.2.10:81'] } },
      '10.0.1.1:8080 has one port, and the service has several',
    ],
    [
      'all ports that become one',
      { file: at('10.0.1.1:8080'), fill: { vip: ['192.0.2.10'] } },
      '10.0.1.1:8080 has one port, and the service has several',
    ],
  ])('%s', (_, { file, fill }, reason) => {
    expect(() => planFor(NOTHING, file, { ...NAT, ...fill })).toThrow(reason);
  });

  test('a port where packets keep theirs', () => {
    for (const forward of ['tunnel', 'link'] as const) {
      expect(() => planFor(NOTHING, at('10.0.1.1:8080'), { ...NAT, forward })).toThrow(
        '10.0.1.1:8080 has a port, and its packets would keep theirs',
      );
    }
  });

  test('a program that cannot rewrite', () => {
    expect(() => planFor(untouched(SIZES), at('10.0.1.1'), NAT)).toThrow(
      'this program cannot rewrite packets, as nat does',
    );
  });

  test('a destination that would answer for two services', () => {
    const live = filled(NOTHING, at('10.0.1.1:8080'), NAT);
    const other = { ...NAT, vip: ['192.0.2.11:80/tcp'] };
    expect(() => planFor(live, at('10.0.1.1:8080'), other)).toThrow(
      '10.0.1.1:8080 would answer for 192.0.2.10:80/tcp and for 192.0.2.11:80/tcp',
    );
    expect(answersOf(filled(live, at('10.0.1.1:8081'), other))).toHaveLength(2);
  });

  test('a destination that is there twice, once by the port of the service', () => {
    expect(() => planFor(NOTHING, at('10.0.1.1', '10.0.1.1:80'), NAT)).toThrow(
      '10.0.1.1 would be two destinations of 192.0.2.10:80/tcp, with the same port',
    );
  });

  test('nat that comes or goes under a service', () => {
    const link = filled(NOTHING, at('10.0.1.1'), { ...NAT, forward: 'link' });
    expect(() => planFor(link, at('10.0.1.1'), NAT)).toThrow(
      'a service cannot change from link to nat',
    );
    const nat = filled(NOTHING, at('10.0.1.1'), NAT);
    expect(() => planFor(nat, at('10.0.1.1'), { ...NAT, forward: 'tunnel' })).toThrow(
      'a service cannot change from nat to tunnel',
    );
  });
});
