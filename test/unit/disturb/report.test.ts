// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { judge } from '../../../src/disturb/judge.js';
import type { Result } from '../../../src/disturb/report.js';
import { synReceivedPorts } from '../../../src/disturb/half-open.js';
import { sumHalfOpen } from '../../../src/disturb/judge-half-open.js';
import {
  allAvoidable,
  describeResult,
  droppedByBalancer,
  progressLine,
  resultJson,
} from '../../../src/disturb/report.js';
import { escape, steps, ticks } from '../../../src/text/svg.js';
import { drawSvg } from '../../../src/disturb/svg.js';
import { count, judged, lost, open, record, schedule } from './runs.js';

const EVENTS = [open(1, 1), open(2, 2), open(3, 2), lost(1, 1050), lost(2, 1060)];
const RESULT: Result = {
  connections: 3,
  duration: 3,
  object: 'l4lb_xdp.o',
  table: undefined,
  record: record(...EVENTS, count(0, 3), count(2900, 1)),
  outcome: judged(...EVENTS, count(0, 3), count(2900, 1)),
  verdicts: { balanced: 200, 'not ip': 3, 'too big': 2, malformed: 1 },
};

describe('the report', () => {
  test('of a second is one line', () => {
    const now = { event: 'count', at: 0, opened: 100, connecting: 0 } as const;
    expect(
      progressLine({ ...now, active: 100, sent: 496, received: 494, dropped: 0 }, 0),
    ).toBe('Conn act/fail/connecting: 100/0/0, Packets send/rec/dropped: 496/494/0');
  });

  test("knows the balancer's drops from what it passed", () => {
    expect(droppedByBalancer(RESULT.verdicts)).toBe(3);
  });

  test('as JSON has what programs read', () => {
    expect(resultJson(RESULT)).toMatchObject({
      connections: 3,
      duration_s: 3,
      table: null,
      remember: 'balancer',
      forward: 'tunnel',
      changes: [
        { change: 'remove 1', at: 1, lost_avoidable: 1, lost_unavoidable: 1, ideal: 1 },
        { change: 'replace', at: 2, lost_avoidable: 0, lost_unavoidable: 0, ideal: 0 },
      ],
      lost_avoidable: 1,
      lost_unavoidable: 1,
      lost_why: { reset: 2 },
      sent: 100,
      received: 97,
      dropped: 3,
      balancer: { packets: 206, dropped: 3 },
      per_destination: [
        { address: '10.0.1.1', weight: null, removed: true, opened: 1, active: 0 },
        { address: '10.0.1.2', weight: 100, removed: false, opened: 2, active: 1 },
      ],
    });
  });

  test('in words has a row for each change and destination', () => {
    expect(describeResult(RESULT)).toEqual([
      '   at  change    ideal  unavoidable  avoidable  new  fullest  uneven',
      '0.0 s  start         0            0          0    3     1.33     0.3',
      '1.0 s  remove 1      1            1          1    0        -       -',
      '2.0 s  replace       0            0          0    0        -       -',
      '',
      'destination   weight  opened  active  unavoidable  avoidable',
      '10.0.1.1     removed       1       0            1          0',
      '10.0.1.2         100       2       1            0          1',
      '',
      'Lost: 1 avoidable, 1 unavoidable (ideal: 1), of 4 connections',
      'Messages: 100 sent, 97 echoed, 3 dropped',
      'Balancer: 200 packets sent on, 3 dropped',
    ]);
  });
});

test('names the link', () => {
  const byLink: Result = { ...RESULT, forward: 'link' };
  expect(resultJson(byLink)).toMatchObject({ forward: 'link' });
  expect(describeResult(byLink).at(-1)).toBe(
    'Balancer: 200 packets sent on by the link, 3 dropped',
  );
});

describe('what was beside the connections', () => {
  const base = record(...EVENTS, count(0, 3), count(2900, 1));
  const [first, second] = ['10.0.1.1', '10.0.1.2'];
  const beside: Result = {
    ...RESULT,
    syncookies: '1',
    halfOpen: 2,
    record: {
      ...base,
      flood: { rate: 20_000, packets: 60_123, seconds: 3.0061 },
      halfOpen: [
        { change: 0, began: first, expired: false, name: undefined },
        { change: 0, began: second, expired: false, name: second },
        { change: 1, began: second, expired: false, name: first },
        { change: 1, began: second, expired: false, name: undefined },
      ],
    },
  };

  test('has lines of its own', () => {
    const lines = describeResult(beside);
    expect(lines.slice(9, 11)).toEqual([
      'Lost: 1 avoidable, 1 unavoidable (ideal: 1), of 4 connections',
      'Half-open: 4 held over changes, 2 completed (1 of them on another destination), lost 1 avoidable, 1 unavoidable',
    ]);
    expect(lines.at(-1)).toBe('Flood: 60,123 SYNs in 3.0 s');
  });

  test('is null in JSON where it was not asked for', () => {
    expect(resultJson(RESULT)).toMatchObject({
      syncookies: null,
      flood: null,
      half_open: null,
      changes: [{ half_open: null }, { half_open: null }],
      per_destination: [{ half_open: null }, { half_open: null }],
    });
  });

  test('is in JSON, for each change and destination', () => {
    expect(resultJson(beside)).toMatchObject({
      syncookies: 1,
      flood: { rate: 20_000, packets: 60_123, seconds: 3.006 },
      half_open: { held: 4, completed: 2, lost_avoidable: 1, lost_unavoidable: 1 },
      changes: [
        { half_open: { held: 2, completed: 1, lost_avoidable: 0, lost_unavoidable: 1 } },
        { half_open: { held: 2, completed_elsewhere: 1, lost_avoidable: 1 } },
      ],
      per_destination: [
        { half_open: { began: 1, completed: 1 } },
        { half_open: { began: 3, completed: 1 } },
      ],
      lost_avoidable: 1,
    });
  });

  test('counts for --fail-above, though it is told apart', () => {
    expect(allAvoidable(RESULT)).toBe(1);
    expect(allAvoidable(beside)).toBe(2);
  });

  test('says so where nobody saw who has it, as with SYN cookies', () => {
    const halfOpen = [{ change: 1, began: undefined, expired: false, name: second }];
    const lines = describeResult({ ...beside, record: { ...base, halfOpen } });
    expect(lines[10]).toContain('1 completed (where 1 began was not seen)');
  });

  test('may have been on the removed destination if nobody saw it', () => {
    const one = { began: undefined, expired: false, name: undefined };
    const lost = [
      { ...one, change: 0 },
      { ...one, change: 1 },
    ];
    expect(sumHalfOpen(base.schedule, lost)).toMatchObject({
      avoidable: 1,
      unavoidable: 1,
    });
  });

  test('was not lost by a balancer if its kernel had given it up', () => {
    const one = { change: 1, began: second, expired: true };
    const halfOpen = [
      { ...one, name: undefined },
      { ...one, name: second },
    ];
    expect(sumHalfOpen(base.schedule, halfOpen)).toMatchObject({
      expired: 1,
      avoidable: 0,
      unavoidable: 1,
    });
    const lines = describeResult({ ...beside, record: { ...base, halfOpen } });
    expect(lines[10]).toContain(
      "0 avoidable, 1 unavoidable (1 given up by their destination's kernel)",
    );
  });
});

test('half-open connections of a client are read from /proc/net/tcp', () => {
  const row = (remote: string, state: string): string =>
    `   0: 0164000A:0050 ${remote} ${state} 00000000:00000000 01:00000062 00000000     0`;
  const table = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid',
    row('02FF000A:C35A', '03'),
    row('02FF000A:C35B', '01'),
    row('01FF000A:C35C', '03'),
    row('00000000:0000', '0A'),
    '',
  ].join('\n');
  expect(synReceivedPorts(table, '10.0.255.2')).toEqual([0xc35a]);
});

describe('the picture', () => {
  const svg = drawSvg({ ...RESULT, object: 'a<b>&"c".o' });

  test('is a well-formed SVG, whatever the file is called', () => {
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" [^>]*>\n/);
    expect(svg.endsWith('</svg>\n')).toBe(true);
    expect(svg).toContain('a&lt;b&gt;&amp;&quot;c&quot;.o');
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    const opened = svg.match(/<(?:svg|text)\b/g)?.length;
    expect(svg.match(/<\/(?:svg|text)>/g)).toHaveLength(opened ?? 0);
  });

  test('marks each change, and names it', () => {
    expect(svg.match(/stroke-dasharray/g)).toHaveLength(2 * 2);
    for (const text of ['>remove 1<', '>replace<', '>Active connections<']) {
      expect(svg).toContain(text);
    }
  });

  test('of a run without changes and losses is drawn too', () => {
    const quiet = { ...record(open(1, 1), count(0, 1), count(900, 1)), moments: [] };
    const run = { ...quiet, schedule: schedule(1) };
    const drawn = drawSvg({ ...RESULT, record: run, outcome: judge(run) });
    expect(drawn).toContain('0 avoidable losses');
    expect(drawn).not.toMatch(/NaN|Infinity|undefined/);
  });

  test.each([
    { most: 1, count: 4, expected: [0, 1] },
    { most: 30, count: 10, expected: [0, 5, 10, 15, 20, 25, 30] },
    { most: 1234, count: 4, expected: [0, 500, 1000] },
  ])('has ticks at round values up to $most', ({ most, count: about, expected }) => {
    expect(ticks(most, about)).toEqual(expected);
  });

  test('draws sums as steps', () => {
    expect(
      steps([
        [0, 0],
        [2, 1],
      ]),
    ).toEqual([
      [0, 0],
      [2, 0],
      [2, 1],
    ]);
  });

  test('escapes what XML would read', () => {
    expect(escape('<&>"')).toBe('&lt;&amp;&gt;&quot;');
  });
});
