// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What is wrong with a text or a value that a user wrote. Parsers throw it. The caller that
 * knows where the value stands catches it and names the place: the reader of an option, of
 * a key in a config file, or of a row.
 */
export class Fault extends Error {}

/** Returns the value, or the fault that the parser found in it. */
export function tryParse<T>(parse: () => T): T | Fault {
  try {
    return parse();
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}
