// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Runs of l4lb-disturb behind a router. */
import { describe, expect, test } from '@jest/globals';

import { formatChange, makeSchedule, parseChange } from '../../../src/disturb/changes.js';
import type { Shift } from '../../../src/disturb/ecmp/judge.js';
import { judgeRouting, stallsOf } from '../../../src/disturb/ecmp/judge.js';
import {
  balancersOf,
  checkEcmp,
  routedRuns,
  usualChanges,
} from '../../../src/disturb/ecmp/options.js';
import { allBalancers } from '../../../src/disturb/ecmp/plan.js';
import { parseSources, serviceOf } from '../../../src/disturb/ecmp/sources.js';
import type { Recording } from '../../../src/disturb/judge.js';
import { judge } from '../../../src/disturb/judge.js';
import type { ClientEvent } from '../../../src/disturb/protocol.js';
import type { Result } from '../../../src/disturb/report.js';
import { describeResults, resultJson } from '../../../src/disturb/report.js';
import { drawSvg } from '../../../src/disturb/svg.js';
import { MOMENTS, count, lost, open } from './runs.js';

const plan = (balancers: number, ...changes: string[]): string[] =>
  makeSchedule(2, changes.map(parseChange), balancers).steps.map(
    ({ change, balancer, takers }) =>
      `${formatChange(change)} ${balancer ?? ''}: ${takers.join(' ')}`,
  );

describe('changes of balancers', () => {
  test.each<{ what: string; balancers: number; changes: string[]; plan: string[] }>([
    {
      what: 'affect the lowest number, and kill one that gets packets',
      balancers: 3,
      changes: ['drain balancer', 'kill balancer', 'drain 1', 'add balancer'],
      plan: [
        'drain balancer 1: 2 3',
        'kill balancer 2: 3',
        'drain 1 : 3',
        'add balancer 4: 3 4',
      ],
    },
    {
      what: 'undo each other',
      balancers: 2,
      changes: ['stop balancer', 'start balancer', 'drain balancer', 'restore balancer'],
      plan: [
        'stop balancer 1: 2',
        'start balancer 1: 1 2',
        'drain balancer 1: 2',
        'restore balancer 1: 1 2',
      ],
    },
    {
      what: 'leave the drained ones, if there is no other',
      balancers: 2,
      changes: ['drain balancer', 'drain balancer', 'cut balancer'],
      plan: ['drain balancer 1: 2', 'drain balancer 2: 1 2', 'cut balancer 1: 2'],
    },
  ])('$what', ({ balancers, changes, plan: expected }) => {
    expect(plan(balancers, ...changes)).toEqual(expected);
  });

  test.each([
    { balancers: 0, changes: ['kill balancer'], why: '"kill balancer" needs --ecmp' },
    { balancers: 1, changes: ['cut balancer'], why: 'would leave no balancer' },
    { balancers: 2, changes: ['start balancer'], why: 'no such balancer' },
    { balancers: 2, changes: ['restore balancer'], why: 'no such balancer' },
    {
      balancers: 2,
      changes: ['kill balancer', 'start balancer'],
      why: 'no such balancer',
    },
    { balancers: 16, changes: ['add balancer'], why: 'makes 17 balancers; at most 16' },
  ])('$changes of $balancers: $why', ({ balancers, changes, why }) => {
    expect(() => plan(balancers, ...changes)).toThrow(why);
  });

  test('know how many there are in all', () => {
    const changes = ['kill balancer', 'add balancer', 'add balancer'].map(parseChange);
    expect(allBalancers(makeSchedule(2, changes, 3))).toBe(5);
    expect(allBalancers(makeSchedule(2, [], 3))).toBe(3);
  });
});

describe('sources', () => {
  test.each([
    {
      text: '222.222.222.0/24',
      family: '4',
      first: '222.222.222.1',
      last: '222.222.222.254',
      count: 254,
    },
    {
      text: '198.18.0.0/15',
      family: '4',
      first: '198.18.0.1',
      last: '198.19.255.123',
      count: 1000,
    },
    {
      text: '192.0.2.4/31',
      family: '4',
      first: '192.0.2.4',
      last: '192.0.2.5',
      count: 2,
    },
    {
      text: '5000::/112',
      family: '6',
      first: '5000::1',
      last: '5000::ffbd',
      count: 1000,
    },
  ])('$text', ({ text, family, first, last, count: expected }) => {
    const sources = parseSources(text);
    expect(sources).toMatchObject({ prefix: text, family });
    expect(sources.addresses.at(0)).toBe(first);
    expect(sources.addresses.at(-1)).toBe(last);
    expect(new Set(sources.addresses).size).toBe(expected);
  });

  test.each([
    { text: '10.1.0.0/24', why: 'where the network of the run itself is' },
    { text: 'fd00::/112', why: 'where the network of the run itself is' },
    { text: '222.222.222.1', why: 'a length that is not from /8 to /31' },
    { text: '5000::/64', why: 'a length that is not from /104 to /127' },
    { text: '222.222.222.1/24', why: 'has bits set after its length' },
    { text: 'many', why: 'is not an IP address' },
  ])('"$text" $why', ({ text, why }) => {
    expect(() => parseSources(text)).toThrow(why);
  });

  test('decide which address the service has', () => {
    expect(serviceOf('4', undefined)).toMatchObject({ vip: '10.0.100.1', sources: [] });
    expect(serviceOf('6', parseSources('5000::/127'))).toEqual({
      vip: 'fd00:100::1',
      port: 80,
      endpoint: '[fd00:100::1]:80/tcp',
      sources: ['5000::', '5000::1'],
    });
  });
});

describe('options', () => {
  const v4 = parseSources('222.222.222.0/24');

  test.each<{ flags: Parameters<typeof checkEcmp>[0]; why: string }>([
    { flags: { balancers: 2 }, why: '--balancers is for --ecmp' },
    { flags: { plainEcmp: true, balancers: 2 }, why: '--balancers is for --ecmp' },
    { flags: { sources: v4 }, why: '--sources is for --ecmp and --plain-ecmp' },
    { flags: { family: '6' }, why: '--family is for --ecmp and --plain-ecmp' },
    { flags: { ecmp: true, sources: v4, family: '6' }, why: 'are not of --family 6' },
    { flags: { ecmp: true, table: 'minimal' }, why: '--table is not possible behind a' },
    { flags: { ecmp: true, flood: 1 }, why: '--flood is not possible behind a router' },
    { flags: { ecmp: true, halfOpen: 1 }, why: '--half-open is not possible' },
    { flags: { ecmp: true, forward: 'nat' }, why: '--forward nat is not possible' },
    {
      flags: { ecmp: true, change: [{ kind: 'takeover' }] },
      why: 'takeover is not possible behind a router',
    },
  ])('$flags: $why', ({ flags, why }) => {
    expect(() => {
      checkEcmp(flags);
    }).toThrow(why);
  });

  test('that fit together ask for one run, or for two', () => {
    const flags = { ecmp: true, plainEcmp: true, sources: v4 };
    checkEcmp({ ...flags, forward: 'tunnel', family: '4' });
    checkEcmp({});
    expect(routedRuns(flags)).toMatchObject([
      { family: '4', isPlain: false },
      { family: '4', isPlain: true },
    ]);
    expect(routedRuns({ ecmp: true, family: '6' })).toMatchObject([{ family: '6' }]);
    expect(routedRuns({})).toEqual([]);
    expect([balancersOf(flags), balancersOf({ plainEcmp: true })]).toEqual([3, 0]);
  });

  test('have changes that they can make', () => {
    const both = { ecmp: true, plainEcmp: true };
    const changes = usualChanges(both, []).map(parseChange);
    expect(makeSchedule(10, changes, 3).steps).toHaveLength(7);
    const plain = usualChanges({ plainEcmp: true }, []).map(parseChange);
    expect(makeSchedule(10, plain).steps).toHaveLength(4);
    expect(usualChanges({}, ['x'])).toEqual(['x']);
  });
});

const SHIFTS: Shift[] = [
  {
    acted: 1000,
    moved: 1291.5,
    before: ['balancer1', 'balancer2', 'balancer10', 'balancer2'],
    after: ['balancer10', 'balancer2', 'balancer10', 'balancer10'],
  },
  { acted: undefined, moved: undefined, before: [], after: [] },
];

describe('what the router did', () => {
  test('is judged for each phase', () => {
    const stalls = { echo: 420, open: 5 };
    expect(judgeRouting(SHIFTS, -1, stalls)).toEqual({
      ...stalls,
      takers: [
        { role: 'balancer1', flows: 1 },
        { role: 'balancer2', flows: 2 },
        { role: 'balancer10', flows: 1 },
      ],
      fullest: 1.5,
      unevenness: 0.25,
      flows: 4,
      moved: 0,
      took: undefined,
    });
    expect(judgeRouting(SHIFTS, 0, stalls)).toMatchObject({ moved: 2, took: 291.5 });
    expect(judgeRouting(SHIFTS, 1, stalls)).toMatchObject({ flows: 0, fullest: 1 });
    expect(judgeRouting([], -1, stalls)).toMatchObject({ takers: [], moved: 0 });
  });

  test('a stall belongs to the phase in which it began, or the change that caused it', () => {
    const slow = (what: 'echo' | 'open', since: number, at: number): ClientEvent => {
      return { event: 'slowest', what, since, at };
    };
    expect(
      stallsOf(
        [
          ...[slow('echo', 100, 120), slow('open', 100, 150)],
          ...[slow('echo', 950, 1400), slow('echo', 1500, 1510)],
          ...[slow('echo', 1890, 1895), slow('open', 2000, 3010), count(3000, 1)],
        ],
        MOMENTS,
      ),
    ).toEqual([
      { echo: 20, open: 50 },
      { echo: 450, open: 0 },
      { echo: 0, open: 1010 },
    ]);
  });
});

describe('the report of a run behind a router', () => {
  const schedule = makeSchedule(2, ['kill balancer', 'remove 1'].map(parseChange), 3);
  const events = [open(1, 1), open(2, 2), lost(1, 2050), count(0, 2), count(2900, 1)];
  const record: Recording = {
    ...{ schedule, started: 0, moments: MOMENTS, halfOpen: [], flood: undefined },
    events: [...events, { event: 'slowest', what: 'echo', since: 1000, at: 1420 }],
    shifts: SHIFTS,
  };
  const ours: Result = {
    ...{ connections: 2, duration: 3, object: 'l4lb_xdp_host.o', table: undefined },
    routed: { isPlain: false, balancers: 3, family: 4, sources: '222.222.222.0/24' },
    ...{ record, outcome: judge(record), verdicts: { balanced: 200 } },
  };
  const theirs = { ...record, events: [...events, lost(2, 2060)] };
  const plain: Result = {
    ...ours,
    routed: { isPlain: true, balancers: 0, family: 4, sources: undefined },
    ...{ record: theirs, outcome: judge(theirs), verdicts: {} },
  };

  test('has a table of its own, and the second run behind the first', () => {
    const lines = describeResults(ours, plain);
    expect(lines.slice(5, 9)).toEqual([
      'connections by  balancers  fullest  uneven  moved  router   stall  opening',
      'start                   3     1.50     0.3    0/4       -    0 ms     0 ms',
      'kill balancer           2     1.50     1.0    2/4  292 ms  420 ms     0 ms',
      'remove 1                0        -       -    0/0       -    0 ms     0 ms',
    ]);
    expect(lines).toContain('Balancers: 200 packets sent on, 0 dropped');
    expect(lines).toContain('The same with plain ECMP, without balancers:');
    expect(lines.filter((line) => line.startsWith('Balancer'))).toHaveLength(1);
    expect(describeResults(ours).join('\n')).not.toContain('plain ECMP');
  });

  test('as JSON has the second run inside', () => {
    expect(resultJson(ours, plain)).toMatchObject({
      ecmp: { plain: false, balancers: 3, family: 4, sources: '222.222.222.0/24' },
      changes: [
        { routing: { asked: 4, moved: 2, router_moved_s: 0.2915, stall_s: 0.42 } },
        { routing: { router_moved_s: null } },
      ],
      plain_ecmp: { ecmp: { plain: true, sources: null }, lost_avoidable: 1 },
    });
    expect(resultJson(ours)).not.toHaveProperty('plain_ecmp');
    expect(resultJson({ ...ours, routed: undefined })).toMatchObject({ ecmp: null });
  });

  test('as a picture shows both', () => {
    const svg = drawSvg(ours, plain);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    for (const text of ['3 balancers behind a router', 'with plain ECMP', '>50 %<']) {
      expect(svg).toContain(text);
    }
    expect(drawSvg(plain)).toContain('No balancer: a router spreads over');
    expect(drawSvg(ours)).not.toContain('lain ECMP');
  });
});
