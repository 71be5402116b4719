// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Temporary files, in a folder of their own that is removed when the work is done. */
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { Failure } from '../text/failure.js';
import { fileFault } from '../text/file-fault.js';
import { printableLine } from '../text/printable.js';

export class Scratch {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Writes a file and returns its path. */
  write(name: string, content: Buffer | string): string {
    return this.#write(name, (path) => writeFileSync(path, content));
  }

  /** Writes a file line by line, so the lines need not all be in memory at once. */
  writeLines(name: string, lines: Iterable<string>): string {
    return this.#write(name, (path) => writePieces(path, lines));
  }

  #write(name: string, write: (path: string) => void): string {
    const path = join(this.#folder, name);
    try {
      write(path);
    } catch (error) {
      throw cannotWrite(dirname(this.#folder), error);
    }
    return path;
  }
}

export async function withScratch<T>(
  work: (scratch: Scratch) => T | Promise<T>,
  parent = tmpdir(),
): Promise<T> {
  const folder = makeFolder(parent);
  try {
    return await work(new Scratch(folder));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function makeFolder(parent: string): string {
  try {
    return mkdtempSync(join(parent, 'l4lb-'));
  } catch (error) {
    throw cannotWrite(parent, error);
  }
}

function cannotWrite(parent: string, error: unknown): Failure {
  const folder = printableLine(parent);
  return new Failure(`cannot write a temporary file in ${folder}: ${fileFault(error)}`, {
    next: `df ${folder}; or name another folder: TMPDIR=/run, in front of this command`,
  });
}

const PIECE = 1 << 16;

function writePieces(path: string, lines: Iterable<string>): void {
  const file = openSync(path, 'w');
  try {
    let piece = '';
    for (const line of lines) {
      piece += `${line}\n`;
      if (piece.length < PIECE) continue;
      writeFileSync(file, piece);
      piece = '';
    }
    writeFileSync(file, piece);
  } finally {
    closeSync(file);
  }
}
