// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The lines of an answer that goes on, and how long to wait for the next one. Pure. */
import { Strange } from './json.js';

const LINE_FEED = 0x0a;

/** Yields each line that is not empty. Throws at one that is too long. */
export async function* linesOf(
  parts: AsyncIterable<Buffer>,
  most: number,
): AsyncGenerator<string, void> {
  let begun: Buffer[] = [];
  let size = 0;
  for await (const part of parts) {
    let start = 0;
    for (;;) {
      const end = part.indexOf(LINE_FEED, start);
      const piece = part.subarray(start, end < 0 ? undefined : end);
      size += piece.length;
      if (size > most) throw new Strange(`a line has more than ${most} bytes`);
      if (piece.length > 0) begun.push(piece);
      if (end < 0) break;
      if (size > 0) yield Buffer.concat(begun).toString();
      [begun, size, start] = [[], 0, end + 1];
    }
  }
  // etcd ends an error at once, without a line feed.
  if (size > 0) yield Buffer.concat(begun).toString();
}

export const SILENT = Symbol('nothing came');

/**
 * Waits for something, but not for ever. It goes on coming, and may be waited for again, so
 * its error is not lost and must not count as one that nobody handles.
 */
export async function within<T>(
  coming: Promise<T>,
  milliseconds: number,
): Promise<T | typeof SILENT> {
  let timer: NodeJS.Timeout | undefined;
  const silent = new Promise<typeof SILENT>((resolve) => {
    timer = setTimeout(resolve, milliseconds, SILENT);
  });
  try {
    return await Promise.race([coming, silent]);
  } finally {
    clearTimeout(timer);
  }
}
