// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Computes a checksum after a change, and tells the families of addresses apart. */
import { foldSum, onesSum } from '../wire/checksum.js';

/**
 * Returns the checksum after bytes have changed from `before` to `after`. If it was
 * right, it stays right; if it was wrong, it stays wrong by as much. Both buffers must
 * hold 0 in its place.
 */
export function carriedChecksum(
  was: number,
  before: readonly Buffer[],
  after: readonly Buffer[],
): number {
  const sum = foldSum(was + onesSum(before) + (~onesSum(after) & 0xffff));
  // 0 and 0xffff are the same number; a checksum writes it as 0.
  return sum === 0xffff ? 0 : sum;
}

export function isIpv4(address: Buffer): boolean {
  return address.length === 4;
}
