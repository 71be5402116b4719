// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Pieces of a graph as SVG: scales, ticks, lines, labels. */

import { formatCount } from './format.js';

export type Point = readonly [x: number, y: number];

/** From values to pixels. */
export interface Scale {
  (value: number): number;
  /** The largest value. */
  to: number;
}

export function makeScale(
  from: number,
  to: number,
  fromPixel: number,
  toPixel: number,
): Scale {
  const scale = (value: number): number =>
    fromPixel + ((value - from) / (to - from)) * (toPixel - fromPixel);
  return Object.assign(scale, { to });
}

/** Returns round whole numbers from 0 to the largest, with about `count` steps. */
export function ticks(most: number, count: number): number[] {
  const rough = most / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((one) => one * power >= rough) ?? 10;
  const step = Math.max(1, factor * power);
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => i * step);
}

/** Makes a line that stays at one value until the next point. */
export function steps(points: readonly Point[]): Point[] {
  return points.flatMap((point, i): Point[] => {
    const before = points[i - 1];
    return before ? [[point[0], before[1]], point] : [point];
  });
}

function path(points: readonly Point[]): string {
  return points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ');
}

export function line(points: readonly Point[], colour: string): string {
  return (
    `<polyline points="${path(points)}" fill="none" stroke="${colour}" ` +
    'stroke-width="2" stroke-linejoin="round"/>'
  );
}

export function area(points: readonly Point[], bottom: number, colour: string): string {
  const first = points[0]?.[0] ?? 0;
  const last = points.at(-1)?.[0] ?? 0;
  const outline = path([[first, bottom], ...points, [last, bottom]]);
  return `<polygon points="${outline}" fill="${colour}" fill-opacity="0.12"/>`;
}

export function gridLines(
  values: readonly number[],
  y: Scale,
  left: number,
  right: number,
  colours: { grid: string; quiet: string },
): string[] {
  return values.flatMap((value) => {
    const at = y(value).toFixed(1);
    return [
      `<line x1="${left}" y1="${at}" x2="${right}" y2="${at}" stroke="${colours.grid}"/>`,
      label(left - 10, y(value) + 4, formatCount(value), {
        fill: colours.quiet,
        anchor: 'end',
        size: 12,
      }),
    ];
  });
}

export interface LabelStyle {
  size?: number;
  fill?: string;
  bold?: boolean;
  anchor?: 'middle' | 'end';
}

export function label(
  x: number,
  y: number,
  text: string,
  style: LabelStyle = {},
): string {
  const attributes = [
    `x="${x.toFixed(1)}"`,
    `y="${y.toFixed(1)}"`,
    style.size ? `font-size="${style.size}"` : '',
    style.fill ? `fill="${style.fill}"` : '',
    style.bold ? 'font-weight="600"' : '',
    style.anchor ? `text-anchor="${style.anchor}"` : '',
  ].filter((one) => one !== '');
  return `<text ${attributes.join(' ')}>${escape(text)}</text>`;
}

export function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
