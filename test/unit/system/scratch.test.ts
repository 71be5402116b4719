// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { withScratch } from '../../../src/system/scratch.js';
import { Failure } from '../../../src/text/failure.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'l4lb-test-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('temporary files', () => {
  test('hold what was written, and are gone afterwards', async () => {
    const path = await withScratch((scratch) => {
      const lines = Array.from({ length: 20_000 }, (_, number) => `line ${number}`);
      const written = scratch.writeLines('batch', lines);
      expect(readFileSync(written, 'utf8')).toBe(`${lines.join('\n')}\n`);
      expect(readFileSync(scratch.write('one', Buffer.from([1])))).toHaveLength(1);
      return written;
    }, folder);
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('are gone when the work fails, too', async () => {
    const work = withScratch((scratch) => {
      scratch.write('one', '1');
      throw new Error('of the work');
    }, folder);
    await expect(work).rejects.toThrow('of the work');
    expect(readdirSync(folder)).toEqual([]);
  });

  test('a folder that is missing is told, and what to do', async () => {
    const failure: unknown = await withScratch(() => 0, join(folder, 'missing')).catch(
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(Failure);
    expect((failure as Failure).format('l4lb-map')).toMatch(
      /^l4lb-map: cannot write a temporary file in .*missing: there is no such file\n {2}next: df /,
    );
  });

  test('a disk that is full is told', async () => {
    const failure: unknown = await withScratch((scratch) =>
      // What is written to this device never fits.
      scratch.write('../../../../../../../../dev/full', 'x'),
    ).catch((error: unknown) => error);
    expect(String(failure)).toContain('the disk is full');
  });
});
