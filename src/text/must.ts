// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Values that must be there. If one is missing, the code or its input is wrong; a zero in
 * its place would be reported as if it had been measured.
 */

/** `what` names the value, for the reader of the error. */
export function must<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`${what} is missing`);
  return value;
}

/** Returns an element of an array or a byte of a buffer; the index must be in range. */
export function at<T>(all: ArrayLike<T>, index: number): T {
  const value = all[index];
  if (value === undefined) throw new RangeError(`no element ${index} of ${all.length}`);
  return value;
}
