// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** How packets reach a destination: enum l4lb_forward, by its numbers. */

/** All that an entry can have. */
export const ENTRY_FORWARDS = ['tunnel', 'link', 'nat', 'full-nat', 'local'] as const;
export type EntryForward = (typeof ENTRY_FORWARDS)[number];

/**
 * What a service can choose: behind an outer header, by other MAC addresses only, with the
 * destination's address and port in place of the service's, or also with ours in place of
 * the client's.
 */
export const FORWARDS = ['tunnel', 'link', 'nat', 'full-nat'] as const;
export type Forward = (typeof FORWARDS)[number];

/** What a service has that chooses none. */
export const USUAL_FORWARD: Forward = 'tunnel';

/**
 * Reads it from a service's entries; all have the same, unless a tool was killed. Local
 * destinations do not tell.
 */
export function forwardIn(entries: Iterable<{ forward: EntryForward }>): Forward {
  for (const { forward } of entries) {
    const chosen = FORWARDS.find((one) => one === forward);
    if (chosen !== undefined) return chosen;
  }
  return USUAL_FORWARD;
}

/** Whether packets get a source: that of the outer header, or in place of the client's. */
export function hasSource(forward: EntryForward): boolean {
  return forward === 'tunnel' || forward === 'full-nat';
}

/** Whether what a destination answers comes back through the balancer, which counts it. */
export function answersComeBack(forward: EntryForward): boolean {
  return forward === 'nat' || forward === 'full-nat';
}

/**
 * Whether answers of a destination are counted when they meet the program. By link they do
 * only where the balancer is the router of its destinations.
 */
export function answersAreCounted(forward: EntryForward): boolean {
  return answersComeBack(forward) || forward === 'link';
}

/** Who sends answers on that come through the balancer. */
export const ANSWERING = ['kernel', 'xdp'] as const;
export type Answering = (typeof ANSWERING)[number];
