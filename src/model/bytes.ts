// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A checksum after a change, and the families of addresses. */
import { foldSum, onesSum } from '../wire/checksum.js';

/**
 * The checksum of bytes that took the place of others: right if it was right before, and
 * else wrong by as much as before. Both are summed up whole, with 0 where it stands.
 */
export function carriedChecksum(
  was: number,
  before: readonly Buffer[],
  after: readonly Buffer[],
): number {
  const sum = foldSum(was + onesSum(before) + (~onesSum(after) & 0xffff));
  // 0 and 0xffff are the same number; as a checksum it is written as 0.
  return sum === 0xffff ? 0 : sum;
}

export function isIpv4(address: Buffer): boolean {
  return address.length === 4;
}
