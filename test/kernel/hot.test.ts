// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The slot remembers: checks every rule of datapath/flows.h with packets. */
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  test,
} from '@jest/globals';

import { NOBODY } from '../../src/abi/slot.js';
import type { Slot } from '../../src/abi/slot.js';
import { CELL_UDP_STAYS, CELL_USED } from '../../src/abi/cell.js';
import { decodeKey, encodeKey } from '../../src/abi/bytes.js';
import { isWay } from '../../src/plan/cells.js';
import type { Write } from '../../src/plan/state.js';
import { kernelSeconds } from '../../src/system/clock.js';
import { readTables } from '../../src/program/read.js';
import { TCP, UDP, ethernet, ipv4, tcp, udp } from '../frames.js';
import { Program } from './program.js';
import type { Fill } from './program.js';
import { SlotTable } from '../../src/plan/slots.js';

const ICMP = 1;
const FIN = 0x01;
const SYN = 0x02;
const RST = 0x04;
const ACK = 0x10;
/** The sequence numbers of a SYN, and of the packet after it. */
const ISN = 0xffffffff;
const NEXT = 0;
const SLOTS = 4;
/** L4LB_RECORDS in datapath/l4lb.h. */
const RECORDS = 8;
/** L4LB_MOST_RECORDS there. */
const MOST_RECORDS = 1 << 15;
const balancer = { address: '10.0.0.4', mac: '02:00:00:00:00:04' };
const vip = '203.0.113.10';
/** Ids are given in this order. */
const [A, B, C] = [1, 2, 3];
const NAMES: Record<string, string> = {
  '10.0.1.1': 'A',
  '10.0.1.2': 'B',
  '10.0.1.3': 'C',
};

const FILL: Fill = {
  destinations: Object.fromEntries(
    Object.keys(NAMES).map((address) => [address, '02:00:0a:00:01:01']),
  ),
  vips: [`${vip}:80`],
  slots: SLOTS,
  source: balancer.address,
  mac: balancer.mac,
};

let program: Program;
/** Each test has connections of its own. */
let port = 1000;

beforeAll(async () => {
  // All connections share one set, so that a few of them fill it.
  program = await Program.load('host', { sets: 1 });
  await program.fill(FILL);
});
afterAll(() => program.close());
beforeEach(async () => {
  port += 10;
  await writeSet(Buffer.alloc(64));
});

function allSlots(slot: Slot): Write {
  const slots = new SlotTable();
  for (let key = 0; key < SLOTS; key++) slots.set(key, slot);
  return { map: 'slots', slots };
}

/** Sets all slots of the service, so that it does not matter which one a packet hits. */
async function setSlots(slot: Slot): Promise<void> {
  await program.write(allSlots(slot));
}

const hot = (current: number, previous: number, age = 100): Promise<void> =>
  setSlots({ current, previous, since: Math.max(0, kernelSeconds() - age) });

/** Sends packets one after another; returns which destination got each. */
async function namesOf(inners: readonly Buffer[]): Promise<string[]> {
  const way = { to: balancer.mac, from: '02:00:00:00:00:01' };
  const frames = inners.map((inner) => ethernet(way, inner));
  const { ran, verdicts } = await program.runAll(frames);
  expect(verdicts).toEqual({ balanced: frames.length });
  return ran.map(({ frame }) => NAMES[[...frame.subarray(30, 34)].join('.')] ?? 'nobody');
}
async function nameOf(inner: Buffer): Promise<string> {
  const [name] = await namesOf([inner]);
  return name ?? 'nobody';
}

interface Connection {
  address: string;
  port: number;
}
const mine = (): Connection => ({ address: '192.0.2.7', port });

/** A segment of a connection: the SYN or what follows it, unless its number is given. */
function segmentOf(
  flags: number,
  from: Connection = mine(),
  sequence = flags === SYN ? ISN : NEXT,
  data = 0,
): Buffer {
  const segment = tcp({ from: from.port, to: 80 }, flags, sequence);
  const fields = { from: from.address, to: vip, protocol: TCP };
  return ipv4(fields, Buffer.concat([segment, Buffer.alloc(data)]));
}
/** Sends such a segment; returns which destination got it. */
const send = (...segment: Parameters<typeof segmentOf>): Promise<string> =>
  nameOf(segmentOf(...segment));
/** Sends segments of each connection, one connection after another. */
const sendEach = (
  connections: readonly Connection[],
  ...flags: number[]
): Promise<string[]> =>
  namesOf(connections.flatMap((one) => flags.map((each) => segmentOf(each, one))));
/** As many of this name as there are connections. */
const all = (name: string, { length }: readonly Connection[]): string[] =>
  Array<string>(length).fill(name);
const sendUdp = (): Promise<string> =>
  nameOf(
    ipv4({ from: '192.0.2.7', to: vip, protocol: UDP }, udp({ from: port, to: 80 })),
  );
/** Sends an error from a router that could not forward the segment. */
const sendError = (protocol: number, segment: Buffer): Promise<string> =>
  nameOf(
    ipv4(
      { from: '198.51.100.1', to: vip, protocol: ICMP },
      Buffer.concat([
        Buffer.from('0301000000000000', 'hex'),
        ipv4({ from: vip, to: '192.0.2.7', protocol }, segment),
      ]),
    ),
  );

/** When a packet was last sent elsewhere than to a slot's current destination. */
async function kept(): Promise<number> {
  const keys = Array.from({ length: SLOTS }, (_, key) => encodeKey(key));
  const answers = await program.bpftool.lookup(await mapId('kept'), keys);
  return Math.max(...answers.map(decodeKey));
}
async function clearKept(): Promise<void> {
  const id = await mapId('kept');
  const lines = Array.from(
    { length: SLOTS },
    (_, key) => `map update id ${id} key ${[...encodeKey(key)].join(' ')} value 0 0 0 0`,
  );
  await program.bpftool.queries(lines);
}

const mapIds = new Map<string, number>();
async function mapId(name: string): Promise<number> {
  if (mapIds.size === 0) {
    for (const map of await program.bpftool.maps(program.mapIds)) {
      mapIds.set(map.name, map.id);
    }
  }
  return mapIds.get(name) ?? 0;
}

async function readSet(): Promise<Buffer> {
  const [answer] = await program.bpftool.queries([
    `map lookup id ${await mapId('flows')} key 0 0 0 0`,
  ]);
  return Buffer.from((answer as { value: string[] }).value.map(Number));
}

async function writeSet(set: Buffer): Promise<void> {
  await program.bpftool.queries([
    `map update id ${await mapId('flows')} key 0 0 0 0 value ${[...set].join(' ')}`,
  ]);
}

/** Makes all records look as if they were seen earlier. */
async function age(seconds: number): Promise<void> {
  const set = await readSet();
  for (let at = 0; at < set.length; at += 8) {
    if (set.readUInt32LE(at) === 0) continue;
    set.writeUInt16LE((set.readUInt16LE(at + 6) - (seconds >> 2)) & 0xffff, at + 6);
  }
  await writeSet(set);
}

/** Pretends that so many connections were recorded in this second, on each CPU. */
async function haveRecorded(second: number, count: number): Promise<void> {
  const value = Buffer.concat([second, count].map(encodeKey));
  await program.bpftool.queries([
    `map update id ${await mapId('limits')} key 1 0 0 0 value ${[...value].join(' ')}`,
  ]);
}

describe('a cold slot', () => {
  test('sends everything to its current destination and records nothing', async () => {
    await setSlots({ current: A, previous: 0, since: 0 });
    expect([await send(SYN), await send(ACK), await sendUdp()]).toEqual(['A', 'A', 'A']);
    expect(await readSet()).toEqual(Buffer.alloc(64));
  });
});

describe('a hot slot', () => {
  test('sends a new connection to the current destination, and keeps it there', async () => {
    await hot(B, A);
    expect([await send(SYN), await send(ACK), await send(ACK)]).toEqual(['B', 'B', 'B']);
  });

  test('sends an older connection to the previous destination, and writes nothing for it', async () => {
    await hot(B, A);
    expect([await send(ACK), await send(ACK)]).toEqual(['A', 'A']);
    expect(await readSet()).toEqual(Buffer.alloc(64));
  });

  test('takes a SYN with ACK for an answer, not for a beginning', async () => {
    await hot(B, A);
    expect(await send(SYN | ACK)).toBe('A');
  });

  test('that moves again keeps its first previous destination', async () => {
    await hot(B, A);
    expect(await send(SYN)).toBe('B');
    await hot(C, A);
    expect(await send(ACK)).toBe('B');
    port++;
    expect(await send(ACK)).toBe('A');
    port++;
    expect([await send(SYN), await send(ACK)]).toEqual(['C', 'C']);
  });

  test('that moves back keeps the connections of the time between', async () => {
    await hot(B, A);
    expect(await send(SYN)).toBe('B');
    await hot(A, A);
    expect(await send(ACK)).toBe('B');
    port++;
    expect(await send(ACK)).toBe('A');
  });

  test('without a previous destination still follows its records', async () => {
    await hot(B, A);
    expect(await send(SYN)).toBe('B');
    await hot(C, NOBODY);
    expect(await send(ACK)).toBe('B');
    port++;
    expect(await send(ACK)).toBe('C');
  });

  test('sends UDP to the current destination', async () => {
    await hot(B, A);
    expect(await sendUdp()).toBe('B');
  });

  test('sends UDP to the previous destination if the service says so', async () => {
    const { cells } = await readTables(program.bpftool, program.maps);
    const [key, cell] =
      [...cells].find(([, one]) => one.protocol === UDP && one.port === 80) ?? [];
    if (key === undefined || !cell) throw new Error('no cell for UDP');
    const stays = { ...cell, flags: CELL_USED | CELL_UDP_STAYS };
    await program.write({ map: 'services', key, value: stays });
    await hot(B, A);
    await clearKept();
    expect(await sendError(UDP, udp({ from: 80, to: port }))).toBe('A');
    expect(await kept()).toBe(0);
    expect(await sendUdp()).toBe('A');
    expect(await kept()).toBeGreaterThanOrEqual(kernelSeconds() - 1);
    await hot(B, NOBODY);
    expect(await sendUdp()).toBe('B');
    await program.write({ map: 'services', key, value: cell });
  });

  test('notes when it sent something elsewhere than to its current destination', async () => {
    await clearKept();
    await hot(B, NOBODY);
    await send(SYN);
    await send(ACK);
    expect(await kept()).toBe(0);
    await hot(B, A);
    port++;
    // Anyone can send an error: it may only go where the quoted packet's connection is.
    expect(await sendError(TCP, tcp({ from: 80, to: port }, ACK))).toBe('A');
    expect(await kept()).toBe(0);
    expect(await send(ACK)).toBe('A');
    expect(await kept()).toBeGreaterThanOrEqual(kernelSeconds() - 1);
  });
});

describe('the key that finds records', () => {
  async function secretOf({ bpftool, mapIds }: Program): Promise<string> {
    const all = await bpftool.queries(['map show']);
    const maps = all[0] as { id: number; name?: string }[];
    const map = maps.find(({ id, name }) => mapIds.includes(id) && name === 'secret');
    const [value] = await bpftool.lookup(map?.id ?? 0, [encodeKey(0)]);
    return value?.toString('hex') ?? '';
  }

  test('is made with the first record, stays, and is another in each program', async () => {
    await hot(B, A);
    await send(SYN);
    const secret = await secretOf(program);
    expect(secret).toMatch(/^[0-9a-f]{16}$/);
    await program.fill(FILL);
    await hot(B, A);
    await send(SYN);
    expect(await secretOf(program)).toBe(secret);

    const other = await Program.load('host');
    expect(await secretOf(other)).toBe('0'.repeat(16));
    await other.fill(FILL);
    await other.write(allSlots({ current: B, previous: A, since: kernelSeconds() }));
    const packet = ipv4(
      { from: '192.0.2.7', to: vip, protocol: TCP },
      tcp({ from: 1, to: 80 }),
    );
    await other.send(ethernet({ to: balancer.mac, from: '02:00:00:00:00:01' }, packet));
    expect(await secretOf(other)).not.toMatch(/^0{16}$/);
    expect(await secretOf(other)).not.toBe(secret);
    other.close();
  });
});

describe('in a flood of SYNs', () => {
  afterEach(() => haveRecorded(0, 0));

  /** Tries again if the second was over before all were sent. */
  async function sendHavingRecorded(
    count: number,
    ...flags: number[]
  ): Promise<string[]> {
    for (;;) {
      port++;
      const second = kernelSeconds();
      await haveRecorded(second, count);
      const names: string[] = [];
      for (const one of flags) names.push(await send(one));
      if (kernelSeconds() === second) return names;
    }
  }

  test('so many are recorded in a second', async () => {
    await hot(B, A);
    const names = await sendHavingRecorded(MOST_RECORDS - 1, SYN, ACK);
    expect(names).toEqual(['B', 'B']);
  });

  test('the rest stays with the previous destination, is noted there, and writes no record', async () => {
    await hot(B, A);
    await clearKept();
    const names = await sendHavingRecorded(MOST_RECORDS, SYN, ACK);
    expect(names).toEqual(['A', 'A']);
    expect(await readSet()).toEqual(Buffer.alloc(64));
    expect(await kept()).toBeGreaterThan(0);
  });

  test('the rest goes to the current destination if there is no previous one', async () => {
    await hot(B, NOBODY);
    const names = await sendHavingRecorded(MOST_RECORDS, SYN, ACK);
    expect(names).toEqual(['B', 'B']);
  });

  test('connections on record stay there', async () => {
    await hot(B, A);
    expect(await send(SYN)).toBe('B');
    await haveRecorded(kernelSeconds(), MOST_RECORDS);
    expect(await send(ACK)).toBe('B');
  });

  test('the count begins anew with each second', async () => {
    await hot(B, A);
    await haveRecorded(kernelSeconds() - 1, MOST_RECORDS);
    expect([await send(SYN), await send(ACK)]).toEqual(['B', 'B']);
  });
});

describe('a destination that is forgotten', () => {
  const forgotten = { ...FILL, forgotten: ['10.0.1.1'] };

  /** The service with another rule for UDP. */
  async function setUdp(stays: boolean): Promise<void> {
    const { cells } = await readTables(program.bpftool, program.maps);
    const flags = stays ? CELL_USED | CELL_UDP_STAYS : CELL_USED;
    const writes = [...cells].filter(([, cell]) => isWay(cell));
    await program.write(
      ...writes.map(([key, cell]): Write => {
        return { map: 'services', key, value: { ...cell, flags } };
      }),
    );
  }

  /** Segments of every kind, UDP, and errors, from connections that are not on record. */
  function anything(): Buffer[] {
    const kinds = [SYN, ACK, SYN | ACK, ACK | FIN, RST];
    return Array.from({ length: 40 }, (_, last) => `192.0.2.${last}`).flatMap(
      (address) => {
        const ends = { from: address, to: vip };
        return [
          ...kinds.map((flags) => segmentOf(flags, { address, port })),
          ipv4({ ...ends, protocol: UDP }, udp({ from: port, to: 80 })),
          ipv4(
            { ...ends, protocol: ICMP },
            Buffer.concat([
              Buffer.from('0301000000000000', 'hex'),
              ipv4(
                { from: vip, to: address, protocol: TCP },
                tcp({ from: 80, to: port }),
              ),
            ]),
          ),
        ];
      },
    );
  }

  const whoGets = async (frames: readonly Buffer[]): Promise<string[]> =>
    [...new Set(await namesOf(frames))].sort();

  test.each<[string, number, number, string[]]>([
    ['has slots', A, C, ['A', 'C']],
    ['is remembered by all slots', B, A, ['A', 'B']],
  ])(
    'and %s gets nothing from then on, but what is new once it is back',
    async (...row) => {
      const [, current, previous, before] = row;
      const old = Array.from({ length: 4 }, (_, at) => ({ ...mine(), port: port + at }));
      await setUdp(true);
      await hot(A, C);
      await sendEach(old, SYN, ACK, ACK);
      await hot(current, previous);
      expect(await sendEach(old, ACK)).toEqual(all('A', old));
      expect(await whoGets(anything())).toEqual(before);

      await program.fill(forgotten);
      for (const count of [0, MOST_RECORDS]) {
        await haveRecorded(kernelSeconds(), count);
        const theirs = old.flatMap((one) =>
          [ACK, SYN].map((kind) => segmentOf(kind, one)),
        );
        expect(await whoGets([...theirs, ...anything()])).toEqual(['B', 'C']);
      }

      await haveRecorded(0, 0);
      await program.fill(FILL);
      expect(await whoGets(anything())).toEqual(['A', 'B', 'C']);
      await setUdp(false);
    },
  );
});

describe('a record', () => {
  test('from before the slot became hot does not count', async () => {
    await hot(B, A, 100);
    expect(await send(SYN)).toBe('B');
    await age(200);
    expect(await send(ACK)).toBe('A');
  });

  test('of a destination that is gone does not count', async () => {
    await hot(B, A);
    expect(await send(SYN)).toBe('B');
    const { destinations } = await readTables(program.bpftool, program.maps);
    const entry = destinations.get(B);
    if (!entry) throw new Error('no entry for B');
    await program.write({ map: 'destinations', key: B, value: { ...entry, service: 0 } });
    await hot(C, A);
    expect(await send(ACK)).toBe('A');
    await program.write({
      map: 'destinations',
      key: B,
      value: { ...entry, service: 99 },
    });
    expect(await send(ACK)).toBe('A');
    await program.write({ map: 'destinations', key: B, value: entry });
    expect(await send(ACK)).toBe('B');
  });

  test('that is young holds a SYN that is sent again', async () => {
    await hot(B, A);
    expect(await send(SYN)).toBe('B');
    await hot(C, A);
    expect(await send(SYN)).toBe('B');
    await age(72);
    expect([await send(SYN), await send(ACK)]).toEqual(['C', 'C']);
  });

  test('that is young does not hold a SYN on a drained destination', async () => {
    await hot(B, A);
    expect(await send(SYN)).toBe('B');
    const { destinations } = await readTables(program.bpftool, program.maps);
    const entry = destinations.get(B);
    if (!entry) throw new Error('no entry for B');
    await program.write({ map: 'destinations', key: B, value: { ...entry, weight: 0 } });
    await hot(C, A);
    expect(await send(ACK)).toBe('B');
    expect(await send(SYN)).toBe('C');
    await program.write({ map: 'destinations', key: B, value: entry });
  });

  test.each([
    ['FIN', FIN | ACK],
    ['RST', RST],
  ])('with a %s is still followed, but a SYN begins anew', async (_, flags) => {
    await hot(B, A);
    expect([await send(SYN), await send(ACK)]).toEqual(['B', 'B']);
    await hot(C, A);
    expect([await send(flags), await send(ACK)]).toEqual(['B', 'B']);
    expect([await send(SYN), await send(ACK)]).toEqual(['C', 'C']);
  });

  test('stands only if the next packet has the number that the SYN promised', async () => {
    await hot(B, A);
    expect(await send(SYN)).toBe('B');
    for (const sequence of [NEXT - 1, NEXT + 1, NEXT + 2 ** 16, 0x7fffffff]) {
      expect(await send(ACK, mine(), sequence >>> 0)).toBe('A');
    }
    expect(await send(ACK)).toBe('B');
    expect(await send(ACK, mine(), 5_000_000)).toBe('B');
  });

  test.each([
    ['that the destination takes', NEXT + 100, 0],
    ['that is sent again', NEXT, 100],
  ])('of a SYN with data %s', async (_, sequence, data) => {
    await hot(B, A);
    expect(await send(SYN, mine(), ISN, 100)).toBe('B');
    expect(await send(SYN, mine(), ISN, 100)).toBe('B');
    expect(await send(ACK, mine(), sequence, data)).toBe('B');
    expect(await send(ACK)).toBe('B');
  });

  test('is not established by an error, and before that no error follows it', async () => {
    await hot(B, A);
    expect(await send(SYN)).toBe('B');
    const quoted = tcp({ from: 80, to: port }, ACK, NEXT);
    expect(await sendError(TCP, quoted)).toBe('A');
    expect(await send(ACK)).toBe('B');
    expect(await sendError(TCP, quoted)).toBe('B');
  });

  test('gives way to that of a new connection with the same ports', async () => {
    await hot(B, A);
    expect([await send(SYN), await send(ACK)]).toEqual(['B', 'B']);
    await age(72);
    await hot(C, A);
    expect(await send(SYN, mine(), 5000)).toBe('C');
    expect(await send(ACK)).toBe('B');
    expect(await send(ACK, mine(), 5001)).toBe('C');
    expect(await send(ACK)).toBe('C');
  });

  describe('and one forged SYN with the ports of', () => {
    const VICTIMS = 40;
    const victims = Array.from({ length: VICTIMS }, (_, number) => ({
      address: '198.51.100.9',
      port: 3000 + number,
    }));

    test('an older connection does not move it', async () => {
      await hot(B, A);
      const segments = victims.flatMap((victim, number) => {
        const theirs = segmentOf(ACK, victim, 1_000_000 * number);
        return [theirs, segmentOf(SYN, victim, 77_777), theirs];
      });
      expect(await namesOf(segments)).toEqual(victims.flatMap(() => ['A', 'B', 'A']));
    });

    test.each([
      ['young', 0, 'B'],
      ['old', 72, 'C'],
    ])('one with a %s record does not move it', async (_, seconds, target) => {
      const some = victims.slice(0, 7);
      await hot(B, A);
      expect(new Set(await sendEach(some, SYN, ACK, ACK))).toEqual(new Set(['B']));
      await age(seconds);
      await hot(C, A);
      const segments = some.flatMap((victim) => [
        segmentOf(SYN, victim, 77_777),
        segmentOf(ACK, victim),
      ]);
      expect(await namesOf(segments)).toEqual(some.flatMap(() => [target, 'B']));
    });

    test('one with an old record follows it if there is no other room', async () => {
      await hot(B, A);
      const some = victims.slice(0, RECORDS);
      expect(new Set(await sendEach(some, SYN, ACK, ACK))).toEqual(new Set(['B']));
      await age(72);
      await hot(C, A);
      expect(await send(SYN, victims[0], 77_777)).toBe('B');
      expect(await send(ACK, victims[0])).toBe('B');
    });
  });

  describe('in a full set', () => {
    const crowd = (first: number, count = RECORDS): Connection[] =>
      Array.from({ length: count }, (_, number) => ({
        address: '198.51.100.7',
        port: first + number,
      }));

    /** Returns where the second packet of each connection went. */
    async function establish(connections: readonly Connection[]): Promise<string> {
      const names = await sendEach(connections, SYN, ACK);
      return names.filter((_, index) => index % 2 === 1).join('');
    }

    test('that is established is not pushed out by SYNs', async () => {
      await hot(B, A);
      expect(await establish([mine()])).toBe('B');
      expect(await sendEach(crowd(2000), SYN)).toEqual(all('B', crowd(2000)));
      expect(await send(ACK)).toBe('B');
    });

    test('leaves a new connection to the previous destination if all are established', async () => {
      await hot(B, A);
      expect(await establish(crowd(2000))).toBe('BBBBBBBB');
      expect([await send(SYN), await send(ACK)]).toEqual(['A', 'A']);
    });

    test('makes room when it was not seen for more than an hour', async () => {
      await hot(B, A, 2 * 3600);
      expect(await establish(crowd(2000))).toBe('BBBBBBBB');
      expect(await sendEach(crowd(2000), ACK)).toEqual(all('B', crowd(2000)));
      await age(70);
      expect([await send(SYN), await send(ACK)]).toEqual(['A', 'A']);
      await age(3700);
      expect(await establish([mine()])).toBe('B');
    });

    // Whoever sends a SYN and one packet more from addresses that are not its own.
    test('that two packets made gives way after a minute of silence', async () => {
      await hot(B, A, 2 * 3600);
      expect(await establish(crowd(2000))).toBe('BBBBBBBB');
      await age(70);
      expect(await establish([mine()])).toBe('B');
    });

    test('makes room at once when it has ended', async () => {
      await hot(B, A);
      const [first, ...others] = crowd(2000) as [Connection, ...Connection[]];
      await establish([first, ...others]);
      expect(await send(FIN | ACK, first)).toBe('B');
      expect(await establish([mine()])).toBe('B');
      expect(await send(ACK, first)).toBe('A');
      expect(await sendEach(others, ACK)).toEqual(all('B', others));
    });

    test('a new connection takes the place of one that has ended, not of one that begins', async () => {
      await hot(B, A);
      expect(await send(SYN)).toBe('B');
      const others = crowd(2000, RECORDS - 1);
      await establish(others);
      expect(await sendEach(others, FIN | ACK)).toEqual(all('B', others));
      const later = crowd(3000, RECORDS - 1);
      expect(await sendEach(later, SYN)).toEqual(all('B', later));
      expect(await send(ACK)).toBe('B');
    });

    test('short connections all go to the current destination', async () => {
      await hot(B, A);
      const segments = [SYN, ACK, ACK, FIN | ACK, ACK];
      const names = await sendEach(crowd(2000, 100), ...segments);
      expect(names).toEqual(Array(500).fill('B'));
    });
  });
});
