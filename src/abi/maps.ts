// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * datapath/l4lb.h in TypeScript: the maps, and the sizes of their values.
 * Each other file in this room describes one C struct that lies in them;
 * test/unit/abi/contract.test.ts compares them with the header.
 */

/** The program's name carries the version, so tools know it before they read a map. */
export const ABI = 2;
export const PROGRAM_NAME = `l4lb_${ABI}`;
/** The destinations' program has a version of its own, since its contract changes by itself. */
export const DECAP_ABI = 1;
export const DECAP_PROGRAM_NAME = `l4lb_decap_${DECAP_ABI}`;

export const MAP_NAMES = [
  'device',
  'services',
  'slots',
  'destinations',
  'counters',
  'verdicts',
] as const;
export type MapName = (typeof MAP_NAMES)[number];

export const VALUE_SIZES: Record<MapName, number> = {
  device: 56,
  services: 32,
  slots: 8,
  destinations: 56,
  counters: 16,
  verdicts: 16,
};

/** Earlier versions of the contract that can be carried over, and their other sizes. */
export const EARLIER_SIZES: ReadonlyMap<number, Partial<typeof VALUE_SIZES>> = new Map([
  [1, { destinations: 48 }],
]);

/** The host build counts on each CPU by itself and has hot slots; a card accepts only the other. */
export type Build = 'host' | 'portable';
