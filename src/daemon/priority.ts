// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The form of an event for whoever reads it: the journal takes a priority in front. Pure. */
import type { Event } from '../api/events.js';

/** As syslog has them, of which journald takes a line that begins with such a number. */
const CRITICAL = 2;
const ERROR = 3;
const WARNING = 4;
const INFO = 6;

export function priorityOf(event: Event): number {
  switch (event.kind) {
    case 'trouble':
      return ERROR;
    case 'panic':
      return event.begins ? CRITICAL : INFO;
    case 'backup':
      return event.begins ? WARNING : INFO;
    case 'state':
      return event.after === 'down' || event.after === 'dead' ? WARNING : INFO;
    default:
      return INFO;
  }
}

/**
 * Whether this file is the journal's. systemd names it by JOURNAL_STREAM; a shell that has
 * sent the output elsewhere has passed the variable on.
 */
export function isJournal(
  stream: string | undefined,
  { dev, ino }: { dev: bigint; ino: bigint },
): boolean {
  return stream === `${dev}:${ino}`;
}
