// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Nanoseconds over the floor as bars, the medians of all rounds. Pure. */
import type { Scale } from '../src/text/svg.js';
import { label, makeScale, ticks } from '../src/text/svg.js';
import { formatCount } from '../src/text/format.js';
import { describeMachine } from './report.js';
import type { PacketsResult, Result } from './result.js';

const WIDTH = 900;
const LEFT = 330;
const RIGHT = WIDTH - 80;
const TOP = 70;
const ROW = 24;
const BAR = 14;
/** What is longer is cut off, or nothing could be seen of the short ones. */
const LONGEST = 320;
const COLOURS = { bar: '#2b6cb0', spread: '#1a202c', grid: '#e2e8f0', quiet: '#718096' };

export function drawBench({ machine, packets }: Result): string {
  const bars = packets.filter(({ over }) => over !== undefined);
  const bottom = TOP + bars.length * ROW;
  const longest = Math.max(1, ...bars.map(({ over }) => over?.median ?? 0));
  const most = Math.min(longest, LONGEST);
  const x = makeScale(0, most, LEFT, RIGHT);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom + 40}" ` +
      'font-family="system-ui, sans-serif" font-size="13">',
    '<rect width="100%" height="100%" fill="#ffffff"/>',
    label(20, 28, 'Nanoseconds a packet, over a program that only swaps MACs', {
      size: 17,
      bold: true,
    }),
    label(20, 50, describeMachine(machine).trim(), { fill: COLOURS.quiet, size: 12 }),
    ...ticks(most, 8).flatMap((value) => [
      `<line x1="${x(value).toFixed(1)}" y1="${TOP}" x2="${x(value).toFixed(1)}" ` +
        `y2="${bottom}" stroke="${COLOURS.grid}"/>`,
      label(x(value), bottom + 20, formatCount(value), {
        fill: COLOURS.quiet,
        anchor: 'middle',
        size: 12,
      }),
    ]),
    ...bars.flatMap((one, index) => drawBar(one, TOP + index * ROW, x)),
    '</svg>',
    '',
  ].join('\n');
}

function drawBar({ group, name, over }: PacketsResult, top: number, x: Scale): string[] {
  if (!over) return [];
  const middle = top + ROW / 2;
  const width = Math.max(1, x(Math.min(over.median, x.to)) - LEFT);
  const arrow = over.median > x.to ? ' →' : '';
  return [
    label(LEFT - 10, middle + 4, `${group}: ${name}`, { anchor: 'end' }),
    `<rect x="${LEFT}" y="${middle - BAR / 2}" width="${width.toFixed(1)}" ` +
      `height="${BAR}" fill="${COLOURS.bar}"/>`,
    label(LEFT + width + 6, middle + 4, over.median.toFixed(1) + arrow, {
      fill: COLOURS.spread,
      size: 12,
    }),
  ];
}
