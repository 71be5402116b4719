// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { KEPT_CHECKS } from '../api/status.js';
import { stripOf } from './figures/strip.js';

/** Each state has a sign, a word and a colour. */
const SIGNS = new Map([
  ['up', '●'],
  ['suspect', '◐'],
  ['starting', '△'],
  ['down', '▼'],
  ['dead', '✕'],
  ['drained', '◇'],
  ['down by hand', '■'],
  ['unknown', '○'],
]);

export const signOf = (condition: string): string => SIGNS.get(condition) ?? '○';

export function State({ condition }: { condition: string }) {
  return (
    <span class={`state ${condition.replaceAll(' ', '-')}`}>
      <span aria-hidden="true">{signOf(condition)}</span> {condition}
    </span>
  );
}

export function Checks({ checks }: { checks: string }) {
  const strip = stripOf(checks);
  return (
    <svg
      class="strip"
      role="img"
      aria-label={strip.text}
      viewBox={`0 0 ${KEPT_CHECKS} 10`}
      preserveAspectRatio="none"
    >
      <title>{strip.text}</title>
      <path class="passed" d={strip.passed} />
      <path class="failed" d={strip.failed} />
      <path class="void" d={strip.void} />
    </svg>
  );
}
