// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Rules about a program as a whole: its length, and how it moves the head. */
import { formatCount } from '../../text/format.js';
import { ADJUST_HEAD } from '../follow/helpers.js';
import type { Reached } from '../follow/reached.js';
import { where } from '../follow/reached.js';
import type { Finding } from './rules.js';
import { found, remark } from './rules.js';

/**
 * The driver translates most instructions into several of the card's own, and the card
 * counts those. Its firmware reports how many it holds, in 16 bits. This is the only
 * figure that was published.
 */
const PUBLISHED_INSTRUCTIONS = 2800;
const COUNTED_INSTRUCTIONS = 0xffff;

export function judgeLength(instructions: number): Finding[] {
  const say = instructions > COUNTED_INSTRUCTIONS ? found : remark;
  if (instructions <= PUBLISHED_INSTRUCTIONS) return [];
  const what =
    `${formatCount(instructions)} instructions, most of which become several on the card; ` +
    `${formatCount(PUBLISHED_INSTRUCTIONS)} is its published limit, but only its firmware decides`;
  return say('instructions', what).map((said) => ({ ...said, place: undefined }));
}

/** Two calls with a constant each are as slow as one call with a variable. */
export function judgeHeads(reached: readonly Reached[]): Finding[] {
  const calls = reached.filter(
    ({ instruction: { action, immediate } }) =>
      action.does === 'call helper' && immediate === ADJUST_HEAD,
  );
  if (calls.length < 2) return [];
  const lines = new Set(calls.map(({ place }) => where(place)));
  const what = `moves the head in ${calls.length} places (${[...lines].join(', ')})`;
  return remark('adjust-head', what).map((said) => ({ ...said, place: undefined }));
}
