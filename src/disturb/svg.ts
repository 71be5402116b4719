// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Draws the outcome of a run: two graphs with one time axis, and a table of changes. */
import { formatCount, many } from '../text/format.js';
import type { Loss } from './judge.js';
import type { Result } from './report.js';
import { avoidableLosses, changeTime } from './report.js';
import type { Point, Scale } from '../text/svg.js';
import { area, gridLines, label, line, makeScale, steps, ticks } from '../text/svg.js';
import { largest } from '../text/lists.js';
import {
  COLOURS,
  LEFT,
  RIGHT,
  ROW,
  TABLE,
  WIDTH,
  drawTable,
  numberMark,
} from './svg-table.js';

const TITLE = 106;
const MARKS = 138;
const ACTIVE = { top: 156, bottom: 326 };
const LOST = { top: 376, bottom: 526 };

export function drawSvg(result: Result, plain?: Result): string {
  const height = TABLE + ROW * (result.outcome.changes.length + 1) + 14;
  const x = timeScale(plain ? [result, plain] : [result]);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" ` +
      `font-family="system-ui, 'DejaVu Sans', sans-serif" font-size="13" fill="${COLOURS.text}">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    ...heading(result, plain),
    ...changeMarks(result, x),
    ...activeGraph(result, x, plain),
    ...lostGraph(result, x, plain),
    ...timeAxis(x),
    ...drawTable(result, plain),
    '</svg>',
    '',
  ].join('\n');
}

function heading(result: Result, plain?: Result): string[] {
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
    ...(result.routed
      ? [label(LEFT, 82, front(result, plain), { fill: COLOURS.quiet })]
      : []),
  ];
}

/** What stands between clients and destinations, beside another run without it. */
function front({ routed }: Result, plain?: Result): string {
  if (!routed) return '';
  if (routed.isPlain)
    return 'No balancer: a router spreads over the destinations (ECMP).';
  const own = `${many(routed.balancers, 'balancer')} behind a router (ECMP).`;
  if (!plain) return own;
  const losses = formatCount(avoidableLosses(plain.outcome));
  return `${own} Without them, with plain ECMP: ${losses} avoidable losses.`;
}

/** The time axis, in seconds from the start. */
function timeScale(results: readonly Result[]): Scale {
  const end = largest([1, ...results.map(endOf)]);
  return makeScale(0, end, LEFT, WIDTH - RIGHT);
}

/** How long a run was, in seconds. */
function endOf({ record, outcome }: Result): number {
  return (outcome.last.at - record.started) / 1000;
}

/** How many connections were active at each moment. */
function activePoints({ record }: Result): Point[] {
  return record.events.flatMap((event) =>
    event.event === 'count' && event.at >= record.started
      ? [[(event.at - record.started) / 1000, event.active] as const]
      : [],
  );
}

function activeGraph(result: Result, x: Scale, plain?: Result): string[] {
  const points = activePoints(result);
  const others = plain ? activePoints(plain) : [];
  const most = largest([1, ...[...points, ...others].map(([, active]) => active)]);
  const y = makeScale(0, most * 1.05, ACTIVE.bottom, ACTIVE.top);
  const toPixel = ([time, active]: Point): Point => [x(time), y(active)];
  const pixels = points.map(toPixel);
  return [
    label(LEFT, TITLE, 'Active connections', { bold: true }),
    label(WIDTH - RIGHT, TITLE, 'dashed: a change begins; shaded: the tools at work', {
      fill: COLOURS.quiet,
      anchor: 'end',
      size: 12,
    }),
    ...gridLines(ticks(most, 4), y, LEFT, WIDTH - RIGHT, COLOURS),
    area(pixels, ACTIVE.bottom, COLOURS.active),
    ...(plain ? [line(others.map(toPixel), COLOURS.plain)] : []),
    line(pixels, COLOURS.active),
  ];
}

function lostGraph(result: Result, x: Scale, plain?: Result): string[] {
  const avoidable = cumulative(result, ({ avoidable: is }) => is);
  const unavoidable = cumulative(result, ({ avoidable: is }) => !is);
  const others = plain ? cumulative(plain, ({ avoidable: is }) => is) : [];
  const all = [avoidable, unavoidable, others];
  const most = largest(all.map((points) => points.at(-1)?.[1] ?? 0));
  const y = makeScale(0, Math.max(1, most) * 1.08, LOST.bottom, LOST.top);
  const draw = (points: Point[], colour: string, end = endOf(result)): string =>
    line(
      steps([...points, [end, points.at(-1)?.[1] ?? 0]]).map(([time, count]): Point => [
        x(time),
        y(count),
      ]),
      colour,
    );
  return [
    label(LEFT, LOST.top - 14, 'Lost connections in all', { bold: true }),
    ...legend(plain !== undefined),
    ...gridLines(ticks(Math.max(1, most), 4), y, LEFT, WIDTH - RIGHT, COLOURS),
    ...(plain ? [draw(others, COLOURS.plain, endOf(plain))] : []),
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

function legend(isCompared: boolean): string[] {
  const y = LOST.top - 18;
  const [first, second] = isCompared ? [240, 350] : [310, 436];
  const entries = [
    { at: first, colour: COLOURS.avoidable, text: 'avoidable' },
    {
      at: second,
      colour: COLOURS.unavoidable,
      text: 'unavoidable: their destination was removed',
    },
    ...(isCompared
      ? [{ at: 700, colour: COLOURS.plain, text: 'avoidable, with plain ECMP' }]
      : []),
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
