// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Reads what `ip -j` prints. A device's name may contain control characters, which ip
 * does not escape.
 */
import { Failure } from '../../text/failure.js';

/**
 * Parses JSON; no output at all is an empty list. `what` says in messages what was asked.
 */
export function parseIpJson(text: string, what: string): unknown[] {
  // The only control characters between values are line ends, which no name can contain.
  const escaped = text.replaceAll(
    /(?!\n)\p{Cc}/gu,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  try {
    return JSON.parse(escaped.trim() || '[]') as unknown[];
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Failure(`cannot read what ip ${what} printed: ${error.message}`, {
      cause: 'this version of iproute2 prints JSON in another form',
      next: 'ip -V; l4lb is tested with iproute2 6.1',
    });
  }
}
