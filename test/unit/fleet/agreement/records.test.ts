// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { expect, test } from '@jest/globals';

import { Keys, checkName, named } from '../../../../src/fleet/agreement/keys.js';
import {
  formatCommon,
  formatHands,
  formatHead,
  formatNode,
  parseCommon,
  parseHands,
  parseHead,
  parseNode,
} from '../../../../src/fleet/agreement/records.js';

test('records are read as they were written', () => {
  const common = { toml: 'echo = true\n', seed: 2 ** 32 - 1 };
  expect(parseCommon(formatCommon(common))).toEqual(common);
  const hands = new Map([['10.0.1.1', { byHand: 'down' as const, weightByHand: 7 }]]);
  expect(parseHands(formatHands(hands))).toEqual(hands);
  const node = {
    ...{ version: '1', isDrained: true, fault: 'no room', addresses: ['10.0.0.4'] },
    tables: new Map([['web', { revision: 7, sum: 'ab', isSettled: false }]]),
  };
  expect(parseNode(formatNode(node))).toEqual(node);
});

test('a head tells the revisions of what was written with it by its own', () => {
  const tables = new Map([
    ['web', 0],
    ['dns', 5],
  ]);
  const head = { common: 3, tables, drained: new Set(['lb2']) };
  expect(parseHead(formatHead(head), 9)).toEqual({
    ...head,
    tables: new Map([
      ['web', 9],
      ['dns', 5],
    ]),
  });
});

test('a head stays small', () => {
  const tables = new Map(Array.from({ length: 200 }, (_, index) => [`web${index}`, 1]));
  const head = { common: 1, tables, drained: new Set<string>() };
  expect(() => formatHead(head)).toThrow('a fleet holds no more services');
});

const parseOwnHead = (text: string): unknown => parseHead(text, 1);

test.each([
  [parseCommon, '{"format":1,"toml":"","seed":-1}'],
  [parseCommon, '{"format":1,"toml":"","seed":4294967296}'],
  [parseHands, '{"format":1,"hands":[["10.0.1.1","gone",null]]}'],
  [parseHands, '{"format":1,"hands":[["__proto__","down",null]]}'],
  [parseNode, '{"format":1,"version":"1","tables":[["web"]],"drained":false}'],
  [parseOwnHead, '{"format":1,"common":0,"tables":{}}'],
])('what is no record is refused: %#', (parse: (text: string) => unknown, text) => {
  expect(() => parse(text)).toThrow('it is not');
});

test.each(['%', '%ff', '', 'a/b', '%61', 'a b', '%1b%5B2J', '%0Aweb', '%E2%80%AE'])(
  'a key that nobody of ours has written has no name: table/%s',
  (text) => {
    const keys = new Keys('main');
    expect(named([{ key: `${keys.table()}${text}` }], keys.table())).toEqual([]);
  },
);

test('a node whose name no node can have is none', () => {
  const keys = new Keys('main');
  const all = ['lb1', 'a%2Fb', '-x', 'x'.repeat(64)].map((name) => ({
    key: `${keys.node()}${name}`,
  }));
  expect(named(all, keys.node()).map(([name]) => name)).toEqual(['lb1']);
});

test('what a node says of itself is one line, and not too long', () => {
  const said = { format: 1, version: '1\u001b[2J', drained: false, addresses: [] };
  const text = JSON.stringify({
    ...said,
    fault: `a\nb${'x'.repeat(9000)}`,
    tables: [['web', 1, 'ab\n', true]],
  });
  const node = parseNode(text);
  expect(node.version).toBe('1\\u001b[2J');
  expect(node.fault).toMatch(/^a\\nbx+$/);
  expect(node.fault.length).toBeLessThan(1000);
  expect(node.tables.get('web')?.sum).toBe('ab\\n');
});

test('keys hold names of services as they are', () => {
  const keys = new Keys('main');
  const key = keys.table('a/b: [c]');
  expect(key).toBe('/l4lb/main/table/a%2Fb%3A%20%5Bc%5D');
  expect(named([{ key }], keys.table())).toEqual([['a/b: [c]', { key }]]);
  expect(keys.table()).toBe('/l4lb/main/table/');
  expect(() => checkName('a/b', 'a fleet')).toThrow('is no name for a fleet');
});
