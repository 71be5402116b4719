// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Which slots are still needed, by what destinations say. */
import { describe, expect, test } from '@jest/globals';

import type { SiblingSeen } from '../../../src/config/destination-status.js';
import { settling } from '../../../src/plan/hot-slots.js';
import type { Witness } from '../../../src/plan/used.js';
import { HotPairs, testify, witnessesOf } from '../../../src/plan/used.js';
import { parseNames } from '../../../src/wire/names.js';
import { ip } from '../wire/names.js';

const [A, B, C] = ['10.0.1.1', '10.0.1.2', '10.0.1.3'] as const;
const NAMES = { ipv4: parseNames('10.7.0.0/16') };
const OTHER_NAMES = { ipv6: parseNames('fd00:7::/112') };
const NOW = 10_000;
const ENOUGH = 300;

/** It has known the sibling for long, and nothing came. */
const QUIET: SiblingSeen = {
  known: 5000,
  found: undefined,
  named: undefined,
  isMisled: false,
};

function witness(
  self: string[],
  siblings: Record<string, Partial<SiblingSeen>>,
  age = 5,
): Witness {
  const seen = Object.entries(siblings).map(
    ([address, one]) => [address, { ...QUIET, ...one }] as const,
  );
  const file = `${self[0] ?? ''}.json`;
  const known = { self, siblings: new Map(seen) };
  return { file, printed: NOW - age, time: 0, names: NAMES, ...known };
}

const AT_B = witness([B], { [A]: {}, [C]: {} });

describe('a slot that moved from A to B', () => {
  const moved = { current: B, previous: [A] };
  const hear = (...witnesses: Witness[]) =>
    testify(witnessesOf(witnesses), moved, ENOUGH, NOW);

  test('is not needed if A found no socket for what B sent on', () => {
    expect(hear(AT_B, witness([A], { [B]: {} }))).toEqual({
      ...{ isSeen: true, isUsed: false, age: 5, quiet: Infinity },
    });
    // What B or A do with other siblings does not matter, nor new connections at B.
    const others = witness([A], { [B]: { named: 1 }, [C]: { found: 1, named: 1 } });
    expect(hear(witness([B], { [A]: { named: 1, found: 1 } }), others)).toMatchObject({
      ...{ isUsed: false, quiet: Infinity },
    });
  });

  test('is needed if A found one lately', () => {
    expect(hear(AT_B, witness([A], { [B]: { found: 3 } }))).toEqual({
      ...{ isSeen: true, isUsed: true, age: 5, quiet: 3 },
    });
    expect(hear(AT_B, witness([A], { [B]: { found: 299 } }))).toMatchObject({
      isUsed: true,
    });
    expect(hear(AT_B, witness([A], { [B]: { found: 300 } }))).toMatchObject({
      ...{ isUsed: false, quiet: 300 },
    });
  });

  test('is needed if A found one on any of its devices', () => {
    const [one, other] = [
      witness([A], { [B]: {} }, 9),
      witness([A], { [B]: { found: 3 } }),
    ];
    expect(hear(AT_B, one, other)).toMatchObject({ isUsed: true, age: 9, quiet: 3 });
  });

  test.each([
    { at: 'A', whose: A, names: {}, found: undefined },
    { at: 'B', whose: B, names: {}, found: undefined },
    { at: 'A', whose: A, names: OTHER_NAMES, found: undefined },
    { at: 'A', whose: A, names: OTHER_NAMES, found: 3 },
  ])('is not seen if $at has no names of its family', ({ whose, names, found }) => {
    const all = [AT_B, witness([A], { [B]: { found } })].map((one) =>
      one.self.includes(whose) ? { ...one, names } : one,
    );
    const why = `${whose} has no --names for IPv4`;
    expect(hear(...all)).toEqual({ isSeen: false, why });
  });

  test('is not seen if A has no names on one of its devices, unless it is needed', () => {
    const blind = { ...witness([A], { [B]: {} }), names: {} };
    expect(hear(AT_B, blind, witness([A], { [B]: {} }))).toMatchObject({ isSeen: false });
    const needed = witness([A], { [B]: { found: 3 } });
    expect(hear(AT_B, blind, needed)).toMatchObject({ isUsed: true, quiet: 3 });
  });

  test.each<[string, Witness[], string]>([
    ['A gave no status', [AT_B], `${A} gave no status`],
    ['B gave none', [witness([A], { [B]: {} })], `${B} gave no status`],
    [
      'what A said is older than what has to be quiet',
      [AT_B, witness([A], { [B]: {} }, 301)],
      `the status of ${A} is 301 s old`,
    ],
    [
      'A has not known B for long enough',
      [AT_B, witness([A], { [B]: { known: 299.9 } })],
      `${A} has known ${B} for 299 s only`,
    ],
    [
      'B has not known A for long enough, so it sent nothing on',
      [witness([B], { [A]: { known: 10 } }), witness([A], { [B]: {} })],
      `${B} has known ${A} for 10 s only`,
    ],
    ['A does not know B', [AT_B, witness([A], {})], `${A} does not know ${B}`],
    [
      'B does not know A',
      [witness([B], {}), witness([A], { [B]: {} })],
      `${B} does not know ${A}`,
    ],
    [
      'B sends to a MAC that is not that of A',
      [witness([B], { [A]: { isMisled: true } }), witness([A], { [B]: {} })],
      `${B} has a wrong MAC for ${A}`,
    ],
  ])('is not seen if %s', (_, witnesses, why) => {
    expect(hear(...witnesses)).toEqual({ isSeen: false, why });
  });

  test('is needed if A found a socket, whatever else is unknown', () => {
    const young = witness([A], { [B]: { known: 20, found: 3 } });
    for (const witnesses of [[AT_B, young], [young], [witness([B], {}), young]]) {
      expect(hear(...witnesses)).toMatchObject({ isSeen: true, isUsed: true, quiet: 3 });
    }
    const old = witness([A], { [B]: { found: 3 } }, 301);
    expect(hear(AT_B, old)).toMatchObject({ isSeen: false });
  });
});

describe('a slot that moved from C to A to B', () => {
  const moved = { current: B, previous: [A, C] };
  const hear = (...witnesses: Witness[]) =>
    testify(witnessesOf(witnesses), moved, ENOUGH, NOW);
  const AT_A = witness([A], { [B]: {}, [C]: {} });
  const AT_C = witness([C], { [A]: {}, [B]: {} });

  test('is needed for A by what names C and found a socket there', () => {
    expect(hear(AT_B, AT_A, AT_C)).toMatchObject({ isSeen: true, isUsed: false });
    const busy = witness([A], { [B]: {}, [C]: { named: 9 } });
    expect(hear(AT_B, busy, AT_C)).toMatchObject({ isUsed: true, quiet: 9 });
  });

  test('is needed for C by what A sent on', () => {
    const busy = witness([C], { [A]: { found: 7 }, [B]: { found: undefined } });
    expect(hear(AT_B, AT_A, busy)).toMatchObject({ isUsed: true, quiet: 7 });
  });

  test('is not needed for what C finds of others', () => {
    const busy = witness([C], { [A]: { named: 7 }, [B]: { found: 7 } });
    expect(hear(AT_B, AT_A, busy)).toMatchObject({ isUsed: false });
  });

  test('is not seen without each of them', () => {
    expect(hear(AT_B, AT_A)).toEqual({ isSeen: false, why: `${C} gave no status` });
    expect(hear(AT_B, witness([A], { [B]: {} }), AT_C)).toEqual({
      ...{ isSeen: false, why: `${A} does not know ${C}` },
    });
  });
});

test('a slot that came back needs only the one in between', () => {
  const back = { current: A, previous: [B, A] };
  const at = witness([A], { [B]: { found: 1, named: 1 } });
  const hear = (other: Witness) => testify(witnessesOf([at, other]), back, ENOUGH, NOW);
  expect(hear(witness([B], { [A]: {} }))).toMatchObject({ isSeen: true, isUsed: false });
  expect(hear(witness([B], { [A]: { named: 2 } }))).toMatchObject({ isUsed: true });
});

describe('a host with two addresses', () => {
  const SECOND = '10.0.1.9';

  test('takes what is its own, so its other address needs nothing', () => {
    const both = witness([B, SECOND], { [A]: {} });
    const within = { current: B, previous: [SECOND] };
    expect(testify(witnessesOf([both]), within, ENOUGH, NOW)).toMatchObject({
      isUsed: false,
    });
    const beyond = { current: B, previous: [SECOND, A] };
    const busy = witness([A], { [B]: { found: 4 }, [SECOND]: {} });
    expect(testify(witnessesOf([both, busy]), beyond, ENOUGH, NOW)).toMatchObject({
      quiet: 4,
    });
  });

  test('counts nothing if it is both destinations before', () => {
    const both = witness([A, SECOND], { [B]: {} });
    const moved = { current: B, previous: [A, SECOND] };
    expect(testify(witnessesOf([AT_B, both]), moved, ENOUGH, NOW)).toEqual({
      isSeen: false,
      why: `the two before are one host, ${A}, which counts neither`,
    });
  });
});

describe('slots', () => {
  const ADDRESSES = new Map([A, B, C].map((address, index) => [index + 1, ip(address)]));
  const settled = (witnesses: Witness[], since: number, idle = 3600) => {
    const pairs = new HotPairs(witnesses, ENOUGH, (id) => ADDRESSES.get(id), NOW);
    const slot = { current: 2, previous: 1, since };
    const needed = pairs.add(slot, 0, idle);
    const { wait } = settling(slot, needed.kept, NOW, needed.idle);
    return { wait, pairs: pairs.all() };
  };
  const quiet = [AT_B, witness([A], { [B]: {} }, 20)];

  test('go cold when nobody has needed them for long enough, before the idle time', () => {
    expect(settled(quiet, NOW - 320).wait).toBe(0);
    // The 20 seconds since A said so do not count.
    expect(settled(quiet, NOW - 319).wait).toBe(1);
  });

  test('stay hot while they are needed, beyond the idle time', () => {
    const busy = [AT_B, witness([A], { [B]: { found: 100 } }, 20)];
    expect(settled(busy, 0).wait).toBe(200);
  });

  test('follow the idle time where a destination said nothing', () => {
    expect(settled([AT_B], NOW - 3600).wait).toBe(0);
    expect(settled([AT_B], NOW - 3599).wait).toBe(1);
  });

  test('of the same destinations are one pair', () => {
    const pairs = new HotPairs(quiet, ENOUGH, (id) => ADDRESSES.get(id), NOW);
    for (const since of [1, 2]) pairs.add({ current: 2, previous: 1, since }, 0, 3600);
    pairs.add({ current: 2, previous: 3, second: 1, since: 1 }, 0, 3600);
    expect(pairs.all()).toMatchObject([
      { current: B, previous: [A], slots: 2, testimony: { isSeen: true } },
      { current: B, previous: [C, A], slots: 1, testimony: { isSeen: false } },
    ]);
  });
});
