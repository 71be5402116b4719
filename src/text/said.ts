// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads the errors of our programs in C, which have the form of our own. */

/** The likely cause and the next command in an error, as far as it has them. */
export function adviceIn(said: string): {
  cause: string | undefined;
  next: string | undefined;
} {
  const part = (name: string): string | undefined =>
    new RegExp(`^ {2}${name}: (.+)$`, 'm').exec(said)?.[1];
  return { cause: part('likely cause'), next: part('next') };
}
