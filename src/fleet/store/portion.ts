// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** How much of a long list goes into one write. Pure. */

/** Documents in one write, since each is compared, too, and so are others. */
const MOST_AT_ONCE = 100;
/** Bytes, so that there is room for the head and for what a store adds. */
const MOST_BYTES = 1_000_000;

/** How many of these values, from the first on, one write holds: at least one. */
export function portionOf(values: readonly string[]): number {
  let bytes = 0;
  const count = values.findIndex((value, index) => {
    bytes += Buffer.byteLength(value);
    return index > 0 && (index === MOST_AT_ONCE || bytes > MOST_BYTES);
  });
  return count === -1 ? values.length : count;
}
