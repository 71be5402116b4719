// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** programs/check.h in TypeScript: what the program reads that puts checks on their way. */
import { putU32 } from './bytes.js';

export const CHECK_ABI = 1;
export const CHECK_PROGRAM_NAME = `l4lb_check_${CHECK_ABI}`;

export const CHECKS = 4096;
/** Each check has so many source ports, which it takes in turn. */
export const PORTS_OF_CHECK = 2;
export const CHECK_PORTS = PORTS_OF_CHECK * CHECKS;

/** Where the kernel sends checks to, so that the program knows them. */
export const CHECK_MAC = '01:80:c2:00:00:0e';

/** struct l4lb_check: where the packets of a check go. */
export interface CheckTarget {
  /** Of the destination. */
  address: Buffer;
  /** Its id. */
  destination: number;
}

export const CHECK_SIZE = 24;

/** Undefined: there is no such check. */
export function encodeCheck(target: CheckTarget | undefined): Buffer {
  const buffer = Buffer.alloc(CHECK_SIZE);
  target?.address.copy(buffer, 0);
  putU32(buffer, target?.destination ?? 0, 16);
  return buffer;
}
