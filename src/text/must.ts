// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Values that must be there. Where one is missing the code or what it read is wrong, and
 * a zero in its place would be told as if it had been seen.
 */

/** `what` says which value, for whoever reads the report of the fault. */
export function must<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`${what} is missing`);
  return value;
}

/** An element of an array or a byte of a buffer, by an index that is within it. */
export function at<T>(all: ArrayLike<T>, index: number): T {
  const value = all[index];
  if (value === undefined) throw new RangeError(`no element ${index} of ${all.length}`);
  return value;
}
