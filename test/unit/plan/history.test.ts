// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import type { Remember } from '../../../src/abi/cell.js';
import { CELL_MINIMAL_TABLE } from '../../../src/abi/cell.js';
import type { Slot } from '../../../src/abi/slot.js';
import { foldHistory } from '../../../src/plan/history.js';
import { isHot } from '../../../src/plan/hot-slots.js';
import type { State } from '../../../src/plan/state.js';
import type { WantedDestination } from '../../../src/plan/steps.js';
import { sumOfFolded, sumOfSlots } from '../../../src/plan/sum-of-slots.js';
import { at } from '../../../src/text/must.js';
import { joinNames, parseNames } from '../../../src/wire/names.js';
import { filled, planFor, row, slotsOf, untouched } from './states.js';

const NAMES = joinNames([parseNames('10.7.0.0/16')]);
const SLOTS = 64;
const MOST = 4;

/** Numbers that look random, and are the same in each run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
}

type History = WantedDestination[][];

/** The next set: a destination comes, goes, is forgotten, or gets another weight. */
function nextSet(set: readonly WantedDestination[], random: (n: number) => number) {
  const index = random(set.length);
  const others = set.filter((_, place) => place !== index);
  const one = at(set, index);
  const change = random(5);
  if (change === 0 && others.some(({ weight }) => weight > 0)) return others;
  if (change === 1) return [...set, row(`10.0.1.${1 + random(250)}`)].filter(isFirst);
  if (change === 2 && others.some(({ weight }) => weight > 0))
    return [...others, { ...one, weight: 0, isForgotten: random(2) === 0 }];
  return [...others, { ...one, weight: 1 + random(4), isForgotten: false }];
}

const isFirst = (
  one: WantedDestination,
  index: number,
  all: WantedDestination[],
): boolean => all.findIndex(({ address }) => address.equals(one.address)) === index;

function histories(seed: number, changes: number): History[] {
  const random = numbers(seed);
  let history: History = [[row('10.0.1.1'), row('10.0.1.2'), row('10.0.1.3')]];
  return Array.from({ length: changes }, () => {
    const settled = random(3) === 0 ? history.slice(1) : history;
    const kept = settled.length === 0 ? history : settled;
    history = [...kept, nextSet(at(kept, kept.length - 1), random)].slice(-MOST);
    return history;
  });
}

describe.each([
  ['the balancer', 'consistent'],
  ['destinations', 'consistent'],
  ['the balancer', 'minimal'],
  ['destinations', 'minimal'],
] as const)('where %s remember, with a table that is %s,', (who, table) => {
  const remember: Remember = who === 'destinations' ? 'destinations' : 'balancer';
  const how = { remember, names: NAMES, table, slots: SLOTS };
  let now = 1000;
  const fill = (live: State, history: History): State => {
    now += 7;
    const newest = at(history, history.length - 1);
    return filled(live, newest, { ...how, now, history: history.slice(0, -1) });
  };
  const { service } = planFor(untouched(), [row('10.0.1.1')], how);
  const sum = (state: State): string => sumOfSlots(state, service);

  test.each([1, 2])(
    'balancers agree that have seen all, some, or one of the documents of run %i',
    (seed) => {
      const random = numbers(seed + 100);
      let [all, some] = [untouched(), untouched()];
      for (const history of histories(seed, 50)) {
        all = fill(all, history);
        if (random(3) === 0) some = fill(some, history);
        else continue;
        const late = fill(untouched(), history);
        expect([sum(some), sum(late)]).toEqual([sum(all), sum(all)]);
        const newest = at(history, history.length - 1);
        const folded = foldHistory(history, {
          ...{ log2Slots: Math.log2(SLOTS), remember, names: NAMES },
          flags: table === 'minimal' ? CELL_MINIMAL_TABLE : 0,
        });
        expect(sumOfFolded(folded, newest, all.device.slotSeed)).toBe(sum(all));
      }
    },
  );

  test('a history of fills is what these fills make', () => {
    const sets = at(histories(9, 4), 3);
    let live = untouched();
    for (const set of sets) live = filled(live, set, { ...how, now });
    expect(sum(live)).toBe(sum(fill(untouched(), sets)));
  });

  test('nothing is written where nothing differs', () => {
    const history = at(histories(5, 9), 8);
    const live = fill(untouched(), history);
    now += 1000;
    const newest = at(history, history.length - 1);
    const again = { ...how, now, history: history.slice(0, -1) };
    expect(planFor(live, newest, again).writes).toEqual([]);
  });

  test('without its oldest set a slot is cold that moved before the second', () => {
    const sets = [
      [row('10.0.1.1'), row('10.0.1.2')],
      [row('10.0.1.1'), row('10.0.1.2', 0)],
    ];
    const live = fill(untouched(), sets);
    const hotIn = (state: State): number =>
      [...slotsOf(state, service).values()].filter(isHot).length;
    expect(hotIn(live)).toBeGreaterThan(SLOTS / 3);
    expect(hotIn(fill(live, sets.slice(1)))).toBe(0);
  });
});

describe('a slot that remembers something else by now', () => {
  const sets = [
    [row('10.0.1.1'), row('10.0.1.2'), row('10.0.1.3')],
    [row('10.0.1.1'), row('10.0.1.2', 0), row('10.0.1.3')],
    [row('10.0.1.1', 0), row('10.0.1.2', 0), row('10.0.1.3')],
  ];
  const fillAt = (live: State, history: History, now: number): State => {
    const newest = at(history, history.length - 1);
    const fill = { slots: SLOTS, now, history: history.slice(0, -1) };
    return filled(live, newest, fill);
  };

  test('keeps its records, which count since it became hot', () => {
    const before = fillAt(untouched(), sets, 10);
    const after = fillAt(before, sets.slice(1), 20);
    const times = (state: State): number[] => [
      ...new Set([...state.slots.values()].filter(isHot).map(({ since }) => since)),
    ];
    expect(times(before)).toEqual([10]);
    expect(times(after)).toEqual([10]);
    expect(times(fillAt(untouched(), sets.slice(1), 20))).toEqual([20]);
  });
});

/** Whoever changes these breaks fleets whose balancers have different versions. */
test('sums that stay as they are', () => {
  const sets = at(histories(1, 12), 11);
  const newest = at(sets, sets.length - 1);
  const of = (remember: Remember | undefined): string => {
    const fold = { log2Slots: 8, flags: 0, remember, names: NAMES };
    const slots: Slot[] = foldHistory(sets, fold);
    return sumOfFolded(slots, newest, 1);
  };
  expect([of('destinations'), of('balancer'), of(undefined)]).toMatchInlineSnapshot(`
   [
     "fab7aad51a0d1958",
     "fab7aad51a0d1958",
     "3e6ca7cbae82eca9",
   ]
  `);
});
