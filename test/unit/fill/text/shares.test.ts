// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { describeShares, sharesJson } from '../../../../src/fill/text/shares.js';
import { describePlan, planJson } from '../../../../src/fill/text/service.js';
import { filled, planFor, row, rows, untouched } from '../../plan/states.js';

const WHERE = { interface: 'ens4', mode: 'Driver' } as const;

/** Shares to the slot, which a minimal table has. */
const MINIMAL = { table: 'minimal', slots: 64 } as const;
const four = filled(untouched(), rows(4), MINIMAL);
const made = planFor(four, [
  row('10.0.1.0'),
  row('10.0.1.1', 0),
  row('10.0.1.2', 2),
  row('10.0.9.9'),
]);

describe('the shares of a plan', () => {
  test('tell first what changes, and what each will get', () => {
    expect(describeShares(made)).toEqual([
      '    destination  change   weight  slots before  after   share',
      '  + 10.0.9.9     added         1             -     16  25.00%',
      '  - 10.0.1.3     removed       1            16      -       -',
      '  ~ 10.0.1.1     drained  1 -> 0            16      0   0.00%',
      '  ~ 10.0.1.2     changed  1 -> 2            16     32  50.00%',
      '    10.0.1.0                   1            16     16  25.00%',
    ]);
  });

  test('stand before the sums of a plan that is only looked at', () => {
    expect(describePlan(made, WHERE, true)).toEqual([
      'ens4 [Driver] any/tcp, any/udp: 4 destinations in 64 slots, ssh kept',
      ...describeShares(made),
      '  would be: 1 added, 1 removed, 1 drained, 1 changed, 32 of 64 slots moved (ideal: 32)',
    ]);
    expect(describePlan(made, WHERE, false)).toEqual([
      'ens4 [Driver] any/tcp, any/udp: 4 destinations in 64 slots, ssh kept',
      '  1 added, 1 removed, 1 drained, 1 changed, 32 slots moved',
    ]);
  });

  test('tell who gets a weight again as restored, beside who drained', () => {
    const drained = filled(untouched(), [...rows(3), row('10.0.1.3', 0)], MINIMAL);
    const back = planFor(drained, [...rows(2), row('10.0.1.2', 0), row('10.0.1.3')]);
    expect(back).toMatchObject({ restored: ['10.0.1.3'], changed: [] });
    const lines = describePlan(back, WHERE, false);
    expect(lines[1]).toMatch(
      /^ {2}0 added, 0 removed, 1 drained, 1 restored, 0 changed, /,
    );
    expect(describeShares(back)[2]).toMatch(/^ {2}~ 10\.0\.1\.3 +restored +0 -> 1 /);
    expect(planJson(back)).toMatchObject({
      restored: ['10.0.1.3'],
      drained: ['10.0.1.2'],
    });
  });

  test('tell who is forgotten, whether it had drained before or not', () => {
    const start = filled(untouched(), [...rows(3), row('10.0.1.3', 0)], MINIMAL);
    const dead = ['10.0.1.2', '10.0.1.3'].map((address) => ({
      ...row(address, 0),
      isForgotten: true,
    }));
    const plan = planFor(start, [...rows(2), ...dead]);
    expect(describeShares(plan).slice(1, 3)).toEqual([
      '  ~ 10.0.1.2     forgotten  1 -> 0            21      0   0.00%',
      '  ~ 10.0.1.3     forgotten       0             0      0   0.00%',
    ]);
    expect(describePlan(plan, WHERE, true).at(-1)).toBe(
      '  would be: 0 added, 0 removed, 0 drained, 2 forgotten, 0 changed, 21 of 64 slots moved (ideal: 21)',
    );
    expect(planJson(plan)).toMatchObject({
      drained: [],
      forgotten: ['10.0.1.2', '10.0.1.3'],
    });
  });

  test('as JSON have all of them', () => {
    expect(planJson(made)).toMatchObject({
      added: ['10.0.9.9'],
      removed: ['10.0.1.3'],
      drained: ['10.0.1.1'],
      changed: ['10.0.1.2'],
      slots: 64,
      slots_moved: 32,
      slots_ideal: 32,
    });
    const common = { weight_before: 1, slots_before: 16 };
    expect(sharesJson(made)).toEqual([
      { address: '10.0.1.0', change: null, ...common, weight: 1, slots: 16, share: 0.25 },
      {
        address: '10.0.1.1',
        change: 'drained',
        ...common,
        weight: 0,
        slots: 0,
        share: 0,
      },
      {
        address: '10.0.1.2',
        change: 'changed',
        ...common,
        weight: 2,
        slots: 32,
        share: 0.5,
      },
      {
        ...{ address: '10.0.9.9', change: 'added', weight_before: null, slots_before: 0 },
        ...{ weight: 1, slots: 16, share: 0.25 },
      },
      {
        ...{ address: '10.0.1.3', change: 'removed', ...common },
        ...{ weight: null, slots: 0, share: 0 },
      },
    ]);
  });

  test('of many that are alike are one line', () => {
    const sizes = { slots: 4096, destinations: 1024, cells: 16 };
    const many = filled(untouched(sizes), rows(512), { slots: 4096 });
    const one = planFor(many, [...rows(511), row('10.0.9.9', 3)]);
    const lines = describeShares(one);
    expect(lines).toHaveLength(4);
    expect(lines[1]).toMatch(/^ {2}\+ 10\.0\.9\.9 +added +3 +- +2\d +0\.\d\d%$/);
    expect(lines[2]).toMatch(/^ {2}- 10\.0\.2\.255 +removed +1 +8 +- +-$/);
    expect(lines[3]).toMatch(
      /^ {4}511 destinations alike +1 +8 +7 to 8 +0\.17% to 0\.20%$/,
    );
    expect(sharesJson(one)).toHaveLength(513);
  });

  test('say nothing where there is nothing to do', () => {
    expect(describePlan(planFor(four, rows(4)), WHERE, true)).toEqual([
      'ens4 [Driver] any/tcp, any/udp: 4 destinations in 64 slots, ssh kept',
      '  nothing to do: the table already matches',
    ]);
  });
});
