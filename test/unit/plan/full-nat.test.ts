// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Services that send from ports of ours: their pools, and what cannot be. */
import { describe, expect, test } from '@jest/globals';

import { DEVICE_POOLS } from '../../../src/abi/device.js';
import { encodePools } from '../../../src/abi/pool.js';
import { exportConfig } from '../../../src/plan/export.js';
import { planRemoval } from '../../../src/plan/remove.js';
import { reachable } from '../../../src/plan/cells.js';
import { servicesIn } from '../../../src/plan/services.js';
import type { State } from '../../../src/plan/state.js';
import { applyWrites } from '../../../src/plan/state.js';
import type { WantedDestination } from '../../../src/plan/steps.js';
import { parseEndpoint } from '../../../src/wire/endpoint.js';
import {
  formatSource,
  joinSources,
  parseSource,
} from '../../../src/wire/outer-source.js';
import type { Fill } from './states.js';
import { filled, planFor, row, untouched } from './states.js';
import { applyConfig } from './configs.js';

const SIZES = { slots: 64, destinations: 8, cells: 16 };
const NOTHING: State = {
  ...untouched({ ...SIZES, canRewrite: true, blocks: 8 }),
  answers: new Map(),
  pools: [],
};

function from(...sources: string[]): Fill {
  return {
    slots: 16,
    forward: 'full-nat',
    vip: ['192.0.2.10:80/tcp'],
    sources: joinSources(sources.map(parseSource)) ?? {},
  };
}

function at(...names: string[]): WantedDestination[] {
  return names.map((name) => {
    const { address, port } = parseEndpoint(name);
    return { ...row('10.0.1.1'), address, port };
  });
}

/** Each as `SOURCE at BLOCK`. */
function poolsOf({ pools = [] }: State): string[] {
  return pools.map((pool) =>
    pool
      ? `${formatSource({ ...pool, spread: (1 << pool.hostBits) - 1 })} at ${pool.firstBlock}`
      : 'none',
  );
}

function without(live: State, way: string): State {
  const service = [...servicesIn(reachable(live)).values()].find(({ ways }) =>
    ways.some(({ port }) => `${port}` === way),
  );
  if (!service) throw new Error(`no service on port ${way}`);
  const { id, ways } = service;
  return applyWrites(live, planRemoval(live, { id, ways, range: service }));
}

describe('a pool', () => {
  test('has a block for each address, which entries and the map tell', () => {
    const live = filled(NOTHING, at('10.0.1.1:8080', '10.0.1.2'), from('10.9.9.0/30'));
    expect(poolsOf(live)).toEqual(['10.9.9.0/30 at 0']);
    expect(live.device.flags & DEVICE_POOLS).toBe(DEVICE_POOLS);
    const entries = [...live.destinations.values()].filter(
      ({ service }) => service !== 0,
    );
    expect(entries).toMatchObject([
      { forward: 'full-nat', port: 8080, block: 0, spread: 3, headerSum: 0 },
      { forward: 'full-nat', port: 0, block: 0, spread: 3, headerSum: 0 },
    ]);
    expect(live.answers?.size).toBe(0);
  });

  test('is there before any packet leaves from it, and goes last', () => {
    const before = filled(NOTHING, at('10.0.1.1'), from('10.9.9.0/30'));
    let live = before;
    for (const write of planFor(live, at('10.0.1.2'), from('10.9.9.8/31')).writes) {
      live = applyWrites(live, [write]);
      for (const entry of live.destinations.values()) {
        if (entry.service === 0) continue;
        const source = { address: entry.source, spread: entry.spread };
        expect(poolsOf(live)).toContain(`${formatSource(source)} at ${entry.block}`);
        if (live.device.abi !== 0) expect(live.device.flags).toBe(DEVICE_POOLS);
      }
    }
    expect(poolsOf(live).filter((one) => one !== 'none')).toEqual(['10.9.9.8/31 at 0']);
  });

  test('that a service leaves is told, since its connections end', () => {
    const live = filled(NOTHING, at('10.0.1.1'), from('10.9.9.0/30'));
    const leftBy = (...sources: string[]): string[] =>
      planFor(live, at('10.0.1.1'), from(...sources)).poolsLeft;
    expect(leftBy('10.9.9.0/30')).toEqual([]);
    expect(leftBy('10.9.9.8/31')).toEqual(['10.9.9.0/30']);
  });

  test('of two services is one if it is the same, and stays until both are gone', () => {
    const one = filled(NOTHING, at('10.0.1.1'), from('10.9.9.0/31'));
    const vip = ['192.0.2.10:81/tcp'];
    const both = filled(one, at('10.0.1.1'), { ...from('10.9.9.0/31'), vip });
    expect(poolsOf(both)).toEqual(['10.9.9.0/31 at 0']);
    const left = without(both, '80');
    expect(poolsOf(left)).toEqual(['10.9.9.0/31 at 0']);
    const none = without(left, '81');
    expect(poolsOf(none)).toEqual([]);
    expect(none.device.flags).toBe(0);
  });

  test('keeps its place in the map when another one goes', () => {
    const one = filled(NOTHING, at('10.0.1.1'), from('10.9.9.0/31'));
    const vip = ['192.0.2.10:81/tcp'];
    const both = filled(one, at('10.0.1.1'), { ...from('10.9.8.1'), vip });
    expect(poolsOf(both)).toEqual(['10.9.9.0/31 at 0', '10.9.8.1 at 2']);
    const left = without(both, '80');
    expect(poolsOf(left)).toEqual(['none', '10.9.8.1 at 2']);
    expect(encodePools(left.pools ?? []).readUInt8(23)).toBe(1);
    const again = filled(left, at('10.0.1.1'), from('10.9.7.0/31'));
    expect(poolsOf(again)).toEqual(['10.9.7.0/31 at 0', '10.9.8.1 at 2']);
  });

  test('of each family has its own', () => {
    const vip = ['[2001:db8::10]:80/tcp'];
    const live = filled(NOTHING, at('fd00::1'), { ...from('fd00:9::/127'), vip });
    expect(poolsOf(live)).toEqual(['fd00:9::/127 at 0']);
  });

  test('is exported, and the file changes nothing', () => {
    const live = filled(NOTHING, at('10.0.1.1:8080'), from('10.9.9.0/30'));
    const text = exportConfig(live);
    expect(text).toContain('forward = "full-nat"');
    expect(text).toContain('source = "10.9.9.0/30"');
    const again = applyConfig(live, text);
    expect(poolsOf(again)).toEqual(poolsOf(live));
    expect([...again.destinations]).toEqual([...live.destinations]);
  });
});

describe('is refused:', () => {
  const web = filled(NOTHING, at('10.0.1.1'), from('10.9.9.0/30'));
  const other = { vip: ['192.0.2.10:81/tcp'] };
  test.each([
    {
      what: 'a pool with more addresses than there are blocks',
      live: NOTHING,
      fill: from('10.9.9.0/28'),
      problem: '10.9.9.0/28 needs 16 blocks of ports, and 8 of 8 are free',
    },
    {
      what: 'a second pool that does not fit beside the first',
      live: web,
      fill: { ...from('10.9.8.0/29'), ...other },
      problem: '10.9.8.0/29 needs 8 blocks of ports, and 4 of 8 are free',
    },
    {
      what: 'a pool that shares addresses with another one',
      live: web,
      fill: { ...from('10.9.9.2/31'), ...other },
      problem: 'another service sends from 10.9.9.0/30',
    },
    {
      what: "a pool with a service's address",
      live: NOTHING,
      fill: from('192.0.2.8/29'),
      problem: 'the service 192.0.2.10:80/tcp has an address of 192.0.2.8/29',
    },
    {
      what: "a pool with another service's address",
      live: filled(NOTHING, [row('10.0.9.1')], { slots: 16, vip: ['10.9.9.1:80'] }),
      fill: from('10.9.9.0/30'),
      problem: 'the service 10.9.9.1:80/tcp has an address of 10.9.9.0/30',
    },
    {
      what: "a pool with a destination's address",
      live: NOTHING,
      fill: from('10.0.1.0/30'),
      problem: 'the destination 10.0.1.1 has an address of 10.0.1.0/30',
    },
    {
      what: 'beside a service on any address, which takes all answers',
      live: filled(NOTHING, [row('10.0.9.1')], { slots: 16, vip: ['any/tcp'] }),
      fill: from('10.9.9.0/30'),
      problem: 'the service any/tcp would take the answers of 192.0.2.10:80/tcp',
    },
    {
      what: 'a service on any address',
      live: NOTHING,
      fill: { ...from('10.9.9.0/30'), vip: ['any'] },
      problem: 'a service on any address cannot be forwarded by full-nat',
    },
    {
      what: 'another family',
      live: NOTHING,
      fill: { ...from('10.9.9.0/30'), vip: ['[2001:db8::10]:80/tcp'] },
      problem: '10.0.1.1 is IPv4, and [2001:db8::10]:80/tcp is not',
    },
    {
      what: 'a program without ports',
      live: { ...untouched({ ...SIZES, canRewrite: true }), answers: new Map() },
      fill: from('10.9.9.0/30'),
      problem: 'this program cannot rewrite packets, as full-nat does',
    },
    {
      what: 'to become nat',
      live: web,
      fill: { ...from(), forward: 'nat' as const },
      problem: 'a service cannot change from full-nat to nat',
    },
  ])('$what', ({ live, fill, problem }) => {
    expect(() => planFor(live, at('10.0.1.1'), fill)).toThrow(problem);
  });
});

describe('beside full-nat', () => {
  const web = filled(NOTHING, at('10.0.1.1'), from('10.9.9.0/30'));
  const tunnel = (...vip: string[]): Fill => ({ slots: 16, vip });
  test.each([
    {
      what: 'a service on any address is refused, since it takes all answers',
      fill: tunnel('any/tcp'),
      rows: at('10.0.9.1'),
      problem: 'the service any/tcp would take the answers of 192.0.2.10:80/tcp',
    },
    {
      what: 'a service in the pool is refused',
      fill: tunnel('10.9.9.1:80'),
      rows: at('10.0.9.1'),
      problem: 'the service 10.9.9.1:80/tcp has an address of 10.9.9.0/30',
    },
    {
      what: 'a destination in the pool is refused',
      fill: tunnel('192.0.2.11:80'),
      rows: at('10.9.9.2'),
      problem: 'the destination 10.9.9.2 has an address of 10.9.9.0/30',
    },
  ])('$what', ({ fill, rows, problem }) => {
    expect(() => planFor(web, rows, fill)).toThrow(problem);
  });

  test('a service on any address of the other protocol may stand', () => {
    expect(planFor(web, at('10.0.9.1'), tunnel('any/udp')).used).toBe(1);
  });

  test('one file may take out what is in the way', () => {
    const any = applyConfig(
      NOTHING,
      `[[service]]
      name = "all"
      address = "any"
      protocol = "tcp"
      slots = 16
      source = "10.0.0.4"
      destinations = ["10.0.9.1"]`,
    );
    const after = applyConfig(any, exportConfig(web));
    expect(poolsOf(after)).toEqual(['10.9.9.0/30 at 0']);
  });
});
