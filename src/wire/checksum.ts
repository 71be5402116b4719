// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The Internet checksum, RFC 1071. */

/** Returns the folded one's complement sum of 16-bit words (RFC 1071); an odd last byte is the high one. */
export function onesSum(parts: readonly Buffer[]): number {
  const bytes = Buffer.concat(parts);
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0);
  }
  return foldSum(sum);
}

export function checksum(...parts: Buffer[]): number {
  return ~onesSum(parts) & 0xffff;
}

/** Adds the carries back in, until 16 bits are left. */
export function foldSum(sum: number): number {
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}
