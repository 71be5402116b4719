// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Which rows of a long table are drawn, and how often l4lbd is asked. */

/** Rows above and below those that are seen, for quick scrolling. */
const MORE = 8;

export function visible(
  count: number,
  rowHeight: number,
  { top, height }: { top: number; height: number },
): { from: number; to: number } {
  const last = Math.max(0, count - 1);
  const from = Math.min(last, Math.max(0, Math.floor(top / rowHeight) - MORE));
  const to = Math.min(count, Math.ceil((top + height) / rowHeight) + MORE);
  return { from, to: Math.max(from, to) };
}

/** Milliseconds. */
export const ASK_EVERY = 2000;
/** An answer may keep l4lbd and this page busy for that part of the time. */
const PART = 1 / 20;

/** When to ask again, after an answer that took so long. */
export function askAfter(took: number): number {
  return Math.max(ASK_EVERY, took / PART);
}
