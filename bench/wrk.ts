// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The client of the connections, wrk: how it is called, and what it says. Pure. */
import { Failure } from '../src/text/failure.js';

export interface Answered {
  perSecond: number;
  failed: number;
}

/** Each answer ends its connection, and the next request opens another one. */
export function wrkArguments(
  url: string,
  {
    seconds,
    connections,
    threads,
  }: Record<'seconds' | 'connections' | 'threads', number>,
): string[] {
  return [
    ...['--threads', String(threads), '--connections', String(connections)],
    ...['--duration', `${seconds}s`, '--header', 'Connection: close', url],
  ];
}

/** wrk has lines on what failed only when something did. */
export function parseWrk(text: string): Answered {
  const [, perSecond] = /^Requests\/sec:\s+([\d.]+)$/m.exec(text) ?? [];
  if (perSecond === undefined) throw new Failure(`wrk said no rate: ${text.trim()}`);
  const [, errors = ''] = /^\s*Socket errors: (.*)$/m.exec(text) ?? [];
  const [, refused = ''] = /^\s*Non-2xx or 3xx responses: (\d+)$/m.exec(text) ?? [];
  const counts = [...errors.matchAll(/\d+/g)].map(Number);
  return {
    perSecond: Number(perSecond),
    failed: counts.reduce((sum, count) => sum + count, Number(refused)),
  };
}
