// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { expect, test } from '@jest/globals';

import { parseDocuments } from '../../../src/text/json-documents.js';

test.each<[string, string, unknown[]]>([
  ['one value', '{"a":1}\n', [{ a: 1 }]],
  ['one on each line', '{"a":1}\n{"a":2}\n', [{ a: 1 }, { a: 2 }]],
  [
    'some that span lines, without a space',
    '{\n"a": [1]\n}{"b":\n2}',
    [{ a: [1] }, { b: 2 }],
  ],
  ['a list', ' [{"a":1}, {"a":2}]', [{ a: 1 }, { a: 2 }]],
  ['brackets and quotes in a text', '{"a":"}\\"]{"}{"b":1}', [{ a: '}"]{' }, { b: 1 }]],
  ['nothing', ' \n', []],
])('%s', (_, text, documents) => {
  expect(parseDocuments(text)).toEqual(documents);
});

test.each<[string, string, number]>([
  ['a value that is cut short', '{"a":1}\n{"a":', 2],
  ['words', 'ssh: connect to host d1 port 22\n', 1],
  ['a bracket too many', '{"a":1}}\n', 1],
  ['what follows a value', '\n{"a":1}\nWarning', 3],
])('%s is refused by its line', (_, text, line) => {
  expect(() => parseDocuments(text)).toThrow(`what begins on line ${line} is not JSON`);
});
