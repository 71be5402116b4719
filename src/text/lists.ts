// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What `push(...list)` and `Math.max(...list)` do, for lists of any length.
 *
 * Arguments lie on the stack, so spreading a list of some 100,000 into them throws a
 * RangeError. ESLint refuses such spreads everywhere in src/.
 */

export function append<T>(list: T[], more: Iterable<T>): void {
  for (const one of more) list.push(one);
}

/** Returns Infinity for an empty list. */
export function smallest(values: Iterable<number>): number {
  let found = Infinity;
  for (const value of values) if (value < found) found = value;
  return found;
}

/** Returns -Infinity for an empty list. */
export function largest(values: Iterable<number>): number {
  let found = -Infinity;
  for (const value of values) if (value > found) found = value;
  return found;
}
