// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What all kinds of checks have in common. */
import type { Probe } from '../health/check.js';

/**
 * Called once, when a check has ended. The reason says why it failed, or what it saw.
 * Undefined: it says nothing about the destination, since it could not be asked.
 */
export type Done = (passed: boolean | undefined, reason: string) => void;

/**
 * Asks once, and returns how to give it up, after which `done` is not called. There is no
 * promise and no timer in it: thousands of these run each second.
 */
export type Ask = (probe: Probe, done: Done) => () => void;

const REASONS = new Map([
  ['ECONNREFUSED', 'connection refused'],
  ['ECONNRESET', 'connection reset'],
  ['EPIPE', 'connection closed'],
  ['EHOSTUNREACH', 'host unreachable'],
  ['ENETUNREACH', 'network unreachable'],
  ['EADDRNOTAVAIL', 'the source address or port is not to be had'],
  ['EADDRINUSE', 'the source port is in use'],
  ['EINVAL', 'the device does not take its packets now'],
  ['EACCES', 'not permitted'],
  ['EPERM', 'not permitted'],
  ['EMFILE', 'the checker has too many files open'],
  ['ENOENT', 'there is no such program'],
]);

/** Those that tell of the checker's host, and nothing about the destination. */
const OWN_FAULTS = [
  'EADDRNOTAVAIL',
  'EADDRINUSE',
  'EINVAL', // a blackhole is where the way of the balancer's packets should be
  'EMFILE',
  'ENFILE',
  'ENOBUFS',
  'ENOMEM',
];

/** Ends a check by an error. */
export function fail(done: Done, error: Error): void {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  done(OWN_FAULTS.includes(code) ? undefined : false, reasonOf(code, error.message));
}

/** The most characters of what a library or a destination says itself. */
const LONGEST = 120;

/** In words: node has codes of its own, such as ERR_SSL_WRONG_VERSION_NUMBER. */
function reasonOf(code: string, message: string): string {
  const known = REASONS.get(code);
  if (known !== undefined) return known;
  const [, tls] = /^ERR_SSL_(\w+)$/.exec(code) ?? [];
  if (tls !== undefined) return `TLS: ${tls.toLowerCase().replaceAll('_', ' ')}`;
  if (/^E[A-Z0-9]+$/.test(code)) return code;
  return shortened(message);
}

/** One line, as long as it may be. */
export function shortened(text: string): string {
  const [line = ''] = text.split('\n', 1);
  return line.length > LONGEST ? `${line.slice(0, LONGEST - 3)}...` : line;
}

/** Calls `done` the first time only, and closes before that. */
export function once(close: () => void, done: Done): { end: Done; giveUp: () => void } {
  let isOver = false;
  const over = (): boolean => {
    if (isOver) return false;
    isOver = true;
    close();
    return true;
  };
  return {
    end: (passed, reason) => {
      if (over()) done(passed, reason);
    },
    giveUp: () => {
      over();
    },
  };
}
