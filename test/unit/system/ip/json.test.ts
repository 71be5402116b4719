// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { expect, test } from '@jest/globals';

import { parseIpJson } from '../../../../src/system/ip/json.js';
import { Failure } from '../../../../src/text/failure.js';

test('a control character in a name, which ip does not escape', () => {
  expect(parseIpJson('[{"ifname":"a\u001bb"},\n{"ifname":"c"}]\n', 'link')).toEqual([
    { ifname: 'a\u001bb' },
    { ifname: 'c' },
  ]);
});

test('nothing is an empty list', () => expect(parseIpJson('\n', 'link')).toEqual([]));

test('what is no JSON is a failure that names the command', () => {
  expect(() => parseIpJson('1: lo: <UP>', '-j link')).toThrow(Failure);
  expect(() => parseIpJson('1: lo: <UP>', '-j link')).toThrow(
    /^cannot read what ip -j link printed/,
  );
});
