// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What chance picks from: addresses, ports, and how large the tables are. */

/** Maps of these sizes take the place of the object's: their content is read each time. */
export const SLOTS = 64;
/** Exits, numbered from 1. */
export const EXITS = 5;
export const DESTINATIONS = 16;
export const LOG2_SETS = 3;
export const RECORDS = 8;

export const SERVICES = 4;

export const TCP = 6;
export const UDP = 17;
export const IPV4 = '00000000000000000000ffff';
export const ANY = Buffer.alloc(16);

export const SERVICE_ADDRESSES = [
  `${IPV4}0a000004`,
  `${IPV4}cb00710a`,
  `${IPV4}cb00710b`,
  '20010db8000000000000000000000010',
  '20010db8000000000000000000000011',
  'fd000000000000000000ffff0a000004',
].map((hex) => Buffer.from(hex, 'hex'));

export const CLIENTS = [
  'c0000207',
  'c6336401',
  '7f000001',
  'e0000001',
  '00000000',
  'ffffffff',
  'f0000001',
  'dfffffff',
  '01000000',
  '20010db8000100000000000000000007',
  'fe800000000000000000000000000001',
  'ff020000000000000000000000000001',
  '00000000000000000000000000000000',
  '00000000000000000000000000000001',
  '00000000000000000000000000000002',
  `${IPV4}c0000207`,
].map((hex) => Buffer.from(hex, 'hex'));

export const PORTS = [0, 22, 53, 67, 68, 80, 443, 546, 547, 4242, 65535];
