// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, jest, test } from '@jest/globals';

import {
  BpftoolFailure,
  decodeEntry,
  dumpsOf,
  hex,
} from '../../../src/system/bpftool-text.js';
import { encodeKey } from '../../../src/abi/bytes.js';
import { Bpftool } from '../../../src/system/bpftool.js';
import type { Answer, FakeRun } from './fake-run.js';
import { fakeRun } from './fake-run.js';

function bpftool(
  answers: Record<string, Answer | Answer[]>,
): FakeRun & { bpftool: Bpftool } {
  const fake = fakeRun(answers);
  return { ...fake, bpftool: new Bpftool(fake.run) };
}

async function failureOf(attempt: Promise<unknown>): Promise<BpftoolFailure> {
  try {
    await attempt;
  } catch (error) {
    if (error instanceof BpftoolFailure) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

describe('bpftool', () => {
  test('reads a program', async () => {
    const { bpftool: tool } = bpftool({
      'bpftool -j prog show id 7':
        '{"id":7,"type":"xdp","name":"l4lb_2","tag":"0123456789abcdef","loaded_at":1795251600,"map_ids":[1,2]}',
    });
    expect(await tool.program('id', 7)).toEqual({
      id: 7,
      name: 'l4lb_2',
      tag: '0123456789abcdef',
      loadedAt: 1_795_251_600,
      mapIds: [1, 2],
    });
  });

  test('reads a program that has no name and no maps', async () => {
    const { bpftool: tool } = bpftool({
      'bpftool -j prog show pinned /sys/fs/bpf/one':
        '{"id":7,"type":"xdp","tag":"0123456789abcdef","loaded_at":1795251600}',
    });
    expect(await tool.program('pinned', '/sys/fs/bpf/one')).toEqual({
      id: 7,
      name: '',
      tag: '0123456789abcdef',
      loadedAt: 1_795_251_600,
      mapIds: [],
    });
  });

  test.each([
    ['the tag', '{"id":7,"type":"xdp","loaded_at":1795251600}'],
    ['the time when', '{"id":7,"type":"xdp","tag":"0123456789abcdef"}'],
  ])('makes up nothing for %s, which every program has', async (what, shown) => {
    const { bpftool: tool } = bpftool({ 'bpftool -j prog show id 7': shown });
    await expect(tool.program('id', 7)).rejects.toThrow(what);
  });

  test('reads several maps in one process', async () => {
    const { bpftool: tool, lines } = bpftool({
      'bpftool -j batch file - < map show id 1; map show id 2': JSON.stringify([
        {
          command: ['map', 'show', 'id', '1'],
          output: {
            id: 1,
            type: 'array',
            name: 'slots',
            bytes_key: 4,
            bytes_value: 8,
            max_entries: 512,
          },
        },
        {
          command: ['map', 'show', 'id', '2'],
          output: {
            id: 2,
            type: 'percpu_array',
            bytes_key: 4,
            bytes_value: 16,
            max_entries: 513,
          },
        },
      ]),
    });
    expect(await tool.maps([1, 2])).toEqual([
      { id: 1, name: 'slots', kind: 'array', keySize: 4, valueSize: 8, entries: 512 },
      { id: 2, name: '', kind: 'percpu_array', keySize: 4, valueSize: 16, entries: 513 },
    ]);
    expect(lines).toHaveLength(1);
  });

  describe('a program with its maps', () => {
    const ASKED = 'bpftool -j batch file - < prog show id 7; map show';
    const PROGRAM = {
      ...{ id: 7, type: 'xdp', name: 'l4lb_2', map_ids: [2, 1] },
      ...{ tag: '0123456789abcdef', loaded_at: 1_795_251_600 },
    };
    const map = (id: number): object => ({
      ...{ id, type: 'array', name: `map${id}` },
      ...{ bytes_key: 4, bytes_value: 8, max_entries: 512 },
    });
    const answered = (...outputs: unknown[]): string =>
      JSON.stringify(outputs.map((output) => ({ command: [], output })));

    test('comes in one process, and has none of the maps of others', async () => {
      const { bpftool: tool, lines } = bpftool({
        [ASKED]: answered(PROGRAM, [map(1), map(2), map(3)]),
      });
      const { name, maps } = await tool.programWithMaps('id', 7);
      expect([name, ...maps.map(({ id }) => id)]).toEqual(['l4lb_2', 2, 1]);
      expect(lines).toHaveLength(1);
    });

    test.each([
      { why: 'ends early', listed: [map(1), { error: "can't get map info" }] },
      { why: 'failed', listed: { error: "can't get map info" } },
    ])('has them one by one where the list of all $why', async ({ listed }) => {
      const { bpftool: tool } = bpftool({
        [ASKED]: { exitCode: 255, stdout: answered(PROGRAM, listed) },
        'bpftool -j batch file - < map show id 2; map show id 1': answered(
          map(2),
          map(1),
        ),
      });
      const { maps } = await tool.programWithMaps('id', 7);
      expect(maps.map(({ id }) => id)).toEqual([2, 1]);
    });

    test.each([
      { what: 'an error', stdout: answered({ error: 'get by id (7): No such file' }) },
      { what: 'nothing', stdout: '' },
    ])('fails as the program by itself where it gives $what', async ({ stdout }) => {
      const { bpftool: tool } = bpftool({
        [ASKED]: { exitCode: 255, stdout },
        'bpftool -j prog show id 7': {
          exitCode: 255,
          stdout: '{"error":"get by id (7): No such file"}',
        },
      });
      const failure = await failureOf(tool.programWithMaps('id', 7));
      expect(failure.message).toBe(
        'bpftool -j prog show id 7: get by id (7): No such file',
      );
    });
  });

  test('starts no process where there is nothing to ask, to look up or to write', async () => {
    const { bpftool: tool, lines } = bpftool({});
    expect(await tool.queries([])).toEqual([]);
    expect(await tool.maps([])).toEqual([]);
    expect(await tool.lookup(1, [])).toEqual([]);
    await tool.write([], 3);
    expect(lines).toEqual([]);
  });

  test('dumps a map', async () => {
    const { bpftool: tool } = bpftool({
      'bpftool -j batch file - < map dump id 5': JSON.stringify([
        {
          command: ['map', 'dump', 'id', '5'],
          output: [
            { key: ['0x00', '0x00', '0x00', '0x00'], value: ['0x01', '0xff'] },
            { key: ['0x01', '0x00', '0x00', '0x00'], value: ['0x0a', '0x10'] },
          ],
        },
      ]),
    });
    expect(await tool.dump(5)).toEqual([
      { key: Buffer.alloc(4), values: [Buffer.from([1, 255])] },
      { key: Buffer.from([1, 0, 0, 0]), values: [Buffer.from([10, 16])] },
    ]);
  });

  describe('dumps of several maps', () => {
    const zero = ['0x00', '0x00'];
    const row = (key: number, ...values: string[][]): object => ({
      key: [`0x0${key}`, '0x00'],
      ...(values.length === 1
        ? { value: values[0] }
        : { values: values.map((value, cpu) => ({ cpu, value })) }),
    });
    const answers = (...outputs: unknown[]): object[] =>
      outputs.map((output, id) => ({
        command: ['map', 'dump', 'id', String(id)],
        output,
      }));
    const plain = [row(0, zero), row(1, ['0x1f', '0xa0']), row(2, zero), row(3, zero)];
    const ofCpus = [
      row(0, zero, zero),
      row(1, zero, ['0x00', '0x02']),
      row(2, zero, zero),
    ];

    test.each([
      ['as bpftool prints them', JSON.stringify(answers(plain, ofCpus, plain))],
      ['printed otherwise', JSON.stringify(answers(plain, ofCpus, plain), null, 1)],
    ])('%s are the same as entries that are read one by one', (_, stdout) => {
      const result = { exitCode: 0, stdout, stderr: '' };
      const expected = [plain, ofCpus, plain].map((one) => one.map(decodeEntry));
      expect(dumpsOf(result, 3)).toEqual(expected);
    });

    test('a map without entries has none', () => {
      const stdout = JSON.stringify(answers(plain, []));
      expect(dumpsOf({ exitCode: 0, stdout, stderr: '' }, 2)[1]).toEqual([]);
    });

    test('none of them is left to JSON.parse, and entries of zeros may be left out', () => {
      const parse = jest.spyOn(JSON, 'parse');
      const stdout = JSON.stringify(answers([], plain, ofCpus, plain));
      const dumps = dumpsOf({ exitCode: 0, stdout, stderr: '' }, 4, new Set([1, 2]));
      expect(parse).not.toHaveBeenCalled();
      parse.mockRestore();
      const used = [plain.slice(1, 2), ofCpus.slice(1, 2)];
      expect(dumps).toEqual([[], ...used, plain].map((one) => one.map(decodeEntry)));
    });

    test.each([
      ['is cut short', JSON.stringify(answers(plain, ofCpus)).slice(0, -30)],
      ['has too few', JSON.stringify(answers(plain))],
      ['has an error', JSON.stringify(answers(plain, { error: 'No such file' }))],
      ['has no value', JSON.stringify(answers(plain, [{ key: zero }]))],
      ['has no byte', JSON.stringify(answers(plain, [row(0, ['0xg0'])]))],
    ])('what %s is not read', (_, stdout) => {
      expect(() => dumpsOf({ exitCode: 0, stdout, stderr: '' }, 2)).toThrow();
    });

    test('nor is what a bpftool printed that failed', () => {
      const stdout = JSON.stringify(answers(plain, ofCpus));
      expect(() => dumpsOf({ exitCode: 255, stdout, stderr: 'no' }, 2)).toThrow(
        BpftoolFailure,
      );
    });
  });

  test('an entry of a per-CPU map has a value for each CPU', () => {
    const entry = {
      key: ['0x02', '0x00', '0x00', '0x00'],
      values: [
        { cpu: 0, value: ['0x01'] },
        { cpu: 1, value: ['0x02'] },
      ],
    };
    expect(decodeEntry(entry)).toEqual({
      key: Buffer.from([2, 0, 0, 0]),
      values: [Buffer.from([1]), Buffer.from([2])],
    });
  });

  test.each<[string, object]>([
    ['has no value', { key: ['0x00'] }],
    ['has no key', { value: ['0x00'] }],
    ['has a byte that is none', { key: ['0x00'], value: ['0x01', '0xg0'] }],
    ['has an error on one CPU', { key: ['0x00'], values: [{ cpu: 0, error: 'no' }] }],
  ])('an entry that %s is not read as zero', (_, entry) => {
    expect(() => decodeEntry(entry)).toThrow(BpftoolFailure);
  });

  test('an entry that went while it was read fails in the words of the kernel', () => {
    const gone = { key: ['0x00'], value: { error: 'No such file or directory' } };
    expect(() => decodeEntry(gone)).toThrow(/No such file or directory$/);
  });

  test.each([
    ['a value is missing', 'key: 00 00 00 00  value: 01 02\n'],
    [
      'a value is no bytes',
      'key: 00 00 00 00  value: 01 02\nkey: 01 00 00 00  value: 0x 12\n',
    ],
  ])('where %s, the others are not taken for those of its keys', async (_, output) => {
    const keys = [Buffer.from([0, 0, 0, 0]), Buffer.from([1, 0, 0, 0])];
    const { bpftool: tool } = bpftool({
      'bpftool batch file - < map lookup id 4 key hex 00 00 00 00; map lookup id 4 key hex 01 00 00 00':
        output,
    });
    await failureOf(tool.lookup(4, keys));
  });

  test('fewer answers than questions are a failure', async () => {
    const { bpftool: tool } = bpftool({
      'bpftool -j batch file - < map show id 1; map show id 2': '[{"output":{"id":1}}]',
    });
    await failureOf(tool.queries(['map show id 1', 'map show id 2']));
  });

  test('looks many keys up in one process, and reads the plain output', async () => {
    const keys = [Buffer.from([0, 0, 0, 0]), Buffer.from([1, 0, 0, 0])];
    const { bpftool: tool } = bpftool({
      'bpftool batch file - < map lookup id 4 key hex 00 00 00 00; map lookup id 4 key hex 01 00 00 00':
        'key: 00 00 00 00  value: 01 02 03 04 05 06 07 08\n' +
        'key: 01 00 00 00  value: 11 12 13 14 15 16 17 18\n' +
        'processed 2 commands\n',
    });
    expect(await tool.lookup(4, keys)).toEqual([
      Buffer.from('0102030405060708', 'hex'),
      Buffer.from('1112131415161718', 'hex'),
    ]);
  });

  test('writes in a process of its own session, which holds the lock', async () => {
    const line = 'map update id 4 key hex 00 00 00 00 value hex 01';
    const { bpftool: tool, options } = bpftool({
      [`bpftool batch file - < ${line}`]: 'processed 1 commands\n',
    });
    await tool.write([line], 9);
    expect(options).toEqual([expect.objectContaining({ held: 9, detached: true })]);
  });

  test('what only asks holds no lock, and ends with Ctrl-C', async () => {
    const { bpftool: tool, options } = bpftool({
      'bpftool -j batch file - < map dump id 5': '[{"output":[]}]',
    });
    await tool.dump(5);
    expect(options[0]).toMatchObject({ detached: false });
    expect(options[0]?.held).toBeUndefined();
  });

  test.each([
    {
      how: 'loads an object and pins it',
      act: (tool: Bpftool) => tool.load('l4lb_xdp.o', '/sys/fs/bpf/one'),
      line: 'bpftool prog load l4lb_xdp.o /sys/fs/bpf/one type xdp',
    },
    {
      how: 'loads an object for a card',
      act: (tool: Bpftool) => tool.load('l4lb_xdp.o', '/pin', { device: 'ens4' }),
      line: 'bpftool prog load l4lb_xdp.o /pin type xdp dev ens4',
    },
    {
      how: 'loads an object with maps that are there',
      act: (tool: Bpftool) =>
        tool.load('l4lb_xdp.o', '/pin', {
          reuse: [
            {
              id: 5,
              name: 'slots',
              kind: 'array',
              keySize: 4,
              valueSize: 8,
              entries: 512,
            },
          ],
        }),
      line: 'bpftool prog load l4lb_xdp.o /pin type xdp map name slots id 5',
    },
    {
      how: 'attaches a program',
      act: (tool: Bpftool) => tool.attach('xdpdrv', '/pin', 'ens4'),
      line: 'bpftool net attach xdpdrv pinned /pin dev ens4',
    },
    {
      how: 'attaches a program in the place of another',
      act: (tool: Bpftool) =>
        tool.attach('xdpgeneric', '/pin', 'ens4', { overwrite: true }),
      line: 'bpftool net attach xdpgeneric pinned /pin dev ens4 overwrite',
    },
    {
      how: 'pins a program',
      act: (tool: Bpftool) => tool.pin(7, '/pin'),
      line: 'bpftool prog pin id 7 /pin',
    },
  ])('$how', async ({ act, line }) => {
    const { bpftool: tool, lines } = bpftool({ [line]: '' });
    await act(tool);
    expect(lines).toEqual([line]);
  });

  test('writes bytes with a space between them', () => {
    expect(hex(Buffer.from([0, 1, 255]))).toBe('00 01 ff');
    expect(hex(encodeKey(0))).toBe('00 00 00 00');
    expect(hex(Buffer.alloc(0))).toBe('');
  });
});

describe('a failure of bpftool', () => {
  test.each([
    {
      where: 'on stderr',
      answer: {
        exitCode: 255,
        stderr: 'Error: get by id (7): No such file or directory\n',
      },
      words: 'get by id (7): No such file or directory',
    },
    {
      where: 'behind lines of libbpf',
      answer: {
        exitCode: 255,
        stderr: 'libbpf: loading l4lb_xdp.o\nError: failed to load object file\n',
      },
      words: 'failed to load object file',
    },
    {
      where: 'as JSON on stdout',
      answer: {
        exitCode: 255,
        stdout: '{"error":"get by id (7): Operation not permitted"}',
      },
      words: 'get by id (7): Operation not permitted',
    },
    {
      where: 'as a line without the word error',
      answer: { exitCode: 1, stderr: 'not to be had\nat all\n' },
      words: 'not to be had',
    },
  ])("has the kernel's words $where, and the command", async ({ answer, words }) => {
    const { bpftool: tool } = bpftool({ 'bpftool -j prog show id 7': answer });
    const failure = await failureOf(tool.program('id', 7));
    expect(failure.message).toBe(`bpftool -j prog show id 7: ${words}`);
    expect(failure.exitCode).toBe(1);
  });

  test('inside the answers of a batch is found, though the batch itself succeeds', async () => {
    const { bpftool: tool } = bpftool({
      'bpftool -j batch file - < map dump id 5; map dump id 6': JSON.stringify([
        { command: [], output: [] },
        {
          command: [],
          output: { error: 'get map by id (6): No such file or directory' },
        },
      ]),
    });
    const failure = await failureOf(tool.queries(['map dump id 5', 'map dump id 6']));
    expect(failure.message).toBe('bpftool: get map by id (6): No such file or directory');
  });

  test('of a batch that asks has the words on stdout', async () => {
    const { bpftool: tool } = bpftool({
      'bpftool -j batch file - < map show id 6': {
        exitCode: 255,
        stdout:
          '[{"command":["map","show","id","6"],"output":{"error":"get map by id (6): No such file or directory"}}]',
      },
    });
    expect((await failureOf(tool.maps([6]))).message).toBe(
      'bpftool: get map by id (6): No such file or directory',
    );
  });

  test('of a lookup has the words on stderr', async () => {
    const { bpftool: tool } = bpftool({
      'bpftool batch file - < map lookup id 4 key hex 00 00 00 00': {
        exitCode: 255,
        stderr: 'Error: get map by id (4): No such file or directory\n',
      },
    });
    expect((await failureOf(tool.lookup(4, [Buffer.alloc(4)]))).message).toBe(
      'bpftool: get map by id (4): No such file or directory',
    );
  });

  test('while writing says that the same command completes the work', async () => {
    const { bpftool: tool } = bpftool({
      'bpftool batch file - < map update id 4': {
        exitCode: 255,
        stderr: 'Error: get map by id (4): No such file or directory\n',
      },
    });
    const failure = await failureOf(tool.write(['map update id 4'], 9));
    expect(failure.format('l4lb-map')).toBe(
      [
        'l4lb-map: bpftool could not write the tables: get map by id (4): No such file or directory',
        '  likely cause: the program was removed meanwhile, or the kernel refused a value',
        '  next: run the same command again: it completes what is missing',
      ].join('\n'),
    );
  });
});
