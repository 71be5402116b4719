// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Types of damaged BTF: each is refused, and none is followed for ever. */
import { expect, test } from '@jest/globals';

import type { Btf } from '../../../../src/card/read/btf.js';
import { resolve, sizeOf } from '../../../../src/card/read/btf.js';

function btf(...types: Btf['types']): Btf {
  return { types: [{ kind: 'other' }, ...types], text: () => '' };
}

test('a size is that of the type behind its names, for each element of an array', () => {
  const types = btf(
    { kind: 'sized', name: 'int', size: 4, members: [] },
    { kind: 'alias', to: 1 },
    { kind: 'array', of: 2, length: 3 },
    { kind: 'array', of: 3, length: 2 },
  );
  expect(sizeOf(types, 4)).toBe(24);
});

test.each([
  ['an alias of itself', btf({ kind: 'alias', to: 1 })],
  ['two aliases of each other', btf({ kind: 'alias', to: 2 }, { kind: 'alias', to: 1 })],
  ['an array of itself', btf({ kind: 'array', of: 1, length: 2 })],
])('%s is refused', (_, types) => {
  expect(() => sizeOf(types, 1)).toThrow('a type of its BTF refers to itself');
});

test('a type that is not there is refused', () => {
  expect(() => resolve(btf(), 7)).toThrow('its BTF names a type that is not there');
});
