// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Steps 3 and 4: finds a packet's slot and, if the slot is hot, which destination. */
import type { FlowRecord } from '../abi/record.js';
import { EMPTY_SLOT, NOBODY } from '../abi/slot.js';
import type { Slot } from '../abi/slot.js';
import { CELL_HASH_SOURCE, CELL_NAMES, CELL_UDP_STAYS } from '../abi/cell.js';
import { ANY_ADDRESS } from '../wire/address.js';
import { hash, mix, slotOf } from '../wire/hash.js';
import { bitsOfNames, namingSource, numberOf } from '../wire/names.js';
import { familyOf } from '../wire/outer-source.js';
import { isIpv4 } from './bytes.js';
import type { Ends } from './ends.js';
import { hashOfEnds, portsWord } from './ends.js';
import type { Connection } from './parse.js';
import { UDP } from './parse.js';
import type { ModelCell, RecordWrite, ProgramState, Tables } from './types.js';
import { largest } from '../text/lists.js';

const FIN = 0x01;
const SYN = 0x02;
const RST = 0x04;
const ACK = 0x10;
const RECORDS = 8;
/** Records count time in units of 4 seconds. */
const SEEN_SHIFT = 2n;
/** 16 seconds, in these units. A handshake takes no longer. */
const HANDSHAKE = 4;
/** 64 seconds, in these units. Within that time a second SYN is a repetition. */
const YOUNG = 16;
/** Set in every signature, so that none equals the signature of an empty record. */
const FULL = 0x80000000;
/** The bits that tell connections apart. Two more say how much of a connection was seen. */
const SIGNATURE = 0x1fffffff;
/** An hour. After that even a lasting record may be replaced. */
const FORGOTTEN = 900;

export const NO_RECORD: FlowRecord = {
  signature: 0,
  destination: 0,
  established: false,
  lasting: false,
  ended: false,
  seen: 0,
};

/** Returns an address as one word: IPv4 as it is, IPv6 hashed. */
function foldAddress(seed: number, address: Buffer): number {
  const word = (index: number): number => address.readUInt32LE(index * 4);
  if (isIpv4(address)) return word(0);
  return hash(hash(seed, word(0), word(1)), word(2), word(3));
}

export interface Chosen {
  hash: number;
  slotNumber: number;
  slot: Slot;
  id: number;
  hot?: string;
  records?: RecordWrite[];
  kept?: { slot: number; seconds: number };
  /** The outer source, if it names previous destinations. */
  source?: Buffer;
}

export function chooseSlot(
  tables: Tables,
  state: ProgramState,
  connection: Connection,
  cell: ModelCell,
): Chosen {
  const { slotSeed } = tables.device;
  const bySource = (cell.flags & CELL_HASH_SOURCE) !== 0;
  const ports = bySource ? 0 : portsWord(connection);
  const h = mix(slotSeed, foldAddress(slotSeed, connection.source), ports);
  const slotNumber = cell.firstSlot + slotOf(h, cell.log2Slots);
  const slot = tables.slots.get(slotNumber) ?? EMPTY_SLOT;
  const head = { hash: h, slotNumber, slot };
  if (slot.previous === 0) return { ...head, id: slot.current };
  // Only the host build has records.
  if ((cell.flags & CELL_NAMES) !== 0 || tables.build !== 'host') {
    return { ...head, ...nameOfHot(tables, connection, cell, slot) };
  }

  const choice = chooseOfHot(tables, state, connection, cell, slot);
  const id = choice.id === NOBODY ? slot.current : choice.id;
  const seconds = Number(BigInt.asUintN(32, state.now / 1_000_000_000n));
  const elsewhere = id !== slot.current && !connection.isError;
  return {
    ...head,
    ...choice,
    id,
    ...(elsewhere && { kept: { slot: slotNumber, seconds } }),
  };
}

/** In a service whose destinations decide: the packet names the previous ones. */
function nameOfHot(
  tables: Tables,
  connection: Connection,
  cell: ModelCell,
  slot: Slot,
): Pick<Chosen, 'id' | 'hot' | 'source'> {
  const { current, previous, second } = slot;
  if (connection.protocol === UDP || !connection.ports) {
    return (cell.flags & CELL_UDP_STAYS) !== 0
      ? { id: previous, hot: 'UDP and fragments stay on the previous destination' }
      : { id: current, hot: 'UDP and fragments go to the current destination' };
  }
  const source = sourceNaming(tables, current, previous, second);
  return source
    ? { id: current, hot: 'the current destination sends on what is not its own', source }
    : { id: current, hot: 'the previous destination cannot be named' };
}

/** Returns undefined if the previous destination has no number of its own to be named by. */
function sourceNaming(
  { device, destinations }: Tables,
  current: number,
  previous: number,
  second = 0,
): Buffer | undefined {
  const addressOf = (id: number): Buffer => destinations.get(id)?.address ?? ANY_ADDRESS;
  const to = addressOf(current);
  const prefix = device.names[familyOf(to)];
  if (!prefix) return undefined;
  const number = (id: number): number =>
    familyOf(addressOf(id)) === familyOf(to) ? numberOf(prefix, addressOf(id)) : 0;
  const [own, first, last] = [number(current), number(previous), number(second)];
  if (first === 0 || first === own) return undefined;
  return namingSource(prefix, bitsOfNames(prefix, first, last === first ? 0 : last));
}

interface Choice {
  id: number;
  hot: string;
  records?: RecordWrite[];
}

/**
 * Returns a connection's set, and the signature that its record has once a packet came
 * after the SYN.
 */
export function findRecord(
  { log2Sets, secret }: { log2Sets: number; secret: bigint },
  connection: Ends,
): { signature: number; set: number } {
  const hashed = hashOfEnds(secret, connection);
  return {
    signature: full(Number(hashed >> 32n)),
    set: Number(hashed % 2n ** BigInt(log2Sets)),
  };
}

const full = (signature: number): number => ((signature & SIGNATURE) | FULL) >>> 0;

/** Before that the signature holds the sequence number that this packet must have. */
const promising = (signature: number, sequence: number): number =>
  full(signature ^ sequence);

function chooseOfHot(
  tables: Tables,
  state: ProgramState,
  connection: Connection,
  cell: ModelCell,
  slot: Slot,
): Choice {
  if (connection.protocol === UDP) {
    return (cell.flags & CELL_UDP_STAYS) !== 0
      ? { id: slot.previous, hot: 'UDP stays on the previous destination' }
      : { id: slot.current, hot: 'UDP goes to the current destination' };
  }
  if (!connection.ports) {
    return { id: slot.previous, hot: 'TCP fragments go to the previous destination' };
  }
  const records = new RecordSet(tables, state, connection, cell, slot);
  const begins = (connection.flags & (SYN | ACK)) === SYN && !connection.isError;
  if (!begins) return records.follow();
  if (state.mayRecord) return records.begin();
  const hot = 'a SYN beyond the limit per second goes to the previous destination';
  return { id: slot.previous, hot };
}

/** The set of records that can hold a connection's record. */
class RecordSet {
  readonly #tables: Tables;
  readonly #connection: Connection;
  readonly #cell: ModelCell;
  readonly #slot: Slot;
  readonly #now: number;
  readonly #set: number;
  readonly #signature: number;
  readonly #records: readonly FlowRecord[];

  constructor(
    tables: Tables,
    state: ProgramState,
    connection: Connection,
    cell: ModelCell,
    slot: Slot,
  ) {
    this.#tables = tables;
    this.#connection = connection;
    this.#cell = cell;
    this.#slot = slot;
    this.#now = Number((state.now / 1_000_000_000n) >> SEEN_SHIFT);
    const { secret, device } = tables;
    const { signature, set } = findRecord({ secret, ...device }, connection);
    this.#signature = signature;
    this.#set = set;
    const there = state.flows.get(this.#set) ?? [];
    this.#records = Array.from({ length: RECORDS }, (_, n) => there[n] ?? NO_RECORD);
  }

  /** Handles a SYN: it goes to the current destination, unless its connection is known. */
  begin(): Choice {
    const { sequence, data } = this.#connection;
    const promised = promising(this.#signature, sequence + data + 1);
    const repeated = this.#findBegun([promised]);
    const begin = (place: number, hot: string): Choice => {
      const destination = this.#slot.current;
      const fields = { ...NO_RECORD, destination };
      return { id: destination, hot, records: [this.#write(place, promised, fields)] };
    };
    const known = repeated >= 0 ? repeated : this.#findFollowed();
    const there = this.#records[known];
    if (!there) {
      const free = this.#place();
      return free === undefined
        ? { id: this.#slot.previous, hot: 'a SYN that found no room for a record' }
        : begin(free, 'a SYN goes to the current destination');
    }
    const stands = this.#stands(there);
    const weight = this.#tables.destinations.get(there.destination)?.weight ?? 0;
    const isYoung = this.#age(there) <= YOUNG && !there.ended;
    if (stands && weight > 0 && isYoung) {
      return { id: there.destination, hot: 'a repeated SYN follows its record' };
    }
    if (repeated >= 0 || !stands) {
      return begin(known, 'a SYN whose old record no longer counts');
    }
    const free = this.#place();
    return free === undefined
      ? { id: there.destination, hot: 'a SYN that found no room beside its old record' }
      : begin(free, 'a SYN goes to the current destination');
  }

  /** Handles a later packet, or an ICMP error about one. */
  follow(): Choice {
    const { isError, flags, sequence, data } = this.#connection;
    const ends = [sequence, sequence + data];
    const promised = ends.map((end) => promising(this.#signature, end));
    const begun = isError ? -1 : this.#findBegun(promised);
    const followed = this.#findFollowed();
    const place = begun >= 0 ? begun : followed;
    const there = this.#records[place];
    if (!there || !this.#stands(there)) {
      const what = this.#isForgotten(there)
        ? 'whose record is of a forgotten destination'
        : 'without a record';
      return {
        id: this.#slot.previous,
        hot: `a packet ${what} goes to the previous destination`,
      };
    }
    const { destination } = there;
    const choice = { id: destination, hot: 'a packet follows its record' };
    const ended = there.ended || (flags & (FIN | RST)) !== 0;
    const isKnown = there.lasting && there.ended === ended;
    const isFresh = isKnown && this.#age(there) === 0;
    if (isFresh || isError) return choice;
    const lasting = begun < 0;
    const fields = { destination, established: true, lasting, ended };
    const records = [this.#write(place, this.#signature, fields)];
    if (begun >= 0 && followed >= 0) {
      // The connection on record ended unseen: the new one has its addresses and ports.
      records.push({ set: this.#set, place: followed, record: NO_RECORD });
    }
    return { ...choice, records };
  }

  /** Finds the record that waits for this packet, or that a SYN repeats. */
  #findBegun(promised: readonly number[]): number {
    return this.#records.findIndex(
      ({ signature, established }) => !established && promised.includes(signature),
    );
  }

  #findFollowed(): number {
    return this.#records.findIndex(
      ({ signature, established }) => established && signature === this.#signature,
    );
  }

  /** Returns the place for a new record: an empty one, or the oldest replaceable one. */
  #place(): number | undefined {
    const empty = this.#records.findIndex(({ signature }) => signature === 0);
    if (empty >= 0) return empty;
    const mayGo = this.#records.flatMap((record, place) => {
      const age = this.#age(record);
      const longest = record.lasting ? FORGOTTEN : YOUNG;
      const isProtected = record.established && !record.ended && age <= longest;
      // One that has ended goes before one that may still be in its handshake.
      const rank = age + (record.ended ? HANDSHAKE : 0);
      return !isProtected ? [{ place, rank }] : [];
    });
    const best = largest(mayGo.map(({ rank }) => rank));
    return mayGo.find(({ rank }) => rank === best)?.place;
  }

  #age({ seen }: FlowRecord): number {
    return (this.#now - seen) & 0xffff;
  }

  /**
   * Tells whether a record counts: its connection was seen since the slot became hot, and
   * its destination still belongs to this service and is not forgotten.
   */
  #stands(record: FlowRecord): boolean {
    const sinceHot = this.#now - (this.#slot.since >>> Number(SEEN_SHIFT));
    const entry = this.#tables.destinations.get(record.destination);
    const isThere = entry?.service === this.#cell.service && !entry.isForgotten;
    return this.#age(record) <= sinceHot && isThere;
  }

  #isForgotten(record: FlowRecord | undefined): boolean {
    const entry = record && this.#tables.destinations.get(record.destination);
    return entry?.service === this.#cell.service && entry.isForgotten;
  }

  #write(
    place: number,
    signature: number,
    fields: Omit<FlowRecord, 'signature' | 'seen'>,
  ): RecordWrite {
    const seen = this.#now & 0xffff;
    return { set: this.#set, place, record: { ...fields, signature, seen } };
  }
}
