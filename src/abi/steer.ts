// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** programs/steer.h in TypeScript: what the program that chooses sockets reads. */

export const STEER_ABI = 1;
export const STEER_PROGRAM_NAME = `l4lb_steer_${STEER_ABI}`;

/** Where a server on this host listens: struct l4lb_server. */
export interface Server {
  address: Buffer;
  port: number;
  protocol: number;
}

export const SERVER_SIZE = 20;

export function encodeServer({ address, port, protocol }: Server): Buffer {
  const buffer = Buffer.alloc(SERVER_SIZE);
  address.copy(buffer, 0);
  buffer.writeUInt16BE(port, 16);
  buffer.writeUInt8(protocol, 18);
  return buffer;
}
