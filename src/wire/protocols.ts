// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The transport protocols that are balanced, by number and by name. */

export const TCP = 6;
export const UDP = 17;

const NUMBERS = new Map([
  ['tcp', TCP],
  ['udp', UDP],
]);
const NAMES = new Map([...NUMBERS].map(([name, number]) => [number, name]));

/** Reads a name in small or capital letters; returns undefined for any other text. */
export function protocolNumber(name: string): number | undefined {
  return NUMBERS.get(name.toLowerCase());
}

/** `tcp`, `udp`, or undefined for any other. */
export function protocolName(number: number): string | undefined {
  return NAMES.get(number);
}
