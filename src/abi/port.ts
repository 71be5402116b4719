// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** struct l4lb_claim and struct l4lb_port: which connection has a port of full-nat. */
import { putU16, putU32, u16, u32 } from './bytes.js';
import { RECORDS } from './record.js';

/** A word of `claims`. */
export interface Claim {
  /** 0: the port is free. */
  signature: number;
  state: number;
  /** In units of 4 seconds, 16 bits. */
  seen: number;
}

/** L4LB_CLAIM_...: what `state` has. */
export const CLAIM_READY = 1;
export const CLAIM_TCP = 2;
export const CLAIM_ANSWERED = 4;
export const CLAIM_ESTABLISHED = 8;
export const CLAIM_CLIENT_FIN = 16;
export const CLAIM_SERVER_FIN = 32;
export const CLAIM_RST = 64;

/** How long a connection may be silent before another may take its port, as in `seen`. */
export const CLAIM_ENDED = 16;
export const CLAIM_RESET = 60;
export const CLAIM_UDP = 45;
export const CLAIM_LASTS = 1861;

/** An entry of `ports`. */
export interface Port {
  client: Buffer;
  /** The service's. */
  address: Buffer;
  clientPort: number;
  servicePort: number;
  /** Id. */
  destination: number;
  protocol: number;
  /** Of the addresses: 4 or 6; 0 in an entry that was never written. */
  version: number;
  /** What a client acknowledges that has seen the answer to its SYN. */
  awaited: number;
}

export const PORT_SIZE = 64;
/** Ports of one set of claims; the sets are as long as those of records. */
export const CLAIMS = RECORDS;

export function decodeClaims(set: Buffer): Claim[] {
  return Array.from({ length: CLAIMS }, (_, place) => ({
    signature: u32(set, place * 8),
    state: u16(set, place * 8 + 4),
    seen: u16(set, place * 8 + 6),
  }));
}

export function decodePort(buffer: Buffer): Port {
  return {
    client: buffer.subarray(0, 16),
    address: buffer.subarray(16, 32),
    clientPort: buffer.readUInt16BE(32),
    servicePort: buffer.readUInt16BE(34),
    destination: u16(buffer, 36),
    protocol: buffer.readUInt8(38),
    version: buffer.readUInt8(39),
    awaited: u32(buffer, 40),
  };
}

export function encodeClaims(claims: readonly Claim[]): Buffer {
  const buffer = Buffer.alloc(CLAIMS * 8);
  claims.forEach(({ signature, state, seen }, place) => {
    putU32(buffer, signature, place * 8);
    putU16(buffer, state, place * 8 + 4);
    putU16(buffer, seen, place * 8 + 6);
  });
  return buffer;
}

export function encodePort(port: Port): Buffer {
  const buffer = Buffer.alloc(PORT_SIZE);
  port.client.copy(buffer, 0);
  port.address.copy(buffer, 16);
  buffer.writeUInt16BE(port.clientPort, 32);
  buffer.writeUInt16BE(port.servicePort, 34);
  putU16(buffer, port.destination, 36);
  buffer.writeUInt8(port.protocol, 38);
  buffer.writeUInt8(port.version, 39);
  putU32(buffer, port.awaited, 40);
  return buffer;
}
