// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';

import { fileFault } from '../../../src/text/file-fault.js';

function faultOf(name: string): string {
  try {
    readFileSync(name);
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

test.each([
  ['a fault of ours', new TypeError('x is not a function')],
  ['no error at all', 'text'],
  ['an argument that is none', Object.assign(new Error(), { code: 'ERR_INVALID_ARG' })],
])('%s is thrown on', (_, error) => {
  expect(() => fileFault(error)).toThrow(error);
});
