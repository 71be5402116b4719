// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Prints what commands say: results to stdout, all else to stderr. Nothing else prints.
 */
import { printable } from '../text/printable.js';

export function print(text: string): void {
  // eslint-disable-next-line no-restricted-syntax
  process.stdout.write(`${printable(text)}\n`);
}

/** Prints something for people, beside the result. */
export function tell(text: string): void {
  // eslint-disable-next-line no-restricted-syntax
  process.stderr.write(`${printable(text)}\n`);
}

export function warn(text: string): void {
  tell(`Warning: ${text}`);
}

export function printJson(value: unknown): void {
  print(toJson(value));
}

/**
 * JSON with bigints as plain integers, which JSON.stringify refuses. Those that a number
 * can hold exactly become numbers. What would move a terminal's cursor is escaped, as JSON may.
 */
export function toJson(value: unknown): string {
  const mark = '\u{e000}';
  const text = JSON.stringify(value, (_, inner: unknown) => {
    if (typeof inner !== 'bigint') return inner;
    const number = Number(inner);
    return Number.isSafeInteger(number) ? number : `${mark}${inner}${mark}`;
  });
  return printable(text.replaceAll(new RegExp(`"${mark}(-?\\d+)${mark}"`, 'g'), '$1'));
}
