// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A service whose packets go by the link, and what becomes of it when that changes. */
import { describe, expect, test } from '@jest/globals';

import { CELL_NAMES } from '../../../src/abi/cell.js';
import type { Destination } from '../../../src/abi/destination.js';
import { checkForward } from '../../../src/plan/check-forward.js';
import { exportConfig } from '../../../src/plan/export.js';
import type { State } from '../../../src/plan/state.js';
import { applyWrites } from '../../../src/plan/state.js';
import { ANY_ADDRESS } from '../../../src/wire/address.js';
import { headerSum } from '../../../src/wire/outer-header.js';
import { sourcesIn } from '../../../src/wire/outer-source.js';
import { planText, applyConfig } from './configs.js';
import { filled, planFor, row, rows, untouched } from './states.js';

const SLOTS = { slots: 16, now: 10 };

function entriesOf(state: State): Destination[] {
  return [...state.destinations.values()].filter(({ service }) => service !== 0);
}

test('link needs no source, and all of the MTU is for the packet', () => {
  const plan = planFor(untouched(), rows(2), { ...SLOTS, forward: 'link', sources: {} });
  expect(plan.room).toBe(1500);
  for (const entry of entriesOf(plan.after)) {
    expect(entry).toMatchObject({ forward: 'link', headerSum: 0, spread: 0 });
    expect(entry.source).toEqual(ANY_ADDRESS);
    expect(entry.largestPacket).toBe(1500);
  }
});

describe('a change of the way', () => {
  const tunnel = filled(untouched(), rows(3), SLOTS);
  const link = filled(untouched(), rows(3), { ...SLOTS, forward: 'link' });

  test.each([
    { to: 'link', from: tunnel },
    { to: 'tunnel', from: link },
  ] as const)('to $to moves no slot, and is told', ({ to, from }) => {
    const plan = planFor(from, rows(3), { forward: to, now: 20 });
    expect(plan.slotsMoved).toBe(0);
    expect(plan.writes.some(({ map }) => map === 'slots')).toBe(false);
    expect(plan.settings).toContain(`forward ${to}`);
    expect(entriesOf(plan.after).map(({ forward }) => forward)).toEqual([to, to, to]);
  });

  // The kernel writes an entry word by word, so a packet may meet the half of it.
  test.each([
    { to: 'link', from: tunnel },
    { to: 'tunnel', from: link },
  ] as const)('to $to never leaves a tunnel without its source', ({ to, from }) => {
    let state = from;
    for (const write of planFor(from, rows(3), { forward: to, now: 20 }).writes) {
      const before = state;
      state = applyWrites(state, [write]);
      if (write.map !== 'destinations') continue;
      const was = before.destinations.get(write.key);
      for (const entry of [was, write.value]) {
        if (entry?.forward !== 'tunnel') continue;
        expect(entry.headerSum).toBe(headerSum(entry.source, entry.address));
        expect(entry.source).not.toEqual(ANY_ADDRESS);
      }
      // Either the way changes, or what only a tunnel needs; never both at once.
      const isWay = was?.forward !== write.value.forward;
      expect(isWay).toBe(was?.source.equals(write.value.source));
    }
    expect(entriesOf(state)).toHaveLength(3);
  });

  test('nothing asked for keeps it', () => {
    const plan = planFor(link, [...rows(3), row('10.0.9.9')], { now: 20 });
    expect(entriesOf(plan.after).every(({ forward }) => forward === 'link')).toBe(true);
    expect(plan.settings).toEqual([]);
  });

  test('a link has no source that a later tunnel could keep', () => {
    expect(sourcesIn(link.destinations.values())).toEqual({});
  });
});

describe('is refused', () => {
  const { service, ...plan } = planFor(untouched(), rows(2), SLOTS);
  const wanted = {
    ...({ service, isNew: true, forward: 'link', sources: {} } as const),
    ...{ sessionPort: 0, mac: ANY_ADDRESS.subarray(0, 6), mtu: 1500 },
    destinations: rows(2),
  };

  test('nothing of an ordinary one', () => {
    expect(plan.used).toBe(2);
    expect(() => checkForward(untouched(), wanted)).not.toThrow();
  });

  test('with destinations that remember', () => {
    const naming = { ...service, flags: service.flags | CELL_NAMES };
    expect(() => checkForward(untouched(), { ...wanted, service: naming })).toThrow(
      'the destinations cannot remember without a tunnel',
    );
  });

  test('with a router on the way, who is named', () => {
    const destinations = [row('10.0.1.1'), { ...row('10.9.1.2'), router: '10.0.0.254' }];
    expect(() => checkForward(untouched(), { ...wanted, destinations })).toThrow(
      '10.9.1.2 is reached through 10.0.0.254',
    );
    expect(() =>
      checkForward(untouched(), { ...wanted, destinations, forward: 'tunnel' }),
    ).not.toThrow();
  });
});

describe('in a config file', () => {
  const text = (lines: string): string => `
[[service]]
name = "web"
address = "192.0.2.1"
ports = 80
protocol = "tcp"
slots = 16
${lines}
destinations = ["10.0.1.1", "10.0.1.2"]
`;

  test('is kept by an export', () => {
    const state = applyConfig(untouched(), text('forward = "link"'));
    const exported = exportConfig(state);
    expect(exported).toContain('forward = "link"\n');
    expect(exported).not.toContain('source');
    expect(planText(state, exported).writes).toEqual([]);
  });

  test('that does not name it, it is a tunnel again', () => {
    const state = applyConfig(untouched(), text('forward = "link"'));
    const { services } = planText(state, text(''));
    expect(services[0]?.plan.settings).toContain('forward tunnel');
  });

  test.each([
    {
      lines: 'forward = "net"',
      problem:
        'forward: "net" is not "tunnel" or "link" or "nat" or "full-nat"; did you mean "nat"?',
    },
    {
      lines: 'forward = "nat"\nsource = "10.7.0.1"',
      problem: 'source: only tunnel and full-nat send from one',
    },
    {
      lines: 'forward = "link"\nsource = "10.7.0.1"',
      problem: 'source: only tunnel and full-nat send from one',
    },
    {
      lines: 'forward = "link"\nremember = "destinations"',
      problem: 'remember: destinations are named in the outer header of a tunnel',
    },
  ])('$lines: is a problem', ({ lines, problem }) => {
    expect(() => planText(untouched(), text(lines))).toThrow(problem);
  });
});
