// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Checksums, and the families of addresses. */

const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');

/** The one's complement sum of 16-bit words, folded (RFC 1071); an odd byte is a high one. */
export function onesSum(parts: readonly Buffer[]): number {
  const bytes = Buffer.concat(parts);
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0);
  }
  return fold(sum);
}

export function checksum(...parts: Buffer[]): number {
  return ~onesSum(parts) & 0xffff;
}

/**
 * The checksum of bytes that took the place of others: right if it was right before, and
 * else wrong by as much as before. Both are summed up whole, with 0 where it stands.
 */
export function carriedChecksum(
  was: number,
  before: readonly Buffer[],
  after: readonly Buffer[],
): number {
  const sum = fold(was + onesSum(before) + (~onesSum(after) & 0xffff));
  // 0 and 0xffff are the same number; as a checksum it is written as 0.
  return sum === 0xffff ? 0 : sum;
}

function fold(sum: number): number {
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}

/** An address of a table as it is on the wire: of 4 bytes if it is an IPv4's. */
export function onWire(address: Buffer): Buffer {
  return address.subarray(0, 12).equals(MAPPED) ? address.subarray(12) : address;
}

export function isIpv4(address: Buffer): boolean {
  return address.length === 4;
}
