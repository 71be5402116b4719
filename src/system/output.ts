// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What commands print: results to stdout, all else to stderr. */

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** For people, beside the result. */
export function warn(text: string): void {
  process.stderr.write(`Warning: ${text}\n`);
}

export function printJson(value: unknown): void {
  print(toJson(value));
}

/**
 * JSON with bigints as plain integers, which JSON.stringify refuses. Those that a
 * number can hold are none of the trouble.
 */
export function toJson(value: unknown): string {
  const mark = '\u{e000}';
  const text = JSON.stringify(value, (_, inner: unknown) => {
    if (typeof inner !== 'bigint') return inner;
    const number = Number(inner);
    return Number.isSafeInteger(number) ? number : `${mark}${inner}${mark}`;
  });
  return text.replaceAll(new RegExp(`"${mark}(-?\\d+)${mark}"`, 'g'), '$1');
}
