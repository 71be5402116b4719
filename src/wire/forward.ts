// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** How packets reach a destination: enum l4lb_forward, by its numbers. */

/** Behind an outer header, or by other MAC addresses and unchanged otherwise. */
export const FORWARDS = ['tunnel', 'link'] as const;
export type Forward = (typeof FORWARDS)[number];

/** What a service has that chooses none. */
export const USUAL_FORWARD: Forward = 'tunnel';

/** Reads it from a service's entries; all have the same, unless a tool was killed. */
export function forwardIn(entries: Iterable<{ forward: Forward }>): Forward {
  for (const { forward } of entries) return forward;
  return USUAL_FORWARD;
}
