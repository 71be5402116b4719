// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { BpftoolFailure, decodeEntry, hex } from '../../../src/system/bpftool-text.js';
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

  test('fewer answers than questions are a failure', async () => {
    const { bpftool: tool } = bpftool({
      'bpftool -j batch file - < map show id 1; map show id 2': '[{"output":{"id":1}}]',
    });
    await failureOf(tool.queries(['map show id 1', 'map show id 2']));
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
});
