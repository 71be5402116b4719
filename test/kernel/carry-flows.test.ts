// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Records of connections are carried over when flows get another size: by sets, and by
 * packets.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  test,
} from '@jest/globals';

import type { MapInfo } from '../../src/system/bpftool-text.js';
import { decodeCarriedFlows, flowsFrame } from '../../src/abi/carry.js';
import type { CarriedFlows } from '../../src/abi/carry.js';
import { ESTABLISHED, LASTING } from '../../src/abi/record.js';
import { encodeKey } from '../../src/abi/bytes.js';
import { Bpftool } from '../../src/system/bpftool.js';
import { run } from '../../src/system/run.js';
import { kernelSeconds } from '../../src/system/clock.js';
import { TCP, ethernet, ipv4, tcp } from '../frames.js';
import { takeBackToFirst } from './first-version.js';
import { Network, ROOT } from './network.js';
import type { Change } from '../../src/system/entries.js';
import { update } from '../../src/system/entries.js';

const SYN = 0x02;
const ACK = 0x10;
const RECORDS = 8;
const ENDED = 0x8000;
const bpftool = new Bpftool(run);

describe('l4lb_carry_flows', () => {
  /**
   * A record as a test writes it: of which connection, to which destination, and when
   * seen.
   */
  interface Record {
    of: number;
    to: number;
    /** Seconds. */
    age: number;
    established?: boolean;
    lasting?: boolean;
    ended?: boolean;
  }
  type Sets = Partial<{ [set: number]: Record[] }>;
  const now = kernelSeconds() >> 2;
  /** What was loaded for two numbers of sets: a program, and the maps that it copies between. */
  interface Loaded {
    pin: string;
    from: MapInfo;
    to: MapInfo;
  }
  const loaded = new Map<string, Promise<Loaded>>();
  const pins: string[] = [];

  function pin(name: string): string {
    const path = `/sys/fs/bpf/l4lb-test-${process.pid}-${name}-${pins.length}`;
    pins.push(path);
    return path;
  }
  afterAll(() => {
    for (const path of pins) rmSync(path, { force: true });
  });

  function encodeSet(records: readonly Record[]): Buffer {
    const set = Buffer.alloc(8 * RECORDS);
    records.forEach(({ of, to, age, established, lasting, ended }, place) => {
      const flags = (established ? ESTABLISHED : 0) + (lasting ? LASTING : 0);
      set.writeUInt32LE(of + flags, 8 * place);
      set.writeUInt16LE(to | (ended ? ENDED : 0), 8 * place + 4);
      set.writeUInt16LE((now - (age >> 2)) & 0xffff, 8 * place + 6);
    });
    return set;
  }

  function decodeSet(set: Buffer): Record[] {
    return Array.from({ length: RECORDS }, (_, place) => {
      const signature = set.readUInt32LE(8 * place);
      const destination = set.readUInt16LE(8 * place + 4);
      return {
        of: signature & ~(ESTABLISHED | LASTING),
        to: destination & ~ENDED,
        age: ((now - set.readUInt16LE(8 * place + 6)) & 0xffff) << 2,
        established: (signature & ESTABLISHED) !== 0,
        ...((signature & LASTING) !== 0 && { lasting: true }),
        ...((destination & ENDED) !== 0 && { ended: true }),
      };
    }).filter(({ of }) => of !== 0);
  }

  async function flowsOf(name: string, count: number): Promise<MapInfo> {
    const path = pin(name);
    await bpftool.createArray(path, name, 8 * RECORDS, count);
    return bpftool.mapPinned(path);
  }

  async function load(countBefore: number, count: number): Promise<Loaded> {
    const from = await flowsOf('flows_before', countBefore);
    const to = await flowsOf('flows', count);
    const program = pin('program');
    await bpftool.load(`${ROOT}l4lb_carry_flows.o`, program, { reuse: [from, to] });
    return { pin: program, from, to };
  }

  /** Tests with the same numbers of sets share a program. */
  function loadOnce(countBefore: number, count: number): Promise<Loaded> {
    const key = `${countBefore} to ${count}`;
    const known = loaded.get(key) ?? load(countBefore, count);
    loaded.set(key, known);
    return known;
  }

  /** Changes that write all sets of a map, so that nothing is left of an earlier test. */
  function changesOf(map: MapInfo, sets: Sets): Change[] {
    return Array.from({ length: map.entries }, (_, set) =>
      update(map, encodeKey(set), encodeSet(sets[set] ?? [])),
    );
  }

  /**
   * Carries records from a number of sets to another; returns what the new sets hold
   * then.
   */
  async function carry(
    [countBefore, before]: [number, Sets],
    [count, there]: [number, Sets],
    hotFor = 3600,
  ): Promise<CarriedFlows & { sets: Record[][] }> {
    const { pin: program, from, to } = await loadOnce(countBefore, count);
    await bpftool.write([...changesOf(from, before), ...changesOf(to, there)], undefined);
    const frame = flowsFrame(countBefore, count, Math.max(0, now - (hotFor >> 2)));
    const repeat = Math.max(count, countBefore);
    const done = await bpftool.runRepeated({ pin: program, frame, repeat });
    const entries = await bpftool.dump(to.id);
    const sets = entries.map(({ values }) => decodeSet(values[0] ?? Buffer.alloc(64)));
    return { ...decodeCarriedFlows(done), sets };
  }

  const record = (of: number, age = 40, established = true): Record => ({
    of,
    to: 5,
    age,
    established,
  });
  const lasting = (of: number, age = 40): Record => ({
    ...record(of, age),
    lasting: true,
  });
  const over = (of: number): Record => ({ ...record(of), ended: true });
  const crowd = (first: number, age: number, established = true): Record[] =>
    Array.from({ length: RECORDS }, (_, index) =>
      record(first + index, age, established),
    );

  test('to as many sets copies each', async () => {
    const sets = { 0: [record(1)], 3: [record(2), record(3, 8, false)] };
    const { carried, lost, sets: got } = await carry([4, sets], [4, {}]);
    expect([carried, lost]).toEqual([3, 0]);
    expect(got).toEqual([[record(1)], [], [], [record(2), record(3, 8, false)]]);
  });

  test('to fewer sets joins those with the same lower bits', async () => {
    const sets = { 1: [record(1)], 2: [record(2)], 3: [record(3)] };
    const { carried, lost, sets: got } = await carry([4, sets], [2, {}]);
    expect([carried, lost]).toEqual([3, 0]);
    expect(got).toEqual([[record(2)], [record(1), record(3)]]);
  });

  test('to more sets copies each into all sets that can be its own', async () => {
    const sets = { 0: [record(1)], 1: [record(2)] };
    const { carried, lost, sets: got } = await carry([2, sets], [8, {}]);
    expect([carried, lost]).toEqual([2, 0]);
    const [even, odd] = [[record(1)], [record(2)]];
    expect(got).toEqual([even, odd, even, odd, even, odd, even, odd]);
  });

  test('leaves out what was seen before any slot became hot', async () => {
    const sets = { 0: [record(1, 400), record(2, 80)] };
    const { carried, sets: got } = await carry([1, sets], [1, {}], 200);
    expect([carried, got]).toEqual([1, [[record(2, 80)]]]);
  });

  test.each<[string, Record, Record, Record]>([
    ['seen later in the new sets stays', record(1, 40), record(1, 8), record(1, 8)],
    ['seen later in the old sets goes over', record(1, 8), record(1, 40), record(1, 8)],
    ['ended meanwhile goes over', over(1), record(1), over(1)],
    ['ended in the new sets stays', record(1), over(1), over(1)],
    ['that lasts goes over', lasting(1), record(1), lasting(1)],
    ['that lasts in the new sets stays', record(1), lasting(1), lasting(1)],
  ])('a record %s', async (_, before, there, expected) => {
    const { sets } = await carry([1, { 0: [before] }], [1, { 0: [there] }]);
    expect(sets).toEqual([[expected]]);
  });

  test('pushes out records without a second packet, the oldest first', async () => {
    const there = [
      ...crowd(10, 40).slice(0, 6),
      record(30, 80, false),
      record(31, 60, false),
    ];
    const { lost, sets } = await carry([1, { 0: [record(1)] }], [1, { 0: there }]);
    expect(lost).toBe(0);
    expect(sets[0]).toEqual([...there.slice(0, 6), record(1), record(31, 60, false)]);
  });

  test('pushes out a record that has ended', async () => {
    const there = [...crowd(10, 40).slice(0, 7), { ...over(30), age: 60 }];
    const { lost, sets } = await carry([1, { 0: [record(1)] }], [1, { 0: there }]);
    expect([lost, sets]).toEqual([0, [[...there.slice(0, 7), record(1)]]]);
  });

  test('pushes out an established record after a minute of silence, unless it lasts', async () => {
    const there = [...crowd(10, 40).slice(0, 6), record(30, 80), lasting(31, 100)];
    const { lost, sets } = await carry([1, { 0: [record(1)] }], [1, { 0: there }]);
    expect(lost).toBe(0);
    expect(sets[0]).toEqual([...there.slice(0, 6), record(1), lasting(31, 100)]);
  });

  test('pushes out no established record, and counts what finds no room', async () => {
    const sets = { 0: crowd(10, 40), 1: [record(1), record(2)] };
    const { carried, lost, sets: got } = await carry([2, sets], [1, {}]);
    expect([carried, lost]).toEqual([8, 2]);
    expect(got).toEqual([crowd(10, 40)]);
  });

  test('pushes out no beginning for an older one', async () => {
    const there = crowd(10, 8, false);
    const { lost, sets } = await carry(
      [1, { 0: [record(1, 40, false)] }],
      [1, { 0: there }],
    );
    expect([lost, sets]).toEqual([1, [there]]);
  });

  test('run again changes nothing', async () => {
    const sets = { 0: [record(1)], 1: [record(2)] };
    const {
      carried,
      lost,
      sets: got,
    } = await carry([2, sets], [1, { 0: [record(1), record(2)] }]);
    expect([carried, lost]).toEqual([2, 0]);
    expect(got).toEqual([[record(1), record(2)]]);
  });
});

describe('l4lb-load --replace', () => {
  const CONNECTIONS = 300;
  let network: Network;
  let folder: string;
  let program: number;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'l4lb-carry-'));
    network = await Network.up();
  });
  beforeEach(async () => {
    await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0', ...rows(10));
    await lookForProgram();
  });
  afterEach(() => network.reset());
  afterAll(async () => {
    await network.down();
    rmSync(folder, { recursive: true });
  });

  /** The first destinations of 16, as options. */
  function rows(count: number): string[] {
    const path = join(folder, `${count}.csv`);
    const all = Array.from({ length: count }, (_, index) => {
      const number = (index + 1).toString(16).padStart(2, '0');
      return `10.0.1.${index + 1}, 02:00:0a:00:01:${number}\n`;
    });
    writeFileSync(path, all.join(''));
    return ['-f', path, ...(count === 10 ? ['--slots', '4096'] : [])];
  }

  async function lookForProgram(): Promise<void> {
    const { stdout } = await network.l4lb('load', '--status', '--json');
    const [one] = (JSON.parse(stdout) as { programs: { id: number }[] }).programs;
    program = one?.id ?? 0;
  }

  /** Tells where the attached program sends a segment of each connection. */
  async function send(flags: number, first: number): Promise<string[]> {
    const way = { to: '02:00:00:00:00:04', from: '02:00:00:00:00:01' };
    const lines = Array.from({ length: CONNECTIONS }, (_, index) => {
      const path = join(folder, `frame-${index}`);
      // A SYN has the sequence number 0, and the packet after it 1.
      const sequence = flags === SYN ? 0 : 1;
      const segment = tcp({ from: first + index, to: 80 }, flags, sequence);
      const packet = ipv4({ from: '192.0.2.7', to: '10.0.0.4', protocol: TCP }, segment);
      writeFileSync(path, ethernet(way, packet));
      return `prog run id ${program} data_in ${path} data_out -`;
    });
    const answers = (await bpftool.queries(lines)) as { data_out: number[] }[];
    return answers.map((answer) => answer.data_out.slice(30, 34).join('.'));
  }

  test('to other sizes, larger and smaller, moves no connection', async () => {
    // Three generations: from before the slots were hot, and from the two tables since.
    const oldest = await send(ACK, 10_000);
    await network.l4lb('map', ...rows(13));
    const older = await send(SYN, 20_000);
    expect(await send(ACK, 20_000)).toEqual(older);
    await network.l4lb('map', ...rows(16));
    const young = await send(SYN, 30_000);
    expect(await send(ACK, 30_000)).toEqual(young);

    // Each joins or splits sets that an earlier one has split or joined.
    for (const size of ['16', '32', '4', '1', '8']) {
      const finished = await network.l4lb('load', '--replace', '--flows', size);
      expect([finished.exitCode, finished.stderr]).toEqual([0, '']);
      expect(finished.stdout).toMatch(/maps and counters are kept\n +[\d,]+ records of/);
      const before = program;
      await lookForProgram();
      expect(program).not.toBe(before);
      expect(await send(ACK, 10_000)).toEqual(oldest);
      expect(await send(ACK, 20_000)).toEqual(older);
      expect(await send(ACK, 30_000)).toEqual(young);
    }
    // Without their records these would go to one of the first 10, so the test can see
    // the loss.
    const isNew = (address: string): boolean => Number(address.split('.')[3]) > 10;
    expect(older.filter(isNew).length).toBeGreaterThan(20);
    expect(young.filter(isNew).length).toBeGreaterThan(20);
  });

  test('of a program of the first version keeps its tables, records and counters', async () => {
    const oldest = await send(ACK, 10_000);
    await network.l4lb('map', ...rows(13));
    const young = await send(SYN, 20_000);
    expect(await send(ACK, 20_000)).toEqual(young);
    const before = (await network.l4lb('map', '--export')).stdout;
    const counted = await network.sample();
    await takeBackToFirst(network, bpftool, program, folder);

    const refused = await network.l4lb('map', ...rows(16));
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toContain('has ABI version 1, these tools have 2');
    expect(refused.stderr).toContain('next: l4lb-load -i eth0 --replace');
    const { stdout: status } = await network.l4lb('load', '--status');
    expect(status).toMatch(
      /l4lb_1 \(program \d+, host\).*\n.*: 13 destinations in 4,096 slots/,
    );

    const replaced = await network.l4lb('load', '--replace');
    expect([replaced.exitCode, replaced.stderr]).toEqual([0, '']);
    expect(replaced.stdout).toMatch(/maps and counters are kept$/);
    await lookForProgram();
    expect(await send(ACK, 10_000)).toEqual(oldest);
    expect(await send(ACK, 20_000)).toEqual(young);
    expect((await network.l4lb('map', '--export')).stdout).toBe(before);
    const later = (await network.sample()).destinations.map(({ packets }) => packets);
    counted.destinations.forEach(({ packets }, index) => {
      expect(later[index]).toBeGreaterThanOrEqual(packets);
    });
  });

  test('of a program of the first version can give flows another size, too', async () => {
    const oldest = await send(ACK, 10_000);
    await network.l4lb('map', ...rows(13));
    const young = await send(SYN, 20_000);
    expect(await send(ACK, 20_000)).toEqual(young);
    await takeBackToFirst(network, bpftool, program, folder);
    const replaced = await network.l4lb('load', '--replace', '--flows', '16');
    expect([replaced.exitCode, replaced.stderr]).toEqual([0, '']);
    await lookForProgram();
    expect(await send(ACK, 10_000)).toEqual(oldest);
    expect(await send(ACK, 20_000)).toEqual(young);
  });

  test('fills too, before the swap', async () => {
    const args = ['--replace', '--flows', '2', ...rows(13)];
    const { stdout, exitCode } = await network.l4lb('load', ...args);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/3 added, 0 removed/);
    await lookForProgram();
    expect(new Set(await send(SYN, 10_000)).size).toBe(13);
  });
});
