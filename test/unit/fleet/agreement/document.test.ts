// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import type { Document, NamedSet } from '../../../../src/fleet/agreement/document.js';
import {
  formatDocument,
  formatShort,
  parseDocument,
} from '../../../../src/fleet/agreement/document.js';
import type { Given } from '../../../../src/health/weights.js';

const WEIGHTS = new Map([
  ['10.0.1.1', 1],
  ['10.0.1.2', 2],
  ['[fd00::1]:80', 3],
]);
const given = (weight: number, isForgotten = false): Given => ({ weight, isForgotten });

const NEWEST: NamedSet = new Map([
  ['10.0.1.1', given(0, true)],
  ['10.0.1.2', given(0.4)],
  ['[fd00::1]:80', given(3)],
]);
const OLDER: NamedSet = new Map([
  ['10.0.1.1', given(1)],
  ['10.0.1.9', given(7)],
]);
const DOCUMENT: Document = {
  wanted: '[[service]]\nname = "web"\n',
  sets: [new Map([['10.0.1.9', given(1)]]), OLDER, NEWEST],
  hands: new Map([['10.0.1.2', { byHand: 'drained', weightByHand: undefined }]]),
  ...{ isPanic: true, onBackup: false, isDown: false },
};

const parse = (text: string): Document => parseDocument(text, () => WEIGHTS);
const asText = formatDocument(DOCUMENT, WEIGHTS);

test('a document is read as it was written', () => {
  expect(parse(asText)).toEqual(DOCUMENT);
});

test('where all are drained, as a hand can do on a single balancer too, it is a document', () => {
  const drained = new Map([...WEIGHTS.keys()].map((name) => [name, given(0)]));
  const document = { ...DOCUMENT, sets: [OLDER, drained] };
  expect(parse(formatDocument(document, WEIGHTS))).toEqual(document);
});

test('a history that no node would take loses its oldest sets', () => {
  const names = Array.from(
    { length: 4096 },
    (_, index) => `[2001:db8:1111:2222:3333:4444:5555:${(index + 1).toString(16)}]:65535`,
  );
  const set = (weight: number): NamedSet =>
    new Map(names.map((name) => [name, given(weight)]));
  const weights = new Map(names.map((name) => [name, 1]));
  const sets = [60_001, 60_002, 60_003, 60_004].map(set);
  const document = { ...DOCUMENT, sets, hands: new Map(), wanted: 'x'.repeat(300_000) };
  const read = parseDocument(formatShort(document, weights), () => weights);
  expect(read.sets).toEqual(sets.slice(1));
});

test('a set is written as it differs', () => {
  const { newest, older } = JSON.parse(asText) as Record<string, unknown>;
  expect(newest).toEqual([
    ['10.0.1.1', 'forgotten'],
    ['10.0.1.2', 0.4],
  ]);
  expect(older).toEqual([
    [
      ['10.0.1.1', 1],
      ['10.0.1.9', 7],
      ['10.0.1.2', null],
      ['[fd00::1]:80', null],
    ],
    [
      ['10.0.1.9', 1],
      ['10.0.1.1', null],
    ],
  ]);
});

function changed(change: (text: Record<string, unknown>) => void): string {
  const text = JSON.parse(asText) as Record<string, unknown>;
  change(text);
  return JSON.stringify(text);
}

const NONE = 'it is not the document of a service';

describe('refused is', () => {
  test.each([
    ['what is no JSON', '{', 'it is not JSON'],
    ['a list', '[]', NONE],
    ['nothing', '', 'it is not JSON'],
    ['null', 'null', NONE],
    [
      'another format',
      changed((text) => (text.format = 9)),
      'it has format 9, and this version of l4lb reads 1',
    ],
    [
      'what was changed by hand',
      changed((text) => (text.panic = false)),
      'its sum is wrong: a part of it is missing',
    ],
    [
      'a name in another form',
      changed((text) => (text.newest = [['010.0.1.1', 1]])),
      NONE,
    ],
    ['a weight below 0', changed((text) => (text.newest = [['10.0.1.1', -1]])), NONE],
    [
      'a long history',
      changed((text) => (text.older = [[], [], [], []])),
      'it has more than 4 sets',
    ],
    ['what would be a prototype', '{"__proto__":{"format":1},"constructor":1}', NONE],
    ['too much', `"${'x'.repeat(1_000_000)}"`, 'it is longer than 1000000 characters'],
  ])('%s', (_, text, fault) => {
    expect(() => parse(text)).toThrow(fault);
  });

  test('a newest set with other destinations than the service', () => {
    const fewer = new Map([['10.0.1.7', 1]]);
    expect(() => parseDocument(asText, () => fewer)).toThrow('other destinations');
  });
});
