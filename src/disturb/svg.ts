// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Draws the outcome of a run: two graphs with one time axis, and a table of changes. */
import { formatCount, many } from '../text/format.js';
import { formatChange } from './changes.js';
import type { Loss } from './judge.js';
import type { Result } from './report.js';
import { avoidableLosses, changeTime } from './report.js';
import type { Point, Scale } from '../text/svg.js';
import { area, gridLines, label, line, makeScale, steps, ticks } from '../text/svg.js';
import { largest } from '../text/lists.js';
import { at } from '../text/must.js';

const WIDTH = 1000;
const LEFT = 70;
const RIGHT = 30;
const TITLE = 106;
const MARKS = 138;
const ACTIVE = { top: 156, bottom: 326 };
const LOST = { top: 376, bottom: 526 };
const TABLE = 596;
const ROW = 26;

const COLOURS = {
  text: '#1f2933',
  quiet: '#66727f',
  grid: '#e4e7eb',
  active: '#2563a8',
  avoidable: '#c8321f',
  unavoidable: '#8794a3',
};

export function drawSvg(result: Result): string {
  const height = TABLE + ROW * (result.outcome.changes.length + 1) + 14;
  const x = timeScale(result);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" ` +
      `font-family="system-ui, 'DejaVu Sans', sans-serif" font-size="13" fill="${COLOURS.text}">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    ...heading(result),
    ...changeMarks(result, x),
    ...activeGraph(result, x),
    ...lostGraph(result, x),
    ...timeAxis(x),
    ...table(result),
    '</svg>',
    '',
  ].join('\n');
}

function heading(result: Result): string[] {
  const { outcome, record } = result;
  const avoidable = avoidableLosses(outcome);
  const unavoidable = outcome.losses.length - avoidable;
  const kind = result.table === undefined ? '' : `, table ${result.table}`;
  const title =
    `${many(result.connections, 'connection')} on ` +
    `${many(record.schedule.first.length, 'destination')}, and what changes did to them`;
  return [
    label(LEFT, 38, title, { size: 20, bold: true }),
    label(
      LEFT,
      62,
      `${formatCount(avoidable)} avoidable losses, ${formatCount(unavoidable)} unavoidable. ` +
        `${formatCount(outcome.last.sent)} messages sent, ${formatCount(outcome.last.received)} echoed. ` +
        `${result.object}${kind}.`,
      { fill: COLOURS.quiet },
    ),
  ];
}

/** The time axis, in seconds from the start. */
function timeScale({ record, outcome }: Result): Scale {
  const end = Math.max(1, (outcome.last.at - record.started) / 1000);
  return makeScale(0, end, LEFT, WIDTH - RIGHT);
}

function activeGraph({ record }: Result, x: Scale): string[] {
  const points: Point[] = record.events.flatMap((event) =>
    event.event === 'count' && event.at >= record.started
      ? [[(event.at - record.started) / 1000, event.active] as const]
      : [],
  );
  const most = largest([1, ...points.map(([, active]) => active)]);
  const y = makeScale(0, most * 1.05, ACTIVE.bottom, ACTIVE.top);
  const pixels = points.map(([time, active]): Point => [x(time), y(active)]);
  return [
    label(LEFT, TITLE, 'Active connections', { bold: true }),
    label(WIDTH - RIGHT, TITLE, 'dashed: a change begins; shaded: the tools at work', {
      fill: COLOURS.quiet,
      anchor: 'end',
      size: 12,
    }),
    ...gridLines(ticks(most, 4), y, LEFT, WIDTH - RIGHT, COLOURS),
    area(pixels, ACTIVE.bottom, COLOURS.active),
    line(pixels, COLOURS.active),
  ];
}

function lostGraph(result: Result, x: Scale): string[] {
  const { outcome, record } = result;
  const avoidable = cumulative(result, ({ avoidable: is }) => is);
  const unavoidable = cumulative(result, ({ avoidable: is }) => !is);
  const most = Math.max(avoidable.at(-1)?.[1] ?? 0, unavoidable.at(-1)?.[1] ?? 0);
  const y = makeScale(0, Math.max(1, most) * 1.08, LOST.bottom, LOST.top);
  const end = (outcome.last.at - record.started) / 1000;
  const draw = (points: Point[], colour: string): string =>
    line(
      steps([...points, [end, points.at(-1)?.[1] ?? 0]]).map(([time, count]): Point => [
        x(time),
        y(count),
      ]),
      colour,
    );
  return [
    label(LEFT, LOST.top - 14, 'Lost connections in all', { bold: true }),
    ...legend(),
    ...gridLines(ticks(Math.max(1, most), 4), y, LEFT, WIDTH - RIGHT, COLOURS),
    draw(unavoidable, COLOURS.unavoidable),
    draw(avoidable, COLOURS.avoidable),
  ];
}

/** Returns how many connections were lost up to each moment. */
function cumulative(
  { outcome, record }: Result,
  which: (loss: Loss) => boolean,
): Point[] {
  const times = outcome.losses
    .filter(which)
    .map(({ at }) => Math.max(0, (at - record.started) / 1000))
    .sort((one, other) => one - other);
  return [[0, 0], ...times.map((time, index): Point => [time, index + 1])];
}

function legend(): string[] {
  const y = LOST.top - 18;
  const entries = [
    { at: 310, colour: COLOURS.avoidable, text: 'avoidable' },
    {
      at: 436,
      colour: COLOURS.unavoidable,
      text: 'unavoidable: their destination was removed',
    },
  ];
  return entries.flatMap(({ at, colour, text }) => [
    `<line x1="${at}" y1="${y}" x2="${at + 22}" y2="${y}" stroke="${colour}" stroke-width="2.5"/>`,
    label(at + 30, y + 4, text, { fill: COLOURS.quiet }),
  ]);
}

function timeAxis(x: Scale): string[] {
  return ticks(x.to, 10).map((time) =>
    label(x(time), LOST.bottom + 20, `${time} s`, {
      fill: COLOURS.quiet,
      anchor: 'middle',
      size: 12,
    }),
  );
}

/**
 * Draws a dashed line through each graph for each change, with the change's number in
 * the table, and shades the time that the tools took.
 */
function changeMarks({ record }: Result, x: Scale): string[] {
  return record.moments.flatMap(({ began, ended }, index) => {
    const at = x(changeTime(record, index));
    const width = Math.max(1, x((ended - began) / 1000) - x(0));
    return [
      numberMark(at, MARKS, index),
      ...[ACTIVE, LOST].flatMap(({ top, bottom }) => [
        `<rect x="${at.toFixed(1)}" y="${top}" width="${width.toFixed(1)}" height="${bottom - top}" fill="${COLOURS.quiet}" fill-opacity="0.12"/>`,
        `<line x1="${at.toFixed(1)}" y1="${top}" x2="${at.toFixed(1)}" y2="${bottom}" stroke="${COLOURS.quiet}" stroke-dasharray="3 4"/>`,
      ]),
    ];
  });
}

function numberMark(x: number, y: number, index: number): string {
  return (
    `<circle cx="${x.toFixed(1)}" cy="${y}" r="10" fill="${COLOURS.text}"/>` +
    label(x, y + 4, String(index + 1), { fill: '#fff', anchor: 'middle', size: 11 })
  );
}

/** The right edges of the number columns. */
const COLUMNS = [360, 440, 560, 680, 820, WIDTH - RIGHT];

function table({ record, outcome }: Result): string[] {
  const titles = [
    'at',
    'ideal',
    'unavoidable',
    'avoidable',
    'new after it',
    'uneven (1: chance)',
  ];
  const head = titles.map((text, i) =>
    label(at(COLUMNS, i), TABLE, text, { fill: COLOURS.quiet, anchor: 'end' }),
  );
  const rule = `<line x1="${LEFT}" y1="${TABLE + 9}" x2="${WIDTH - RIGHT}" y2="${TABLE + 9}" stroke="${COLOURS.grid}"/>`;
  const rows = outcome.changes.flatMap((phase, index) => {
    const y = TABLE + ROW * (index + 1) + 3;
    const step = record.schedule.steps[index];
    const { connections, unevenness } = phase.spread;
    const cells = [
      `${changeTime(record, index).toFixed(1)} s`,
      ...[phase.ideal, phase.unavoidable, phase.avoidable, connections].map(formatCount),
      connections === 0 ? '-' : unevenness.toFixed(1),
    ];
    return [
      numberMark(LEFT + 10, y - 4, index),
      label(LEFT + 32, y, step ? formatChange(step.change) : '', { bold: true }),
      ...cells.map((text, i) => {
        const isBad = i === 3 && phase.avoidable > 0;
        const fill = isBad ? COLOURS.avoidable : COLOURS.text;
        return label(at(COLUMNS, i), y, text, { anchor: 'end', fill, bold: isBad });
      }),
    ];
  });
  const first = label(LEFT, TABLE, 'Change', { fill: COLOURS.quiet });
  return [first, ...head, rule, ...rows];
}
