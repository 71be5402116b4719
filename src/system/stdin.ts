// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads all of standard input. */
import { readSync } from 'node:fs';

import { codeOf } from '../text/file-fault.js';

const CHUNK = 1 << 16;
const WAIT_MS = 5;

/**
 * Waits for input that is not there yet. readFileSync() would not: a library looks at
 * process.stdin, which lets reads of a pipe return at once.
 */
export function readStdin(): Buffer {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = Buffer.alloc(CHUNK);
    const length = readNow(chunk);
    if (length === 0) return Buffer.concat(chunks);
    if (length === undefined) pause();
    else chunks.push(chunk.subarray(0, length));
  }
}

/** Undefined: nothing is there yet. */
function readNow(chunk: Buffer): number | undefined {
  try {
    return readSync(0, chunk);
  } catch (error) {
    if (codeOf(error) === 'EAGAIN') return undefined;
    throw error;
  }
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAIT_MS);
}
