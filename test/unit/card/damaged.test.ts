// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Damaged objects: each gets a verdict or a Failure, and none is a crash. */
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';

import { checkObject } from '../../../src/card/check.js';
import { describeVerdict, verdictJson } from '../../../src/card/report.js';
import { toJson } from '../../../src/system/output.js';
import { Failure } from '../../../src/text/failure.js';

const OBJECT = readFileSync(new URL('../../../l4lb_xdp.o', import.meta.url));

/** Damaged files of a kind. `make test-all` takes three times as many. */
const MANY = process.env.L4LB_TEST === 'all' ? 120 : 40;

/** Its first section follows the header. */
const CODE = 64;
/** Where the table of its sections begins. */
const SECTIONS = Number(OBJECT.readBigUInt64LE(0x28));

/** The stack of what is neither a verdict nor a Failure. */
function crashOf(file: Buffer): string | undefined {
  try {
    const verdict = checkObject(file);
    describeVerdict('l4lb_xdp.o', verdict);
    toJson(verdictJson('l4lb_xdp.o', verdict));
    return undefined;
  } catch (error) {
    if (error instanceof Failure) return undefined;
    return error instanceof Error ? String(error.stack) : String(error);
  }
}

/** The same numbers each time: a fault that is found can be looked into. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

function crashes(files: Iterable<[string, Buffer]>): string[] {
  const found = new Map<string, string>();
  for (const [what, file] of files) {
    const stack = crashOf(file);
    if (stack === undefined) continue;
    const [first = '', second = ''] = stack.split('\n');
    found.set(
      `${first.replaceAll(/\d+/g, 'N')} ${second.replaceAll(/:\d+/g, '')}`,
      `${what}: ${stack}`,
    );
  }
  return [...found.values()];
}

test('it is whole to begin with', () => {
  expect(checkObject(OBJECT).findings).toEqual([]);
});

test('cut short in hundreds of places', () => {
  const step = Math.ceil(OBJECT.length / 400);
  const lengths = Array.from(
    { length: Math.ceil(OBJECT.length / step) },
    (_, n) => n * step,
  );
  expect(
    crashes(
      [...lengths, 1, 63, 64, 65].map((end) => [
        `cut to ${end}`,
        OBJECT.subarray(0, end),
      ]),
    ),
  ).toEqual([]);
});

test.each([0xb0, 0x0b, 0xff])('with registers %i that there are not', (registers) => {
  const files = Array.from({ length: 60 }, (_, n): [string, Buffer] => {
    const file = Buffer.from(OBJECT);
    file.writeUInt8(registers, CODE + n * 8 + 1);
    return [`instruction ${n}`, file];
  });
  expect(crashes(files)).toEqual([]);
});

const JUMP_ALWAYS = 0x05;

test('a jump that leads out of its function', () => {
  const file = Buffer.from(OBJECT);
  file.writeUInt8(JUMP_ALWAYS, CODE);
  file.writeInt16LE(0x7fff, CODE + 2);
  expect(() => checkObject(file)).toThrow(
    'a function goes on where it has no instruction',
  );
});

test('a section that would lie beyond the end', () => {
  const file = Buffer.from(OBJECT);
  const size = SECTIONS + 64 + 32;
  file.writeBigUInt64LE(BigInt(OBJECT.length), size);
  expect(() => checkObject(file)).toThrow('it is cut short, or damaged');
});

function* flipped(
  count: number,
  from: number,
  to: number,
  seed: number,
): Generator<[string, Buffer]> {
  const next = numbers(seed);
  for (let n = 0; n < count; n++) {
    const file = Buffer.from(OBJECT);
    const places: string[] = [];
    for (let flips = 1 + Math.floor(next.next().value * 3); flips > 0; flips--) {
      const at = from + Math.floor(next.next().value * (to - from));
      const value =
        [0, 0xff, 0x80, Math.floor(next.next().value * 256)][
          Math.floor(next.next().value * 4)
        ] ?? 0;
      file.writeUInt8(value, at);
      places.push(`${at} is ${value}`);
    }
    yield [places.join(', '), file];
  }
}

test.each([
  ['its header', 0, 64, MANY],
  ['its instructions', 64, Math.floor(OBJECT.length / 4), MANY],
  ['anywhere', 64, OBJECT.length, MANY],
  ['the table of its sections', SECTIONS, OBJECT.length, MANY],
])('with wrong bytes in %s', (_, from, to, count) => {
  expect(crashes(flipped(count, from, to, 7))).toEqual([]);
});
