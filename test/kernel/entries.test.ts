// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * `entries/entries` on maps of the kernel: what it writes is what bpftool would write, with
 * batches and without, and a file that is wrong changes nothing.
 */
import { mkdtempSync, openSync, closeSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';

import { encodeKey, encodeWords } from '../../src/abi/bytes.js';
import { MAP_NAMES, VALUE_SIZES } from '../../src/abi/maps.js';
import { QUAD } from '../../src/abi/slot.js';
import type { State } from '../../src/plan/state.js';
import type { Maps } from '../../src/program/find.js';
import { changesOf } from '../../src/program/write.js';
import type { MapInfo } from '../../src/system/bpftool-text.js';
import { hex } from '../../src/system/bpftool-text.js';
import { Bpftool } from '../../src/system/bpftool.js';
import type { Change, Entry } from '../../src/system/entries.js';
import { EntriesFailure, remove, update } from '../../src/system/entries.js';
import { run } from '../../src/system/run.js';
import { filled, planFor, row, untouched } from '../unit/plan/states.js';
import { ROOT } from './network.js';
import { compilePreload } from './preload.js';

const bpftool = new Bpftool(run);
const folder = mkdtempSync(join(tmpdir(), 'l4lb-entries-'));
const preload = join(folder, 'preload.so');
const pins: string[] = [];

beforeAll(() => compilePreload(preload));
afterEach(() => {
  delete process.env.LD_PRELOAD;
  delete process.env.L4LB_NO_BATCHES;
  for (const pin of pins.splice(0)) rmSync(pin, { force: true });
});
afterAll(() => rmSync(folder, { recursive: true }));

async function make(
  type: string,
  keySize: number,
  valueSize: number,
  entries: number,
): Promise<MapInfo> {
  const pin = `/sys/fs/bpf/l4lb-test-${process.pid}-entries-${pins.length}`;
  pins.push(pin);
  const sizes = ['key', String(keySize), 'value', String(valueSize)];
  await execa('bpftool', [
    ...['map', 'create', pin, 'type', type, ...sizes],
    ...['entries', String(entries), 'name', 'l4lb_test'],
  ]);
  return bpftool.mapPinned(pin);
}

/** Without batches, the kernel does as those before 5.6 and as cards' maps do. */
function withoutBatches(): void {
  process.env.LD_PRELOAD = preload;
  process.env.L4LB_NO_BATCHES = 'yes';
}

/** Makes the same changes by bpftool. */
async function byBpftool(changes: Iterable<Change>): Promise<void> {
  const lines = [...changes].flatMap(({ map, keys, keySize, values, valueSize }) =>
    Array.from({ length: keys.length / keySize }, (_, index) => {
      const key = hex(keys.subarray(index * keySize, (index + 1) * keySize));
      if (!values) return `map delete id ${map} key hex ${key}`;
      const value = values.subarray(index * valueSize, (index + 1) * valueSize);
      return `map update id ${map} key hex ${key} value hex ${hex(value)}`;
    }),
  );
  await execa('bpftool', ['batch', 'file', '-'], { input: `${lines.join('\n')}\n` });
}

/** All that bpftool says of a map but its id. */
async function told({ id }: MapInfo): Promise<unknown> {
  const { stdout } = await execa('bpftool', ['-j', 'map', 'dump', 'id', String(id)]);
  return JSON.parse(stdout);
}

const KINDS = ['in batches', 'one by one'] as const;

describe.each(KINDS)('entries that are written %s', (how) => {
  const begin = how === 'one by one' ? withoutBatches : (): void => undefined;

  test.each([
    { type: 'array', keySize: 4, entries: 1000 },
    { type: 'percpu_array', keySize: 4, entries: 50 },
    { type: 'hash', keySize: 20, entries: 100 },
  ])('of a $type are those that bpftool writes', async ({ type, keySize, entries }) => {
    const [ours, theirs] = [
      await make(type, keySize, 12, entries),
      await make(type, keySize, 12, entries),
    ];
    const key = (number: number): Buffer =>
      Buffer.concat([encodeKey(number), Buffer.alloc(keySize - 4, number)]);
    const changesFor = (map: MapInfo): Change[] => [
      ...Array.from({ length: entries - 1 }, (_, number) =>
        update(map, key(number), Buffer.alloc(12, number + 1)),
      ),
      ...(type === 'hash' ? [remove(map, key(7)), remove(map, key(9))] : []),
      update(map, key(3), Buffer.alloc(12, 77)),
    ];
    await byBpftool(changesFor(theirs));
    begin();
    await bpftool.write(changesFor(ours), undefined);
    const dumped = await bpftool.dumps([ours.id, theirs.id]);
    const sorted = (all: Entry[] = []): Entry[] =>
      all.sort((one, other) => Buffer.compare(one.key, other.key));
    expect(sorted(dumped[0])).toEqual(sorted(dumped[1]));
    const used = entries - (type === 'hash' ? 3 : 0);
    expect(dumped[0]).toHaveLength(used);
    if (type !== 'hash') expect(await told(ours)).toEqual(await told(theirs));
    if (type === 'percpu_array') return;
    const keys = [3, 4, 5, 6, 2].map(key);
    expect(await bpftool.lookup(ours.id, keys)).toEqual(
      [77, 5, 6, 7, 3].map((byte) => Buffer.alloc(12, byte)),
    );
    const last = [entries - 3, entries - 2].map(key);
    expect(await bpftool.lookup(ours.id, last)).toEqual(
      [entries - 2, entries - 1].map((byte) => Buffer.alloc(12, byte)),
    );
  });

  test('by a fill and a second one are those that bpftool writes', async () => {
    const sizes: State['sizes'] = { slots: 1024, destinations: 64, cells: 16, sets: 1 };
    const makeMaps = async (): Promise<Maps> => {
      const maps: Partial<Record<string, MapInfo>> = {};
      const entries: Record<string, number> = {
        ...{ device: 1, services: 16, slots: 1024 / QUAD, destinations: 65 },
        ...{ counters: 65, verdicts: 48 },
      };
      for (const name of MAP_NAMES) {
        maps[name] = await make('array', 4, VALUE_SIZES[name], entries[name] ?? 1);
      }
      maps.memories = await make('array', 4, 16, 1024);
      maps.kept = await make('array', 4, 4, 1024);
      return maps as unknown as Maps;
    };
    const [ours, theirs] = [await makeMaps(), await makeMaps()];
    const rows = (from: number, to: number): ReturnType<typeof row>[] =>
      Array.from({ length: to - from }, (_, one) => row(`10.0.1.${from + one}`));
    const fill = { slots: 1024, now: 1000 };
    let live = untouched(sizes);
    for (const [wanted, now] of [
      [rows(1, 40), 1000],
      [rows(3, 44), 2000],
      [rows(5, 40), 3000],
    ] as const) {
      const { writes } = planFor(live, wanted, { ...fill, now });
      await byBpftool(changesOf(theirs, writes, live.slots));
      begin();
      await bpftool.write(changesOf(ours, writes, live.slots), undefined);
      delete process.env.LD_PRELOAD;
      live = filled(live, wanted, { ...fill, now });
    }
    const names = [...MAP_NAMES, 'memories', 'kept'] as const;
    for (const name of names) {
      const [one, other] = [ours[name], theirs[name]];
      if (!one || !other) throw new Error(name);
      expect([name, await told(one)]).toEqual([name, await told(other)]);
    }
  });
});

describe('a file that is wrong changes nothing:', () => {
  const block = (words: number[], ...more: Buffer[]): Buffer =>
    Buffer.concat([encodeWords(words), ...more]);
  const good = (map: number): Buffer =>
    block([0, map, 4, 8, 1], encodeKey(1), Buffer.alloc(8, 1));

  test.each<{ what: string; said: string; bad: (map: number) => Buffer }>([
    {
      what: 'a block that is cut short',
      said: 'in the middle of a block',
      bad: (map) => good(map).subarray(0, -1),
    },
    {
      what: 'half a header',
      said: 'in the middle of a block',
      bad: () => Buffer.alloc(7),
    },
    { what: 'a kind', said: 'no known kind', bad: (map) => block([4, map, 4, 0, 1]) },
    {
      what: 'a size of keys',
      said: 'keys of another size',
      bad: (map) => block([0, map, 8, 8, 1], Buffer.alloc(16)),
    },
    {
      what: 'a size of values',
      said: 'values of another size',
      bad: (map) => block([0, map, 4, 16, 1], Buffer.alloc(20)),
    },
    {
      what: 'values to look up',
      said: 'values of another size',
      bad: (map) => block([2, map, 4, 8, 1], Buffer.alloc(12)),
    },
    { what: 'no keys', said: 'no keys', bad: (map) => block([0, map, 4, 8, 0]) },
    {
      what: 'more than fits',
      said: 'too large',
      bad: (map) => block([0, map, 4, 8, 0xffffffff]),
    },
    {
      what: 'a map that is not there',
      said: 'could not open map 4294967295',
      bad: () => block([3, 0xffffffff, 0, 0, 0]),
    },
  ])('$what', async ({ said, bad }) => {
    const map = await make('array', 4, 8, 4);
    const path = join(folder, 'file');
    writeFileSync(path, Buffer.concat([good(map.id), bad(map.id)]));
    const file = openSync(path, 'r');
    const ran = await run(join(ROOT, 'entries/entries'), [], { stdin: file });
    closeSync(file);
    expect(ran.stderr).toContain(said);
    expect(ran.exitCode).toBe(said.startsWith('could') ? 1 : 2);
    expect(await bpftool.dumps([map.id], [map.id])).toEqual([[]]);
  });

  test('a pipe', async () => {
    const ran = await execa(join(ROOT, 'entries/entries'), { input: '', reject: false });
    expect([ran.exitCode, ran.stderr]).toEqual([
      2,
      expect.stringContaining('not a file'),
    ]);
  });
});

test('a key that is not there is a failure, and the changes before it stay', async () => {
  const map = await make('hash', 4, 8, 4);
  const written = update(map, encodeKey(1), Buffer.alloc(8, 1));
  const failed = bpftool.write([written, remove(map, encodeKey(2))], undefined);
  await expect(failed).rejects.toThrow(EntriesFailure);
  await expect(failed).rejects.toThrow(/could not delete from map \d+: No such file/);
  expect(await bpftool.dump(map.id)).toHaveLength(1);
  await expect(bpftool.lookup(map.id, [encodeKey(2)])).rejects.toThrow(/could not read/);
});
