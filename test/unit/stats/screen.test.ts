// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';
import { collect, reduce } from '../../../src/stats/screen/keys.js';
import { VERDICTS } from '../../../src/abi/verdicts.js';
import type { Sample } from '../../../src/stats/sample.js';
import { render } from '../../../src/stats/screen/draw.js';
import { initialState, HISTORY } from '../../../src/stats/screen/state.js';
import type { ScreenState } from '../../../src/stats/screen/state.js';
import { ip } from '../wire/names.js';
import { manyDestinations, sample, withAnswers } from './samples.js';

const THREE = { '10.0.9.1': 200, '10.0.10.1': 300, '10.0.10.2': 100 };

/** The first of the three, without share and history. */
const ROW = '   1  10.0.9.1                 200          230,400';

function open(shown?: Sample, width = 100, height = 24): ScreenState {
  const state = { ...initialState({ interface: 'ens4', interval: 1 }), width, height };
  return shown ? collect(state, shown) : state;
}

function press(state: ScreenState, ...keys: string[]): ScreenState {
  return keys.reduce(reduce, state);
}

function lines(state: ScreenState): string[] {
  return render(state).map((line) =>
    line
      .map(({ text }) => text)
      .join('')
      .trimEnd(),
  );
}

function addresses(state: ScreenState): string[] {
  return lines(state).flatMap((line) => /^ +\d+ {2}([\d.]+) /.exec(line)?.[1] ?? []);
}

describe('what is drawn', () => {
  test('is the whole screen', () => {
    const state = open(sample(THREE, { balanced: 600, 'too big': 2 }), 100, 12);
    expect(lines(state)).toEqual([
      '== Load balancer outbound statistics [Driver] ==  ens4  up 1d 02:03:04',
      '1-3 of 3   by address   every 1 s',
      '   #  address               pkts/s           bits/s    share  history',
      `   1  10.0.9.1                 200          230,400   33.33%  ${'█'.padStart(30)}`,
      `   2  10.0.10.1                300          345,600   50.00%  ${'█'.padStart(30)}`,
      `   3  10.0.10.2                100          115,200   16.67%  ${'█'.padStart(30)}`,
      ...['', ''],
      '[Totals]                       600          691,200  100.00%',
      'verdict                 pkts/s           in all    verdict                 pkts/s           in all',
      'too big                      2            2,000    balanced                   600          600,000',
      ' s sort  r reverse  p pause  / filter  arrows scroll  ? help  q quit',
    ]);
  });

  test('has answers where they come back, their bits only if there is room', () => {
    const some = withAnswers(sample(THREE), { '10.0.9.1': 150, '10.0.10.2': 50 });
    const seen = (width: number): string[] => lines(open(some, width, 9)).slice(2, 8);
    expect(seen(130)).toEqual([
      '   #  address               pkts/s           bits/s    share    answers/s           bits/s  history',
      `   1  10.0.9.1                 200          230,400   33.33%          150          172,800  ${'█'.padStart(30)}`,
      `   2  10.0.10.1                300          345,600   50.00%                                ${'█'.padStart(30)}`,
      `   3  10.0.10.2                100          115,200   16.67%           50           57,600  ${'█'.padStart(30)}`,
      '',
      '[Totals]                       600          691,200  100.00%          200          230,400',
    ]);
    expect(seen(80)[1]).toBe(`${ROW}   33.33%          150      █`);
    expect(seen(72)[1]).toBe(`${ROW}   33.33%  ${'█'.padStart(10)}`);
  });

  test('says that ports run out, before anything of the records', () => {
    const pool = { address: ip('10.0.9.0'), spread: 0, firstBlock: 0, services: [1] };
    const use = { ...pool, seen: 100, taken: 90, established: 80 };
    const records = { sets: 1 << 17, seen: 256, full: 64, limited: undefined };
    const some = { ...sample(THREE), records, ports: { blocks: 4, pools: [use] } };
    expect(lines(open(some, 130, 9))[2]).toMatch(/^ports of 10\.0\.9\.0 run out: 80/);
    const fine = { blocks: 4, pools: [{ ...use, established: 70 }] };
    expect(lines(open({ ...some, ports: fine }, 130, 9))[2]).toMatch(/^records are/);
  });

  test.each([
    [70, `${ROW}   33.33%  ${'█'.padStart(8)}`],
    [63, `${ROW}   33.33%  █`],
    [62, `${ROW}   33.33%`],
    [60, `${ROW}   33.33%`],
    [59, ROW],
    [51, ROW],
    [50, ROW.slice(0, 34)],
    [33, ROW.slice(0, 14)],
  ])(
    'gives up history, then share, and cuts no rate in two: %i columns',
    (width, row) => {
      expect(lines(open(sample(THREE), width))[3]).toBe(row);
    },
  );

  test('has verdicts that drop in another style', () => {
    const spans = render(open(sample(THREE, { 'too big': 2, 'not ip': 5 }))).flat();
    expect(spans.find(({ text }) => text.startsWith('too big'))?.style).toBe('alarm');
    expect(spans.find(({ text }) => text.startsWith('not ip'))?.style).toBe('plain');
  });

  test('says how many verdicts there was room for', () => {
    const all = Object.fromEntries(VERDICTS.map(({ name }) => [name, 1]));
    const text = lines(open(sample(manyDestinations(512), all), 80, 33)).join('\n');
    expect(text).toContain(`verdict (10 of ${VERDICTS.length})`);
    for (const { name } of VERDICTS.filter(({ action }) => action === 'DROP')) {
      expect(text).toContain(`\n${name}  `);
    }
  });

  test('before the first sample', () => {
    expect(lines(open())).toContain('Waiting for the first sample of ens4.');
  });

  test('of an empty table names the next command', () => {
    expect(lines(open(sample({})))).toContain(
      'The destination table is empty. To fill it: l4lb-map -i ens4 -f FILE',
    );
  });

  test('has the notice', () => {
    const state = { ...open(sample(THREE)), notice: 'The program is gone.' };
    expect(lines(state)[2]).toBe('The program is gone.');
    expect(lines({ ...state, notice: undefined })).not.toContain('The program is gone.');
  });

  test('has what is wrong with the records, if there is no other notice', () => {
    const records = { sets: 1 << 17, seen: 256, full: 64, limited: undefined };
    const state = open({ ...sample(THREE), records }, 150);
    expect(lines(state)[2]).toMatch(/^records are nearly full: 25% of new connections/);
    expect(lines({ ...state, notice: 'gone' })[2]).toBe('gone');
  });

  test('fits every size, also with the help and without a sample', () => {
    const full = open(sample(manyDestinations(512), { fragment: 1, balanced: 9 }));
    const wrong: string[] = [];
    for (const state of [full, open(), press(full, '?'), press(full, '/', '3', 'p')]) {
      for (let width = 1; width <= 130; width += 3) {
        for (let height = 1; height <= 40; height++) {
          const drawn = lines({ ...state, notice: 'gone', width, height });
          const widest = Math.max(...drawn.map((line) => line.length));
          if (drawn.length === height && widest <= width) continue;
          wrong.push(`${width}x${height}: ${drawn.length} lines of up to ${widest}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });
});

describe('sorting', () => {
  test.each([
    ['by address, numerically', [], ['10.0.9.1', '10.0.10.1', '10.0.10.2']],
    ['by packets', ['s'], ['10.0.10.1', '10.0.9.1', '10.0.10.2']],
    ['by bits', ['s', 's'], ['10.0.10.1', '10.0.9.1', '10.0.10.2']],
    ['by address again', ['s', 's', 's'], ['10.0.9.1', '10.0.10.1', '10.0.10.2']],
    ['by address, reversed', ['r'], ['10.0.10.2', '10.0.10.1', '10.0.9.1']],
    ['by packets, reversed', ['s', 'r'], ['10.0.10.2', '10.0.9.1', '10.0.10.1']],
    ['reversed twice', ['r', 'r'], ['10.0.9.1', '10.0.10.1', '10.0.10.2']],
  ])('%s', (_, keys, order) => {
    expect(addresses(press(open(sample(THREE)), ...keys))).toEqual(order);
  });

  test('is named in the header, and keeps the numbers', () => {
    const drawn = lines(press(open(sample(THREE)), 's', 'r'));
    expect(drawn[1]).toContain('by packets/s, reversed');
    expect(drawn[3]).toMatch(/^ {3}3 {2}10\.0\.10\.2 /);
  });

  test('by address does not rely on the order of the sample', () => {
    const unsorted = sample({ '10.0.10.1': 1, '10.0.9.1': 1 });
    expect(addresses(open(unsorted))).toEqual(['10.0.9.1', '10.0.10.1']);
  });
});

describe('the filter', () => {
  const typed = press(open(sample(THREE)), '/', '1', '0', '.', '2');

  test('is a part of the address, and acts while it is typed', () => {
    expect(addresses(typed)).toEqual(['10.0.10.2']);
    expect(lines(typed).at(-1)).toBe(' Filter: 10.2_   Enter accepts, Esc clears');
  });
  test('stays in the header after Enter, and letters are keys again', () => {
    const accepted = press(typed, 'enter', 's');
    expect(lines(accepted)[1]).toContain(
      '1-1 of 1   by packets/s   every 1 s   filter "10.2"',
    );
  });
  test('takes letters that are keys elsewhere', () => {
    expect(press(typed, 'q', 's', '?').filter).toBe('10.2qs?');
  });
  test.each([
    ['Backspace takes one away', ['backspace'], '10.'],
    ['Ctrl-U takes all', ['C-u'], ''],
    ['Esc clears it', ['escape'], ''],
    ['Esc clears it after Enter', ['enter', 'escape'], ''],
    ['/ goes on where Enter left', ['enter', '/', '1'], '10.21'],
    ['names of other keys are not typed', ['pageup', 'f5', ' '], '10.2'],
  ])('%s', (_, keys, filter) => expect(press(typed, ...keys).filter).toBe(filter));

  test('that lets nothing through is said', () => {
    expect(lines(press(typed, '{', 'b', '}'))).toContain(
      'No address contains "10.2{b}".',
    );
  });
});

describe('scrolling 512 rows', () => {
  const state = open(sample(manyDestinations(512)), 80, 25);

  test.each([
    ['at first', [], '1-20 of 512'],
    ['a row down', ['down'], '2-21 of 512'],
    ['and up', ['j', 'j', 'k', 'up'], '1-20 of 512'],
    ['not above the first', ['up', 'pageup'], '1-20 of 512'],
    ['a page down', ['pagedown'], '21-40 of 512'],
    ['and up again', ['pagedown', 'pagedown', 'pageup'], '21-40 of 512'],
    ['to the end', ['end'], '493-512 of 512'],
    ['not beyond', ['G', 'down', 'pagedown'], '493-512 of 512'],
    ['home', ['end', 'home'], '1-20 of 512'],
    ['home by g', ['G', 'g'], '1-20 of 512'],
    ['another order begins at the top', ['end', 's'], '1-20 of 512'],
    ['a filter begins at the top', ['end', '/', '.', '2', '.'], '1-1 of 1'],
  ])('%s', (_, keys, position) => {
    const scrolled = press(state, ...keys);
    expect(lines(scrolled)[1]).toContain(`${position} `);
    expect(lines(scrolled)[0]).toBe(lines(state)[0]);
    expect(lines(scrolled).at(-2)).toBe(lines(state).at(-2));
  });

  test('holds its end when the table shrinks', () => {
    const shrunk = collect(press(state, 'end'), sample(manyDestinations(30)));
    expect(lines(shrunk)[1]).toContain('11-30 of 30 ');
    expect(lines(press(shrunk, 'up'))[1]).toContain('10-29 of 30 ');
  });
});

describe('the pause', () => {
  const one = (pps: number): Sample => sample({ '10.0.0.1': pps });
  const paused = collect(collect(press(open(one(1)), 'p'), one(8)), one(4));

  test('keeps what is shown, and says so', () => {
    expect(lines(paused)[1]).toContain('PAUSED');
    expect(lines(paused)[3]).toMatch(/^ {3}1 {2}10\.0\.0\.1 +1 .* {2}█$/);
  });
  test('ends with what came last, and the history has all of it', () => {
    for (const key of ['p', ' ']) {
      const drawn = lines(press(paused, key));
      expect(drawn[1]).not.toContain('PAUSED');
      expect(drawn[3]).toMatch(/^ {3}1 {2}10\.0\.0\.1 +4 .* {2}▁█▄$/);
    }
  });
  test('before the first sample shows the first one', () => {
    expect(addresses(collect(press(open(), 'p'), one(1)))).toEqual(['10.0.0.1']);
  });
});

describe('the history', () => {
  test('forgets what is older than its length', () => {
    let state = open();
    for (let pps = 1; pps <= HISTORY + 5; pps++) {
      state = collect(state, sample({ '10.0.0.1': pps }));
    }
    const pps = state.shown?.history.get(1)?.pps;
    expect(pps).toHaveLength(HISTORY);
    expect([pps?.[0], pps?.at(-1)]).toEqual([6, HISTORY + 5]);
  });
  test('starts anew when the id has a new owner', () => {
    const state = collect(open(sample({ '10.0.0.1': 8 })), sample({ '10.0.0.2': 8 }));
    expect(state.shown?.history.get(1)).toEqual({ address: '10.0.0.2', pps: [8] });
  });
});

describe('the help', () => {
  test('lists the keys and what each verdict means', () => {
    const text = lines(press(open(sample(THREE), 100, 60), '?')).join('\n');
    for (const { meaning } of VERDICTS) expect(text).toContain(meaning);
    for (const key of ['PgUp', 'Home', 'Ctrl-C', '/', 'space'])
      expect(text).toContain(key);
  });
  test.each(['?', 'escape', 'enter'])('is left by %s', (key) => {
    const state = open(sample(THREE));
    expect(lines(press(state, '?', key))).toEqual(lines(state));
  });
  test('scrolls on a small screen, and its last line stays', () => {
    const help = press(open(sample(THREE), 80, 10), '?');
    expect(lines(help)[0]).toBe('Keys');
    const end = lines(press(help, 'end'));
    expect(end.at(-2)).toContain(VERDICTS.at(-1)?.meaning);
    expect(end.at(-1)).toBe(lines(help).at(-1));
  });
});

describe('quitting', () => {
  test.each([
    ['by q', ['q'], true],
    ['by Ctrl-C', ['C-c'], true],
    ['by Ctrl-C while typing a filter', ['/', 'C-c'], true],
    ['by q from the help', ['?', 'q'], true],
    ['not by a q in the filter', ['/', 'q'], false],
    ['not by other keys', ['x', 'C-d', 'f1'], false],
  ])('%s', (_, keys, quit) => {
    expect(press(open(sample(THREE)), ...keys).quit).toBe(quit);
  });
});
