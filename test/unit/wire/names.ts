// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Addresses as people write them, and the roles they play in the tests. */
import { parseAddress, parseMac } from '../../../src/wire/address.js';

/** An address as it lies in the maps: 16 bytes. */
export function ip(text: string): Buffer {
  const address = parseAddress(text);
  if (!address) throw new Error(`the test names ${text}, which is no address`);
  return address;
}

/** A MAC address: 6 bytes. */
export function mac(text: string): Buffer {
  const address = parseMac(text);
  if (!address) throw new Error(`the test names ${text}, which is no MAC address`);
  return address;
}

/** The balancer itself: its address is the source of outer headers. */
export const BALANCER = ip('10.0.0.1');
export const BALANCER_6 = ip('2001:db8::1');
export const BALANCER_MAC = mac('02:00:0a:00:00:01');

/** Destinations. */
export const WEB_1 = ip('10.0.1.15');
export const WEB_2 = ip('10.0.2.16');
export const WEB_3 = ip('10.0.3.17');
export const WEB_6 = ip('2001:db8:1::15');

/** Addresses that services answer for. */
export const VIP = ip('192.0.2.10');
export const OTHER_VIP = ip('192.0.2.20');
export const VIP_6 = ip('2001:db8:ffff::10');

/** Numbers from 0 to below 1 that are the same in every run (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
