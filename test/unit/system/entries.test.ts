// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What is asked of `entries/entries`, and how its answers are read. */
import { describe, expect, test } from '@jest/globals';

import { encodeKey } from '../../../src/abi/bytes.js';
import { Bpftool } from '../../../src/system/bpftool.js';
import type { Change, Entry } from '../../../src/system/entries.js';
import { EntriesFailure, remove, update } from '../../../src/system/entries.js';
import { printed } from './fake-entries.js';
import type { Answer, FakeRun } from './fake-run.js';
import { fakeRun } from './fake-run.js';

function bpftool(
  answers: Record<string, Answer | Answer[]>,
): FakeRun & { bpftool: Bpftool } {
  const fake = fakeRun(answers);
  return { ...fake, bpftool: new Bpftool(fake.run) };
}

const entry = (key: number, ...values: string[]): Entry => ({
  key: encodeKey(key),
  values: values.map((value) => Buffer.from(value, 'hex')),
});
const set = (map: number, key: number, value: string): Change =>
  update({ id: map }, encodeKey(key), Buffer.from(value, 'hex'));

describe('entries of maps', () => {
  test('starts no process where there is nothing to look up or to write', async () => {
    const { bpftool: tool, lines } = bpftool({});
    expect(await tool.lookup(1, [])).toEqual([]);
    expect(await tool.dumps([])).toEqual([]);
    await tool.write([], 3);
    expect(lines).toEqual([]);
  });

  test('come from several maps in one process', async () => {
    const dumped = [
      [entry(0, '0000'), entry(1, '1fa0'), entry(2, '0000')],
      [entry(0, '0000', '0000'), entry(1, '0000', '0002')],
      [],
    ];
    const { bpftool: tool, lines } = bpftool({
      'entries < dump 5; dump 6; dump 7': printed(...dumped),
    });
    expect(await tool.dumps([5, 6, 7])).toEqual(dumped);
    const used = [dumped[0]?.slice(1, 2), dumped[1]?.slice(1), []];
    expect(await tool.dumps([5, 6, 7], [5, 6])).toEqual(used);
    expect(lines).toHaveLength(2);
  });

  test('are looked up by many keys in one process', async () => {
    const { bpftool: tool } = bpftool({
      'entries < lookup 4 00000000; lookup 4 01000000': printed([
        entry(0, '0102030405060708'),
        entry(1, '1112131415161718'),
      ]),
    });
    const keys = [0, 1].map(encodeKey);
    const values = ['0102030405060708', '1112131415161718'];
    expect(await tool.lookup(4, keys)).toEqual(
      values.map((value) => Buffer.from(value, 'hex')),
    );
  });

  test('change in their order, in a process of its own session, which holds the lock', async () => {
    const { bpftool: tool, options } = bpftool({
      'entries < update 4 00000000 01; update 4 01000000 02; delete 4 00000000; update 5 00000000 03; update 4 00000000 04':
        '',
    });
    const changes = [set(4, 0, '01'), set(4, 1, '02'), remove({ id: 4 }, encodeKey(0))];
    await tool.write([...changes, set(5, 0, '03'), set(4, 0, '04')], 9);
    expect(options).toEqual([expect.objectContaining({ held: 9, detached: true })]);
  });

  test('that are only read hold no lock, and reading ends with Ctrl-C', async () => {
    const { bpftool: tool, options } = bpftool({ 'entries < dump 5': printed([]) });
    expect(await tool.dump(5)).toEqual([]);
    expect(options[0]).toMatchObject({ detached: false });
    expect(options[0]?.held).toBeUndefined();
  });

  test('that cannot be written say that the same command completes the work', async () => {
    const { bpftool: tool } = bpftool({
      'entries < update 4 00000000 01': {
        exitCode: 1,
        stderr: 'entries: could not open map 4: No such file or directory\n',
      },
    });
    const failed = tool.write([set(4, 0, '01')], 9);
    await expect(failed).rejects.toThrow(EntriesFailure);
    const failure = (await failed.catch((error: unknown) => error)) as EntriesFailure;
    expect(failure.format('l4lb-map')).toBe(
      [
        'l4lb-map: the tables were not written: could not open map 4: No such file or directory',
        '  likely cause: the program was removed meanwhile, or the kernel refused a value',
        '  next: run the same command again: it completes what is missing',
      ].join('\n'),
    );
  });

  test('that cannot be read say so', async () => {
    const { bpftool: tool } = bpftool({
      'entries < dump 4': { exitCode: 1, stderr: 'entries: could not open map 4: no\n' },
    });
    await expect(tool.dump(4)).rejects.toThrow(/^could not open map 4: no$/);
  });

  test('of a process that was ended are not there', async () => {
    const { bpftool: tool } = bpftool({ 'entries < dump 4': { exitCode: 127 } });
    await expect(tool.dump(4)).rejects.toThrow('entries/entries does not run');
  });
});
