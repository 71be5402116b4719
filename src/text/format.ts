// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Numbers as people read them, for the plain table and the dashboard alike. */
import { largest } from './lists.js';
import type { ModeName } from './mode.js';

/** The original tool's first line; the mode is left out while it is not known. */
export function formatTitle(mode: ModeName | undefined): string {
  const brackets = mode === undefined ? '' : ` [${mode}]`;
  return `== Load balancer outbound statistics${brackets} ==`;
}

/** A whole number with thousands separators: 1,029,744. */
export function formatCount(value: number | bigint): string {
  if (typeof value === 'number' && !Number.isFinite(value)) return '-';
  // toLocaleString would do, at ten times the cost and by the user's locale.
  const digits = typeof value === 'bigint' ? String(value) : Math.round(value).toFixed(0);
  return digits.replace(/\B(?=(?:\d{3})+$)/g, ',');
}

/** A part of a whole in percent; two decimals, since one of 512 is 0.20%. */
export function formatShare(part: number, whole: number): string {
  if (!(whole > 0) || !Number.isFinite(part)) return '-';
  return `${((part / whole) * 100).toFixed(2)}%`;
}

/** Seconds as 02:03:04, with days in front from the first day on. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const days = Math.floor(whole / 86_400);
  const clock = [Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60]
    .map((value) => String(value).padStart(2, '0'))
    .join(':');
  return days > 0 ? `${days}d ${clock}` : clock;
}

const BLOCKS = ' ▁▂▃▄▅▆▇█';

/** The newest values at the right end, scaled to the largest one on view. */
export function sparkline(values: readonly number[], width: number): string {
  if (width <= 0) return '';
  const newest = values.slice(-width);
  const top = largest([0, ...newest.filter(Number.isFinite)]);
  const blocks = newest.map((value) => {
    // Rounded up, so that only a rate of zero is blank.
    const level = value > 0 && top > 0 ? Math.ceil((value / top) * 8) : 0;
    return BLOCKS[Math.min(level, 8)] ?? ' ';
  });
  return blocks.join('').padStart(width);
}

/** `1 slot`, `65,536 slots`, `2 addresses`. */
export function many(count: number, what: string): string {
  const ending = count === 1 ? '' : what.endsWith('s') ? 'es' : 's';
  return `${formatCount(count)} ${what}${ending}`;
}
