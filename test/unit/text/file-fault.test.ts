// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

import { readRegular } from '../../../src/system/regular-file.js';
import { fileFault } from '../../../src/text/file-fault.js';

function faultOf(name: string): string {
  try {
    readRegular(name);
  } catch (error) {
    return fileFault(error);
  }
  throw new Error('it could be read');
}

test.each([
  ['/no/such/file', 'there is no such file'],
  ['/', 'it is a directory'],
  ['/proc/version/x', 'a part of its path is not a directory'],
  [`/${'x'.repeat(300)}`, 'its name is too long'],
])('%s: %s', (name, cause) => {
  expect(faultOf(name)).toBe(cause);
});

test('a pipe that nobody writes to: it is not waited for', () => {
  const folder = mkdtempSync(join(tmpdir(), 'l4lb-pipe-'));
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  expect(faultOf(join(folder, 'pipe'))).toContain('it is a pipe or a device');
  expect(faultOf('/dev/zero')).toContain('it is a pipe or a device');
  rmSync(folder, { recursive: true });
});

test.each([
  ['a fault of ours', new TypeError('x is not a function')],
  ['no error at all', 'text'],
  ['an argument that is none', Object.assign(new Error(), { code: 'ERR_INVALID_ARG' })],
])('%s is thrown on', (_, error) => {
  expect(() => fileFault(error)).toThrow(error);
});
