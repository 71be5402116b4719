// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Which sums are carried to a new program, and that a missing map is not passed over. */
import { expect, test } from '@jest/globals';

import { encodeKey } from '../../../src/abi/bytes.js';
import { encodeCounter } from '../../../src/abi/counter.js';
import { DECAP_PROGRAM_NAME, PROGRAM_NAME } from '../../../src/abi/maps.js';
import { SumCarrier } from '../../../src/load/carry-sums.js';
import { Pins } from '../../../src/program/pins.js';
import type { MapInfo } from '../../../src/system/bpftool-text.js';
import { Bpftool } from '../../../src/system/bpftool.js';
import { Failure } from '../../../src/text/failure.js';
import type { Change } from '../../../src/system/entries.js';
import { printed, textOf } from '../system/fake-entries.js';
import { fakeRun } from '../system/fake-run.js';

function maps(first: number, names: readonly string[]): MapInfo[] {
  return names.map((name, index) => ({
    ...{ id: first + index, name, kind: 'array', keySize: 4, valueSize: 16, entries: 8 },
  }));
}

const counter = (packets: bigint): Buffer =>
  encodeCounter({ packets, bytes: packets * 100n });

/** What is printed of a map with these counters. */
function dump(counters: readonly bigint[]): string {
  return printed(
    counters.map((packets, key) => ({
      key: encodeKey(key),
      values: [counter(packets)],
    })),
  );
}

const OLD = maps(1, ['counters', 'verdicts']);
const NEW = maps(11, ['counters', 'verdicts']);

class RecordingBpftool extends Bpftool {
  readonly lines: string[] = [];

  override write(changes: Iterable<Change>): Promise<void> {
    this.lines.push(...textOf(changes));
    return Promise.resolve();
  }
}

function carrierOf(
  old: readonly MapInfo[],
  fresh: { name: string; maps: MapInfo[] },
  dumps: Record<number, bigint[]> = {},
): { carrier: SumCarrier; lines: string[] } {
  const answers: Record<string, string> = {};
  for (const [id, counters] of Object.entries(dumps)) {
    answers[`entries < dump ${id}`] = dump(counters);
  }
  const bpftool = new RecordingBpftool(fakeRun(answers).run);
  const ids = new Map([[2, 1]]);
  return {
    carrier: new SumCarrier(bpftool, new Pins(), 9, old, fresh, ids),
    lines: bpftool.lines,
  };
}

function update(id: number, key: number, packets: bigint): string {
  return `update ${id} ${encodeKey(key).toString('hex')} ${counter(packets).toString('hex')}`;
}

test('counters go to the new ids, and what has none any more to id 0', async () => {
  const { carrier, lines } = carrierOf(
    OLD,
    { name: PROGRAM_NAME, maps: NEW },
    { 1: [4n, 5n, 6n], 2: [0n, 7n] },
  );
  await carrier.set();
  expect(lines).toEqual([
    update(11, 0, 9n),
    update(11, 1, 6n),
    update(12, 0, 0n),
    update(12, 1, 7n),
  ]);
});

test('what destinations sent back goes the same way, where both programs count it', async () => {
  const names = ['counters', 'verdicts', 'returned'];
  const dumps = { 1: [4n, 5n, 6n], 2: [0n, 7n], 3: [1n, 0n, 2n] };
  const [old, fresh] = [maps(1, names), maps(11, names)];
  const both = carrierOf(old, { name: PROGRAM_NAME, maps: fresh }, dumps);
  await both.carrier.set();
  expect(both.lines).toEqual([
    ...[update(11, 0, 9n), update(11, 1, 6n)],
    ...[update(13, 0, 1n), update(13, 1, 2n)],
    ...[update(12, 0, 0n), update(12, 1, 7n)],
  ]);
  for (const [from, to] of [
    [old, NEW],
    [OLD, fresh],
  ] as const) {
    const one = carrierOf(from, { name: PROGRAM_NAME, maps: [...to] }, dumps);
    await one.carrier.set();
    expect(one.lines).toEqual(
      both.lines.filter((line) => !line.startsWith('update 13 ')),
    );
  }
});

test('a program that decapsulates has verdicts only', async () => {
  const { carrier, lines } = carrierOf(
    OLD.slice(1),
    { name: DECAP_PROGRAM_NAME, maps: NEW.slice(1) },
    { 2: [0n, 7n] },
  );
  await carrier.set();
  expect(lines).toEqual([update(12, 0, 0n), update(12, 1, 7n)]);
});

test.each([
  ['the old program', OLD.slice(1), NEW, 'counters'],
  ['the old program', OLD.slice(0, 1), NEW, 'verdicts'],
  ['the new program', OLD, NEW.slice(1), 'counters'],
  ['the new program', OLD, NEW.slice(0, 1), 'verdicts'],
])('where %s lacks a map, it fails before the swap', (_, old, fresh, name) => {
  const make = (): unknown => carrierOf(old, { name: PROGRAM_NAME, maps: [...fresh] });
  expect(make).toThrow(Failure);
  expect(make).toThrow(`the program has no map ${name}`);
});
