// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What `ip -j` prints. A device may have control characters in its name: ip does not escape them. */
import { Failure } from '../../text/failure.js';

/** `what` was asked, for a message. Nothing at all is an empty list. */
export function parseIpJson(text: string, what: string): unknown[] {
  // Between values ip puts none but line ends, which no name can have in it.
  const escaped = text.replaceAll(
    /(?!\n)\p{Cc}/gu,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  try {
    return JSON.parse(escaped.trim() || '[]') as unknown[];
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Failure(`ip ${what} printed what cannot be read: ${error.message}`, {
      cause: 'this version of iproute2 prints another form of JSON',
      next: 'ip -V; l4lb is tried with iproute2 6.1',
    });
  }
}
