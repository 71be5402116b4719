// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What the page says and draws, without a browser. */
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';

import type { Entry } from '../../../src/api/events.js';
import { HISTORY_FOR } from '../../../src/api/history.js';
import type { Status } from '../../../src/api/status.js';
import { LastMinutes } from '../../../src/daemon/last-minutes.js';
import { squarify } from '../../../src/page/figures/area.js';
import { balanceOf } from '../../../src/page/figures/balance.js';
import { marksOf, told, withEvent } from '../../../src/page/figures/events.js';
import type { Column } from '../../../src/page/figures/rows.js';
import { checkText, filtered, rowsOf, sorted } from '../../../src/page/figures/rows.js';
import { Series } from '../../../src/page/figures/series.js';
import { stripOf } from '../../../src/page/figures/strip.js';
import { truthOf } from '../../../src/page/figures/truth.js';
import { askAfter, visible } from '../../../src/page/figures/window.js';
import { destination, service, status } from '../api/status.js';

const last = { time: '', passed: true, ms: 1.5, reason: '' };
const up = (name: string, more = {}): ReturnType<typeof destination> =>
  destination({ name, last, ...more });
const down = up('10.0.0.10', {
  ...{ state: 'down', live: 0, slots: 0, reason: 'refused' },
  last: { ...last, passed: false, reason: 'refused' },
});
const drained = up('10.0.0.2', { by_hand: 'drained', live: 0, slots: 0 });
const several = status({
  services: [
    service({ destinations: [up('10.0.0.9', { live: 3, weight: 3 }), down, drained] }),
    service({ name: 'dns', destinations: [up('10.0.0.1')] }),
  ],
});
const noRates = (): null => null;

test('all that the browser loads is at most 80 KB', () => {
  const bytes = ['index.html', 'page.js', 'page.css']
    .map((name) => gzipSync(readFileSync(`dist/page/${name}`)).length)
    .reduce((sum, one) => sum + one);
  expect(bytes).toBeLessThan(80_000);
  // What it is made of is named.
  expect(readFileSync('dist/page/page.js', 'utf8')).toMatch(/^\/\* With preact.*MIT/);
});

describe('the line of truth', () => {
  const well = status({ services: [service({ destinations: [up('a'), up('b')] })] });
  test.each<[string, Status | undefined, object, string]>([
    ['has asked', undefined, { age: 0 }, 'waiting asking l4lbd'],
    ['has no answer', undefined, { age: 0, fault: 'no way' }, 'gone no answer no way'],
    ['all are up', well, { age: 999 }, 'well well 2 up seen 1 s ago'],
    ['some are not', several, { age: 0 }, 'watch look 2 up, 1 down, 1 drained seen now'],
    ['it is gone', well, { age: 12_000 }, 'gone gone 2 up last seen 12 s ago'],
    [
      'the page was hidden',
      ...([well, { age: 12_000, isAsking: true }] as const),
      'waiting asking 2 up last seen 12 s ago',
    ],
    [
      'it takes long',
      well,
      { age: 12_000, goneAfter: 20_000 },
      'well well 2 up seen 12 s ago',
    ],
  ])('%s', (_, given, contact, expected) => {
    const { mood, word, text, age } = truthOf(given, { age: 0, ...contact });
    expect(`${mood} ${word} ${text} ${age}`.trim()).toBe(expected);
  });

  test('has all troubles below it, and is never well with one', () => {
    const none = [up('a', { live: 0 })];
    const bad = status({
      services: [
        service({ panic: true }),
        service({ name: 'dns', destinations: none }),
        service({ name: 'ntp', on_backup: true }),
      ],
      ready: false,
      file: { ...several.file, fault: 'line 3' },
      checker: { pid: null, silent_ms: 4000, late: 0, checks: 1 },
      unseen: ['counters'],
    });
    const { mood, troubles } = truthOf(bad, { age: 0 });
    expect(mood).toBe('bad');
    expect(troubles).toEqual([
      'web: panic, 1 of 2 weight passes (keep)',
      'dns: no destination gets new connections',
      'ntp: the backups stand in',
      'The tables are not as the file and the checks want them.',
      '/etc/l4lb/l4lb.toml has a fault, and what it said before still holds: line 3',
      'The checker has said nothing for 4.0 s.',
      'Not seen: counters',
    ]);
    // Nobody knows whether that is still so.
    expect(truthOf(bad, { age: 9000 }).troubles[0]).toBe('l4lbd does not answer');
  });
});

describe('the table', () => {
  const rows = rowsOf(several, (key) => (key.startsWith('web') ? 50 : null));
  const names = (by: Column, isDown = false): string[] =>
    sorted(rows, { by, isDown }).map(({ name }) => name.replace('10.0.0.', ''));

  test('says what each gets, and what it should', () => {
    const [first, second, third, dns] = rows;
    expect(first).toMatchObject({ expected: 1, slotShare: 0.5, packetShare: 1 / 3 });
    expect(second).toMatchObject({ expected: 0, slotShare: 0, weight: '0 of 1' });
    expect(third).toMatchObject({ condition: 'drained', isWell: false, rate: 50 });
    expect(dns).toMatchObject({ packetShare: null, rate: null });
    expect(rowsOf(several, noRates, 'dns')).toHaveLength(1);
  });

  test.each<[Column, string[]]>([
    ['state', ['10', '2', '9', '1']],
    ['name', ['1', '2', '9', '10']],
    ['service', ['1', '9', '10', '2']],
    ['weight', ['10', '2', '1', '9']],
    ['slots', ['10', '2', '9', '1']],
    ['packets', ['1', '9', '10', '2']],
  ])('is in order by %s', (by, expected) => {
    expect(names(by)).toEqual(expected);
    // Those that are equal keep their order.
    expect(names(by, true)[0]).toBe(by === 'name' ? '10' : '9');
  });

  test('shows what has all words, or what is not well', () => {
    const found = (words: string, isUnwellOnly = false): string[] =>
      filtered(rows, words, isUnwellOnly).map(({ name }) => name);
    expect(found('  REFUSED web ')).toEqual(['10.0.0.10']);
    expect(found('drained')).toEqual(['10.0.0.2']);
    expect(found('', true)).toEqual(['10.0.0.10', '10.0.0.2']);
    expect(found('nobody')).toEqual([]);
  });

  test('says how the last check ended', () => {
    expect(checkText(up('a'))).toBe('passed in 1.5 ms');
    expect(checkText(down)).toBe('failed in 1.5 ms: refused');
    expect(checkText({ ...down, last: { ...last, passed: null, reason: 'late' } })).toBe(
      'said nothing in 1.5 ms: late',
    );
    expect(checkText(destination())).toBe('not checked');
  });

  test('draws only the rows that are seen, and some around them', () => {
    expect(visible(4096, 30, { top: 30_000, height: 600 })).toEqual({
      from: 992,
      to: 1028,
    });
    expect(visible(3, 30, { top: 0, height: 600 })).toEqual({ from: 0, to: 3 });
    expect(visible(0, 30, { top: 900, height: 600 })).toEqual({ from: 0, to: 0 });
    // It was scrolled down when the filter left few.
    expect(visible(5, 30, { top: 90_000, height: 600 })).toEqual({ from: 4, to: 5 });
  });

  test('asks seldom where answers take long', () => {
    expect([askAfter(20), askAfter(300)]).toEqual([2000, 6000]);
  });

  test('has the last checks as a strip that needs no colour', () => {
    const { passed, failed, void: silent, text } = stripOf('++-?');
    expect(text).toBe('2 passed, 1 failed, 1 said nothing of the last 4');
    expect(passed.match(/M/g)).toHaveLength(2);
    expect(failed).toBe('M58.1 0h.8v10h-.8z');
    expect(silent).toBe('M59.1 8h.8v1h-.8z');
    expect(stripOf('').text).toBe('no checks');
  });
});

test('the balance is by packets if they are seen, else by slots', () => {
  const rows = rowsOf(several, noRates, 'web');
  expect(balanceOf(rows)).toEqual({
    ...{ columns: [{ ideal: 1, actual: 0.5 }], most: -0.5, of: 'slots' },
  });
  const counted = balanceOf(rowsOf(several, () => 100, 'web'));
  // Few packets are chance.
  expect(balanceOf(rowsOf(several, () => 1, 'web')).of).toBe('slots');
  expect(counted).toMatchObject({ of: 'packets', most: expect.closeTo(1 / 3 - 1) });
  expect(balanceOf([])).toEqual({ columns: [], most: null, of: 'slots' });
  // Of many, those are drawn that are farthest from what they should get.
  const many = Array.from({ length: 1000 }, (_, index) =>
    up(`10.0.1.${index}`, { slots: index === 700 ? 3 : 1 }),
  );
  const large = status({ services: [service({ slots: 1002, destinations: many })] });
  const { columns } = balanceOf(rowsOf(large, noRates));
  expect(columns.length).toBeLessThanOrEqual(64);
  const top = Math.max(...columns.map(({ ideal, actual }) => actual / ideal));
  expect(top).toBeCloseTo(3, 1);
});

describe('the last ten minutes', () => {
  const begun = Date.parse('2026-11-30T12:00:00Z');
  const at = (seconds: number, packets: number, name = 'web'): Status =>
    status({
      time: new Date(begun + seconds * 1000).toISOString(),
      services: [
        service({
          ...{ name, counted: { packets, bytes: 2 * packets }, healthy: 1, weight: 2 },
          destinations: [up('10.0.0.1', { counted: { packets, bytes: 0 } })],
        }),
      ],
      verdicts: [{ name: 'too big', action: 'DROP', packets: seconds, bytes: 0 }],
    });

  test('are what l4lbd has kept, and then what the page has seen', () => {
    const kept = new LastMinutes();
    kept.add(at(0, 100));
    kept.add(at(5, 200));
    const series = new Series();
    series.begin(kept.history());
    series.add(at(7, 300));
    series.add(at(7, 300)); // the same once more
    expect(series.rates('packets', 'web')).toEqual([null, 20, 50]);
    expect(series.rates('bytes')).toEqual([null, 40, 100]);
    expect(series.drops()).toEqual([null, 1, 1]);
    expect(series.passing()).toEqual([50, 50, 50]);
    expect(series.rateOf('web 10.0.0.1')).toBeNull();
    series.add(at(9, 500));
    expect(series.rateOf('web 10.0.0.1')).toBe(100);
  });

  test('have gaps where a counter began anew and where a service was not there', () => {
    const series = new Series();
    series.add(at(0, 100));
    series.add(at(2, 10));
    series.add(at(4, 30, 'dns'));
    series.add(at(6, 50, 'dns'));
    expect(series.rates('packets', 'web')).toEqual([null, null, null, null]);
    expect(series.rates('packets', 'dns')).toEqual([null, null, null, 10]);
    expect(series.rates('packets')).toEqual([null, null, null, 10]);
    expect(series.rates('packets', 'none')).toEqual([null, null, null, null]);
  });

  test('end ten minutes ago', () => {
    const series = new Series();
    const kept = new LastMinutes();
    for (let seconds = 0; seconds <= 1200; seconds += 5) {
      series.add(at(seconds, seconds, seconds < 300 ? 'old' : 'web'));
      kept.add(at(seconds, seconds));
    }
    expect(series.times[0]).toBe(begun + 600_000);
    expect([...series.services.keys()]).toEqual(['web']);
    expect(series.dropped).toHaveLength(series.times.length);
    expect(kept.history().times).toHaveLength(HISTORY_FOR / 5000);
    // 2,000 looks at 4,096 destinations are not all kept.
    expect(series.rateOf('web 10.0.0.1')).toBe(1);
  });
});

test('an area is divided by share, without gaps, into what is nearly square', () => {
  const values = [6, 6, 4, 3, 2, 2, 1];
  const boxes = squarify(values, { x: 10, y: 0, width: 60, height: 40 });
  boxes.forEach(({ x, y, width, height }, index) => {
    expect(width * height).toBeCloseTo((values[index] ?? 0) * 100);
    expect(x).toBeGreaterThanOrEqual(10);
    expect(x + width).toBeLessThanOrEqual(70.001);
    expect(y + height).toBeLessThanOrEqual(40.001);
    expect(Math.max(width / height, height / width)).toBeLessThan(3);
  });
  expect(squarify([], { x: 0, y: 0, width: 1, height: 1 })).toEqual([]);
});

describe('events', () => {
  const all = { interface: 'eth0', service: 'web', destination: 'a' };
  const entry = (id: number, seconds: number, event: object): Entry =>
    ({ ...all, id, time: new Date(seconds * 1000).toISOString(), ...event }) as Entry;
  const fell = { kind: 'state', before: 'up', after: 'down', reason: 'refused' };
  const filled = {
    ...{ kind: 'filled', cause: 'health', weights: [], moved: 9, ideal: 8, took: 1 },
  };

  test('say who, why, and how many slots moved', () => {
    expect(told(entry(1, 1, fell))).toMatchObject({
      ...{ who: 'checks', weight: 'bad', text: 'web: a is down, was up: refused' },
    });
    expect(told(entry(2, 1, filled))).toMatchObject({
      ...{ who: 'checks', weight: 'plain', moved: { moved: 9, ideal: 8 } },
    });
    expect(told(entry(3, 1, { kind: 'hand', action: 'drain', by: 'page' })).who).toBe(
      'by hand',
    );
    expect(told(entry(4, 1, { ...fell, after: 'up' })).weight).toBe('good');
    expect(told(entry(5, 1, { kind: 'panic', begins: true })).weight).toBe('bad');
    expect(told(entry(6, 1, { kind: 'trouble', what: 'x' }))).toMatchObject({
      ...{ who: 'l4lbd', weight: 'bad' },
    });
  });

  test('come once, the latest first', () => {
    let list = withEvent([], entry(1, 1, fell), 2);
    for (const id of [2, 2, 1, 3]) list = withEvent(list, entry(id, id, fell), 2);
    expect(list.map(({ id }) => id)).toEqual([3, 2]);
  });

  test('that are near each other have one mark, of the worst', () => {
    const list = [
      ...[
        entry(1, 10, filled),
        entry(2, 11, fell),
        entry(3, 12, { ...filled, service: 'dns' }),
      ],
      entry(4, 30, { ...fell, after: 'up' }),
    ].reduce<ReturnType<typeof withEvent>>(
      (before, one) => withEvent(before, one, 99),
      [],
    );
    expect(marksOf(list, 'web', 4000)).toMatchObject([
      { time: 10_000, weight: 'bad', texts: { length: 2 } },
      { time: 30_000, weight: 'good' },
    ]);
    expect(marksOf(list, undefined, 4000)[0]?.texts).toHaveLength(3);
  });
});
