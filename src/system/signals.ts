// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The signals by which a terminal, an operator or a service manager ends a process. */
import { constants } from 'node:os';

const ENDING_SIGNALS = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;
export type EndingSignal = (typeof ENDING_SIGNALS)[number];

/** Calls the handler for each of them, until the returned function is called. */
export function onEndingSignal(handler: (signal: EndingSignal) => void): () => void {
  for (const signal of ENDING_SIGNALS) process.on(signal, handler);
  return () => {
    for (const signal of ENDING_SIGNALS) process.off(signal, handler);
  };
}

/** The exit code that a shell reports for a process that the signal ended. */
export function exitCodeOf(signal: EndingSignal): number {
  return 128 + constants.signals[signal];
}
