// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { isWay, reachable } from '../../../src/plan/cells.js';
import { CELL_HASH_SOURCE } from '../../../src/abi/cell.js';
import type { Cell } from '../../../src/abi/cell.js';
import { formatAddress } from '../../../src/wire/address.js';
import { Failure } from '../../../src/text/failure.js';
import type { State, Write } from '../../../src/plan/state.js';
import { applyWrites } from '../../../src/plan/state.js';
import {
  configPlanJson,
  configWarnings,
  describeConfigPlan,
} from '../../../src/fill/text/config.js';
import { servicesIn } from '../../../src/plan/services.js';
import { formatWay, wayKey } from '../../../src/wire/way.js';
import { applyConfig, planText, servicesOf } from './configs.js';
import { planConfig } from '../../../src/plan/all.js';
import { layOut } from '../../../src/plan/match-services.js';
import { randomNumbers } from '../wire/names.js';
import { filled, idsOf, lookUp, rows, slotsOf, untouched, oneByOne } from './states.js';

const HOST: State['sizes'] = { slots: 4096, destinations: 512, cells: 1024 };
const WHERE = { interface: 'ens4', mode: 'Driver' } as const;

interface Entry {
  ways: string;
  /** Last bytes of the addresses. */
  to: number[];
  slots?: number;
  more?: string;
}

/** A config file of services with these ways, each with destinations 10.0.1.N. */
function config(services: Record<string, Entry>): string {
  const blocks = Object.entries(services).map(([name, { ways, to, slots, more }]) =>
    [
      '[[service]]',
      `name = "${name}"`,
      `ways = [${ways
        .split(' ')
        .map((way) => `"${way}"`)
        .join(', ')}]`,
      slots === undefined ? '' : `slots = ${slots}`,
      more ?? '',
      `destinations = [${to.map((last) => `"10.0.1.${last}"`).join(', ')}]`,
    ].join('\n'),
  );
  return blocks.length === 0 ? 'service = []' : blocks.join('\n');
}

const WEB: Entry = {
  ways: '192.0.2.10:80/tcp 192.0.2.10:443/tcp',
  to: [1, 2, 3],
  slots: 32,
};
const DNS: Entry = { ways: '192.0.2.53:53/udp', to: [1, 7], slots: 16 };
const BOTH = config({ web: WEB, dns: DNS });

/** Id, first slot and ways of each service. */
function layoutOf(live: State): string[] {
  return [...servicesIn(reachable(live)).values()]
    .sort((a, b) => a.id - b.id)
    .map(({ id, firstSlot, log2Slots, ways }) => {
      const last = firstSlot + (1 << log2Slots) - 1;
      return `${id}: ${firstSlot}-${last} ${ways.map(formatWay).join(' ')}`;
    });
}

function failureOf(attempt: () => unknown): Failure {
  try {
    attempt();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

/**
 * After each write every way that is there before and after leads to a service,
 * and every slot of a service that a way leads to has a destination of its own.
 */
function checkEveryPrefix(
  before: State,
  writes: readonly Write[],
  exceptions: string[] = [],
): State {
  const goal = applyWrites(before, writes);
  const waysOf = (live: State): Cell[] => [...reachable(live).values()].filter(isWay);
  const kept = new Set(waysOf(goal).map(wayKey));
  const lasting = waysOf(before).filter(
    (way) => kept.has(wayKey(way)) && !exceptions.includes(formatWay(way)),
  );
  const faults = new Set<string>();
  let state = before;
  for (const write of oneByOne(writes)) {
    state = applyWrites(state, [write]);
    for (const way of lasting) {
      if (!lookUp(state, way)) faults.add(`${formatWay(way)} leads nowhere`);
    }
    for (const cell of waysOf(state)) {
      for (const [key, { current }] of slotsOf(state, cell)) {
        const owner = state.destinations.get(current)?.service;
        if (owner !== cell.service) {
          faults.add(`${formatWay(cell)}: slot ${key} has id ${current}, of ${owner}`);
        }
      }
    }
  }
  expect([...faults]).toEqual([]);
  return state;
}

describe('plan of a config file', () => {
  const live = applyConfig(untouched(HOST), BOTH);

  test('makes all of its services, the largest in front, ids in the order of the file', () => {
    const text = config({ dns: DNS, web: WEB });
    expect(layoutOf(applyConfig(untouched(HOST), text))).toEqual([
      '1: 32-47 192.0.2.53:53/udp',
      '2: 0-31 192.0.2.10:80/tcp 192.0.2.10:443/tcp',
    ]);
  });

  test('has nothing to do where the tables say so already, in any order', () => {
    expect(planText(live, BOTH).writes).toEqual([]);
    expect(planText(live, config({ a: DNS, b: WEB })).writes).toEqual([]);
  });

  test('changes the service that is another, and that alone', () => {
    const made = planText(live, config({ web: { ...WEB, to: [1, 2] }, dns: DNS }));
    expect(made.services.map(({ name, plan }) => [name, plan.writes.length > 0])).toEqual(
      [
        ['web', true],
        ['dns', false],
      ],
    );
    expect(made.services[0]?.plan).toMatchObject({ removed: ['10.0.1.3'], isNew: false });
    checkEveryPrefix(live, made.writes);
  });

  test('finds a service again by one way, and keeps its slots and ids', () => {
    const text = config({
      other: { ...WEB, slots: 32, ways: '192.0.2.10:443/tcp 192.0.2.11:443/tcp' },
      dns: DNS,
    });
    const after = checkEveryPrefix(live, planText(live, text).writes);
    expect(layoutOf(after)[0]).toBe('1: 0-31 192.0.2.10:443/tcp 192.0.2.11:443/tcp');
    expect(idsOf(after)).toEqual(idsOf(live));
  });

  test('sets how ports are hashed and where UDP goes, and says so', () => {
    const more = 'hash = "source"\nudp = "previous"';
    const made = planText(live, config({ web: { ...WEB, more }, dns: DNS }));
    expect(made.services[0]?.plan.settings).toEqual(['hash source', 'udp previous']);
    const back = planText(applyWrites(live, made.writes), BOTH);
    expect(back.services[0]?.plan.settings).toEqual(['hash source+ports', 'udp current']);
  });

  test('a fill of one service keeps the settings that a file gave it', () => {
    const text = config({ web: { ...WEB, more: 'hash = "source"' } });
    const after = filled(applyConfig(untouched(HOST), text), rows(2));
    expect(servicesIn(reachable(after)).get(1)?.flags).toBe(CELL_HASH_SOURCE);
  });
});

describe('a service that is not in the file', () => {
  const live = applyConfig(untouched(HOST), BOTH);
  const made = planText(live, config({ web: WEB }));
  const after = checkEveryPrefix(live, made.writes);

  test('goes: its ways first, then its slots, then its destinations', () => {
    const order = made.writes.map(({ map }) => map);
    expect(order.filter((map, at) => map !== order[at - 1])).toEqual([
      'services',
      'slots',
      'destinations',
      'device',
    ]);
    expect(layoutOf(after)).toEqual(['1: 0-31 192.0.2.10:80/tcp 192.0.2.10:443/tcp']);
    expect([...slotsOf(after, { firstSlot: 32, log2Slots: 4 }).values()]).toEqual(
      Array.from({ length: 16 }, () => ({ current: 0, previous: 0, since: 0 })),
    );
    expect(idsOf(after, 2).size).toBe(0);
    // No note for fragments is left, and the entry's address is.
    expect(
      [...after.cells.values()].map(({ address }) => formatAddress(address)),
    ).not.toContain('192.0.2.53');
    expect(formatAddress(after.destinations.get(4)?.address ?? Buffer.alloc(16))).toBe(
      '10.0.1.1',
    );
    expect(after.device.generation).toBe(live.device.generation + 2);
  });

  test('is told', () => {
    expect(made.removed).toEqual([
      { ways: ['192.0.2.53:53/udp'], destinations: ['10.0.1.1', '10.0.1.7'], slots: 16 },
    ]);
    expect(planText(after, config({ web: WEB })).writes).toEqual([]);
  });

  test('leaves a note for fragments where another has ways by port', () => {
    const wide = applyConfig(
      untouched(HOST),
      config({ web: WEB, all: { ...DNS, ways: '192.0.2.10' } }),
    );
    const [note] = servicesIn(reachable(wide)).get(2)?.ways ?? [];
    const narrow = applyWrites(wide, planText(wide, config({ web: WEB })).writes);
    const cells = [...narrow.cells.values()].filter(({ port }) => port === 0);
    expect(cells).toMatchObject([{ address: note?.address, flags: 4, service: 0 }]);
  });

  test('goes with all others where the file wants none', () => {
    const none = checkEveryPrefix(live, planText(live, 'service = []').writes);
    expect(none.cells.size).toBe(0);
    expect([...none.destinations.values()].every(({ service }) => service === 0)).toBe(
      true,
    );
  });

  test('goes after new ones have come, so that no packet finds neither', () => {
    const text = config({ all: { ways: 'any', to: [9], slots: 64 } });
    const { writes } = planText(live, text);
    const firstGone = writes.findIndex(
      (write) => write.map === 'services' && !write.value,
    );
    const lastNew = writes.findLastIndex(
      (write) => write.map === 'services' && write.value,
    );
    expect(lastNew).toBeLessThan(firstGone);
  });

  test('goes first where the new one needs its slots', () => {
    const small = untouched({ slots: 64, destinations: 8, cells: 16 });
    const before = applyConfig(small, config({ web: { ...WEB, slots: 64 } }));
    const text = config({ dns: { ...DNS, slots: 64, to: [1, 2, 3] } });
    const swapped = checkEveryPrefix(before, planText(before, text).writes);
    expect(layoutOf(swapped)).toEqual(['1: 0-63 192.0.2.53:53/udp']);
    expect(planText(swapped, text).writes).toEqual([]);
  });

  test('goes first where the new one needs its ids', () => {
    const small = untouched({ slots: 64, destinations: 4, cells: 64 });
    const before = applyConfig(small, config({ web: { ...WEB, slots: 16 } }));
    const made = planText(before, config({ dns: { ...DNS, to: [1, 2, 3, 4] } }));
    expect(made.services[0]?.plan).toMatchObject({ used: 4, wanted: 4 });
  });
});

describe('ways that go from one service to another', () => {
  const live = applyConfig(untouched(HOST), BOTH);

  test.each([
    {
      what: 'one of two',
      web: '192.0.2.10:80/tcp',
      dns: '192.0.2.53:53/udp 192.0.2.10:443/tcp',
    },
    {
      what: 'to the one in front',
      web: '192.0.2.10:80/tcp 192.0.2.10:443/tcp 192.0.2.53:53/udp',
      dns: '192.0.2.53:53/tcp',
    },
  ])('$what: lead somewhere at any moment', ({ web, dns }) => {
    const text = config({ web: { ...WEB, ways: web }, dns: { ...DNS, ways: dns } });
    const after = checkEveryPrefix(live, planText(live, text).writes);
    expect(planText(after, text).writes).toEqual([]);
  });

  test('a service is the live one that it has most ways in common with', () => {
    const text = config({
      first: { ...DNS, ways: '192.0.2.53:53/udp 192.0.2.10:80/tcp 192.0.2.7' },
      second: { ...WEB, ways: '192.0.2.10:443/tcp' },
    });
    const after = applyConfig(live, text);
    expect(layoutOf(after).map((line) => line.split(' ')[0])).toEqual(['1:', '2:']);
    expect(servicesIn(reachable(after)).get(2)?.ways).toHaveLength(4);
  });
});

describe('what a killed tool left', () => {
  const live = applyConfig(untouched(HOST), BOTH);

  test('running again completes it, from any moment on', () => {
    const text = config({ ftp: { ways: '192.0.2.21', to: [5, 6], slots: 32 }, web: WEB });
    const { writes } = planText(live, text);
    const goal = layoutOf(applyWrites(live, writes)).length;
    for (let count = 0; count <= writes.length; count++) {
      const cut = applyWrites(live, writes.slice(0, count));
      const done = applyConfig(cut, text);
      expect(layoutOf(done)).toHaveLength(goal);
      expect(planText(done, text).writes).toEqual([]);
      const owners = new Set(
        [...done.destinations.values()].map(({ service }) => service),
      );
      owners.delete(0);
      expect(owners.size).toBe(2);
    }
  });

  test('is told apart from a service', () => {
    const orphan = { ...live, cells: new Map() };
    const made = planText(orphan, 'service = []');
    expect(describeConfigPlan(made, WHERE, false)).toEqual([
      'ens4 [Driver] 3 destinations without a service, left by a fill that was cut short',
      '  removed',
      'ens4 [Driver] 2 destinations without a service, left by a fill that was cut short',
      '  removed',
      'in all: 0 services, 2 removed',
      '  0 added, 5 removed, 0 changed, 0 slots moved',
    ]);
  });
});

describe('a file that does not suit the tables', () => {
  const live = applyConfig(untouched(HOST), BOTH);
  test.each([
    {
      what: 'another number of slots',
      text: config({ web: { ...WEB, slots: 64 }, dns: { ...DNS, slots: 512 } }),
      lines: [
        'l4lb.toml:4: slots: web has 32 slots, and keeps them for life',
        'l4lb.toml:10: slots: dns has 16 slots, and keeps them for life',
      ],
    },
    {
      what: 'more destinations than slots',
      text: config({ dns: { ways: DNS.ways, to: [...Array(17).keys()] } }),
      lines: ['l4lb.toml:1: slots: 17 destinations do not fit 16 slots'],
    },
    {
      what: 'more slots than there are',
      text: config({ web: WEB, ftp: { ways: '192.0.2.21', to: [1], slots: 8192 } }),
      lines: ['l4lb.toml:10: slots: ftp wants 8192'],
    },
    {
      what: 'more ways than cells',
      text: config(
        Object.fromEntries(
          Array.from({ length: 3000 }, (_, index) => [
            `s${index}`,
            { ways: `10.1.${index >> 8}.${index & 255}/tcp`, to: [1], slots: 1 },
          ]),
        ),
      ),
      lines: [
        'all services have 3,000 destinations, and the program has room for 512',
        'all services have 3,000 ways, and the program has 1,024 cells for them',
      ],
    },
    {
      what: 'two new services that want all slots',
      text: config({
        ftp: { ways: '192.0.2.21', to: [1] },
        ssh: { ways: '192.0.2.22', to: [1] },
      }),
      lines: ['l4lb.toml:1: slots: ftp wants 4096', 'l4lb.toml:7: slots: ssh wants 4096'],
    },
  ])('$what: is told with all places', ({ text, lines }) => {
    const { message } = failureOf(() => planText(live, text));
    expect(message.split('\n').slice(1)).toEqual(lines);
  });

  test('more destinations than the program has room for', () => {
    const small = untouched({ slots: 64, destinations: 4, cells: 64 });
    expect(failureOf(() => planText(small, BOTH)).message).toContain(
      'all services have 5 destinations, and the program has room for 4',
    );
  });
});

describe('by chance', () => {
  /** Services over the same few ways and destinations, so that they meet often. */
  function randomText(random: () => number): string {
    const below = (limit: number): number => Math.floor(random() * limit);
    const services: Record<string, Entry> = {};
    const owners = Array.from({ length: 8 }, () => below(5));
    for (let number = 1; number < 5; number++) {
      const own = owners
        .flatMap((owner, way) =>
          owner === number ? [`192.0.2.${way >> 1}0:${80 + way}/tcp`] : [],
        )
        .map((way) => way.replace('192.0.2.00', '192.0.2.9'));
      const to = [1, 2, 3, 4, 5, 6, 7].filter(() => random() < 0.5);
      if (own.length > 0) {
        services[`service${number}`] = {
          ways: own.join(' '),
          to: to.length > 0 ? to : [1],
          slots: 16,
        };
      }
    }
    return config(services);
  }

  test.each([11, 12, 13])('every write leaves all slots whole (seed %i)', (seed) => {
    const random = randomNumbers(seed);
    let live = untouched(HOST);
    for (let round = 0; round < 25; round++) {
      const text = randomText(random);
      const { writes } = planText(live, text, 1000 + round);
      // Services that swap ways with one another give them up for a moment.
      const goal = applyWrites(live, writes);
      const swapped = [...reachable(live).values()]
        .filter((cell) => isWay(cell) && lookUp(goal, cell)?.service !== cell.service)
        .map(formatWay);
      live = checkEveryPrefix(live, writes, swapped);
      expect(planText(live, text, 2000).writes).toEqual([]);
    }
  });
});

describe('a plan of a config file in words', () => {
  const live = applyConfig(untouched(HOST), BOTH);
  const text = config({
    web: { ...WEB, to: [1, 2, 3, 4] },
    ftp: { ways: '192.0.2.21:21/tcp', to: [5], slots: 16 },
  });
  const made = planText(live, text);
  const moved = made.services[0]?.plan.slotsMoved ?? 0;

  test('that would be', () => {
    expect(describeConfigPlan(made, WHERE, true)).toEqual([
      'ens4 [Driver] web (192.0.2.10:80/tcp, 192.0.2.10:443/tcp): 4 destinations in 32 slots',
      '    destination  change  weight  slots before  after   share',
      '  + 10.0.1.4     added        1             -      8  25.00%',
      '    10.0.1.1                  1            11      8  25.00%',
      '    10.0.1.2                  1            11      8  25.00%',
      '    10.0.1.3                  1            10      8  25.00%',
      `  would be: 1 added, 0 removed, 0 drained, 0 changed, ${moved} of 32 slots moved (ideal: 8)`,
      'ens4 [Driver] ftp (192.0.2.21:21/tcp): 1 destination in 16 slots',
      '    destination  change  weight  slots before  after    share',
      '  + 10.0.1.5     added        1             -     16  100.00%',
      '  would be: 1 added, 0 removed, 0 drained, 0 changed, 16 of 16 slots moved (ideal: 16)',
      'ens4 [Driver] 192.0.2.53:53/udp: 2 destinations in 16 slots',
      '  - 10.0.1.1',
      '  - 10.0.1.7',
      '  would be removed, since it is not in the file',
      'in all: 2 services, 1 removed',
      `  would be: 2 added, 2 removed, 0 drained, 0 changed, ${moved + 16} of 48 slots moved (ideal: 24)`,
    ]);
  });

  test('with nothing to do', () => {
    expect(describeConfigPlan(planText(live, BOTH), WHERE, false)).toEqual([
      'ens4 [Driver] web (192.0.2.10:80/tcp, 192.0.2.10:443/tcp): 3 destinations in 32 slots',
      '  nothing to do: the table already matches',
      'ens4 [Driver] dns (192.0.2.53:53/udp): 2 destinations in 16 slots',
      '  nothing to do: the table already matches',
      'in all: 2 services',
      '  nothing to do: the tables already match',
    ]);
  });

  test('as JSON', () => {
    expect(configPlanJson(made)).toMatchObject({
      services: [
        { name: 'web', added: ['10.0.1.4'], slots: 32, slots_ideal: 8 },
        { name: 'ftp', added: ['10.0.1.5'], slots: 16 },
      ],
      services_removed: [
        {
          ways: ['192.0.2.53:53/udp'],
          destinations: ['10.0.1.1', '10.0.1.7'],
          slots: 16,
        },
      ],
      totals: {
        services: 2,
        services_removed: 1,
        destinations: 5,
        added: 2,
        removed: 2,
        drained: 0,
        changed: 0,
        slots: 48,
        slots_moved: moved + 16,
        slots_ideal: 24,
        writes: made.writes.length,
      },
    });
  });

  test('warns by name', () => {
    const drained = planText(
      live,
      BOTH.replace('["10.0.1.1", "10.0.1.7"]', '[{ address = "10.0.1.1", weight = 0 }]'),
    );
    expect(configWarnings(drained, 512)).toEqual([
      'dns: every weight is 0, so no slot has a destination and all packets pass to the host',
    ]);
  });
});

describe('the order of new and old', () => {
  const small: State['sizes'] = { ...HOST, destinations: 4 };
  const live = applyConfig(untouched(small), config({ web: WEB }));
  const next = { ways: '192.0.2.21', slots: 32 };

  test.each([
    { what: 'with room for both, the new come first', to: [5], isFirst: false },
    { what: 'without ids for both, the old go first', to: [5, 6], isFirst: true },
  ])('$what, and the plan says so', ({ to, isFirst }) => {
    const made = planText(live, config({ next: { ...next, to } }));
    const ways = made.writes.flatMap((write) =>
      write.map === 'services' ? [write.value !== undefined] : [],
    );
    expect(ways[0]).toBe(!isFirst);
    expect(configPlanJson(made)).toMatchObject({ removes_first: isFirst });
    const text = describeConfigPlan(made, WHERE, true).join('\n');
    expect(text.includes('for a moment, packets to their ways find no service')).toBe(
      isFirst,
    );
  });

  test('where no service goes, nothing is told of an order', () => {
    const made = planText(live, config({ web: { ...WEB, to: [7, 8, 9] } }));
    expect(configPlanJson(made)).toMatchObject({ removes_first: false });
  });

  test('any other failure is one, and no reason for another order', () => {
    const [service] = servicesOf(config({ next: { ...next, to: [5] } }));
    if (!service) throw new Error('no service');
    const layout = layOut(live, [service]);
    let asked = 0;
    const broken = {
      ...service,
      get sources(): never {
        asked++;
        throw new Failure('the source went away');
      },
    };
    const fills = layout.fills.map((fill) => ({ ...fill, wanted: broken }));
    const surroundings = { sessionPort: 0, mac: Buffer.alloc(6), mtu: 1500 };
    const attempt = (): unknown => planConfig(live, { ...layout, fills }, surroundings);
    expect(attempt).toThrow('the source went away');
    expect(asked).toBe(1);
  });
});
