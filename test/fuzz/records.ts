// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Records of connections by chance, some of them of the flows. */
import { CELL_NAMES } from '../../src/abi/cell.js';
import type { FlowRecord } from '../../src/abi/record.js';
import { ESTABLISHED, LASTING } from '../../src/abi/record.js';
import { NO_RECORD, chooseSlot, findRecord } from '../../src/model/slot.js';
import type { ProgramState, Tables } from '../../src/model/types.js';
import { LOG2_SETS, RECORDS, SLOTS, TCP } from './choices.js';
import { leadsTo } from './flow.js';
import type { Random } from './random.js';
import type { Scenario } from './scenario.js';

/** Set in the signature of each record that is not empty. */
const FULL = 0x80000000;

const ENDED = 0x8000;
const SYN = 0x02;

/** Some of the flows are on record already, among records of others. */
export function makeRecords(
  random: Random,
  { tables, flows }: Scenario,
): Map<number, FlowRecord[]> {
  const records = new Map<number, FlowRecord[]>();
  const state: ProgramState = {
    flows: new Map(),
    now: 10n ** 15n,
    mayTell: true,
    mayRecord: true,
    mayEcho: true,
  };
  for (let set = 0; set < 2 ** LOG2_SETS; set++) {
    const fill = random.pick([0, 0, 50, 100, 100]);
    // A set without room has established records only, of the last hour.
    const isTaken = random.chance(40);
    const makeRecord = (): FlowRecord => {
      if (!random.chance(fill)) return NO_RECORD;
      const record = aged(
        random,
        ((random.word() & ~(ESTABLISHED | LASTING)) | FULL) >>> 0,
      );
      return isTaken
        ? {
            ...record,
            established: true,
            lasting: true,
            ended: false,
            seen: random.below(901),
          }
        : record;
    };
    records.set(set, Array.from({ length: RECORDS }, makeRecord));
  }
  for (const flow of flows) {
    const cell = tables.cells.find((one) => leadsTo(one, flow));
    if (!cell || flow.protocol !== TCP || random.chance(20)) continue;
    // Any hot slot will do: what a record says of its connection is the same in all.
    const slots = new Map(
      Array.from({ length: SLOTS }, (_, slot) => [
        slot,
        { current: 1, previous: 2, since: 0 },
      ]),
    );
    const all: Tables = { ...tables, slots, build: 'host' };
    const connection = { ...flow, flags: SYN, acknowledges: 0, isError: false };
    const remembers = { ...cell, flags: cell.flags & ~CELL_NAMES };
    const [begun] = chooseSlot(all, state, connection, remembers).records ?? [];
    const set = begun && records.get(begun.set);
    if (!set) continue;
    const { signature } = findRecord({ ...tables.device, ...tables }, connection);
    const owned = [...tables.destinations].filter(
      ([, to]) => to.service === cell.service,
    );
    // More often than by chance a record counts.
    const stands = (record: FlowRecord): FlowRecord => {
      const [destination] = owned.length > 0 ? random.pick(owned) : [record.destination];
      return random.chance(30)
        ? record
        : { ...record, destination, seen: random.below(18) };
    };
    if (set.some((record) => record.signature === signature)) continue;
    // A connection that begins may have the addresses and ports of an older one.
    const kind = random.pick(['begun', 'followed', 'both']);
    if (kind !== 'begun') {
      const record = stands(aged(random, signature));
      set[random.below(RECORDS)] = {
        ...record,
        established: true,
        lasting: random.chance(50),
      };
    }
    if (kind !== 'followed') {
      const record = stands(aged(random, begun.record.signature));
      const established = random.chance(5);
      const lasting = established && random.chance(50);
      set[random.below(RECORDS)] = { ...record, established, lasting };
    }
  }
  return records;
}

function aged(random: Random, signature: number): FlowRecord {
  const established = random.chance(50);
  const age = random.pick([0, 0, 1, 5, 15, 16, 17, 100, 899, 900, 901, 1000, 40000]);
  return {
    signature,
    destination: random.chance(90)
      ? random.between(1, 12)
      : random.pick([0, 15, 16, 0x7fff]),
    established,
    lasting: established && random.chance(50),
    ended: random.chance(20),
    seen: age,
  };
}

export function encodeRecords(records: readonly FlowRecord[]): Buffer {
  const bytes = Buffer.alloc(8 * RECORDS);
  records.forEach(({ signature, destination, established, ...rest }, place) => {
    const { lasting, ended, seen } = rest;
    const flags = (established ? ESTABLISHED : 0) | (lasting ? LASTING : 0);
    const sign = (signature | flags) >>> 0;
    bytes.writeUInt32LE(sign, place * 8);
    bytes.writeUInt16LE(destination | (ended ? ENDED : 0), place * 8 + 4);
    bytes.writeUInt16LE(seen, place * 8 + 6);
  });
  return bytes;
}
