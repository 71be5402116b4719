// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Asks the program and the model what they do with a frame. Nothing changes by it, since
 * a private copy of the program runs.
 */
import { PrivateCopy } from '../program/private-copy.js';
import type { Ran, Remembered } from '../program/private-copy.js';
import { decodeEntry, lookupLine, valueOf } from '../system/bpftool-text.js';
import type { MapInfo } from '../system/bpftool-text.js';
import { must } from '../text/must.js';
import { UsageFailure } from '../text/failure.js';
import { formatCount, many } from '../text/format.js';
import { reachable } from '../plan/cells.js';
import { decodeDevice } from '../abi/device.js';
import { decodeRecords, decodeSecret } from '../abi/record.js';
import type { Claim, Port } from '../abi/port.js';
import { decodeClaims, decodePort } from '../abi/port.js';
import type { FlowRecord } from '../abi/record.js';
import type { Slot } from '../abi/slot.js';
import { encodeKey } from '../abi/bytes.js';
import type { Context, Tools } from '../program/tools.js';
import type { Attached } from '../program/find.js';
import { attachedNow } from '../program/find.js';
import { stillRuns } from '../program/watcher.js';
import type { Tables as Live } from '../plan/state.js';
import { decodeAnswerKey } from '../abi/answer.js';
import { model } from '../model/model.js';
import { wrongSums } from '../model/sums.js';
import type { Answer, Tables } from '../model/types.js';
import type { Sender } from '../system/ip/links.js';
import { senderOf } from '../system/ip/links.js';
import type { Pins } from '../program/pins.js';
import { kernelNanoseconds } from '../system/clock.js';
import { deviceLock, withLock } from '../system/lock.js';
import { readSlots, readTables } from '../program/read.js';

export interface Explained {
  frame: Buffer;
  /** The tables that explain the reasons. */
  live: Live;
  program: Ran;
  model: Answer;
  /** The device that the packet leaves by, if it is not the one that it came in on. */
  exit: string | undefined;
  /** Where program and model do not agree; empty where all is well. */
  differences: string[];
  /** Whether the live program has no key yet, so that it will choose other ports. */
  isKeyNew: boolean;
}

export interface Asked {
  explained: Explained[];
  object: string;
  /** The loaded program was compiled from other sources than the copy. */
  isOther: boolean;
}

export interface Asking {
  frames: (live: Live) => readonly Buffer[];
  /** Undefined: the object that comes with the package. */
  object: string | undefined;
}

/** The tables at one moment, and a copy of the program that shares them. */
interface View {
  attached: Attached;
  live: Live;
  copy: PrivateCopy;
}

/**
 * Asks about the frames. The lock is held while the tables are read, but not while the
 * copy runs, which takes a while for many frames. If somebody wrote meanwhile, the frame
 * is asked about again under the lock.
 */
export async function ask(
  tools: Context,
  pins: Pins,
  attached: Attached,
  { frames, object }: Asking,
): Promise<Asked> {
  const underLock = <T>(work: () => Promise<T>): Promise<T> =>
    withLock(tools.run, deviceLock(attached.link), work);
  let view = await underLock(() => look(tools, pins, attached, object));
  const asked = frames(view.live);
  checkLengths(asked, view.copy.takesBuffers);
  const explained: Explained[] = [];
  for (const frame of asked) {
    let one = await explain(tools, view, frame);
    if (one.differences.length > 0 || !(await isCurrent(tools, view))) {
      const before = view;
      one = await underLock(async () => {
        await before.copy.check();
        view = await look(tools, pins, before.attached, object, before);
        return explain(tools, view, frame);
      });
    }
    explained.push(one);
  }
  const { copy } = view;
  await copy.check();
  return { explained, object: copy.object, isOther: copy.isOther };
}

/**
 * Reads the tables anew: the program may have been replaced and the tables filled
 * meanwhile.
 */
async function look(
  tools: Context,
  pins: Pins,
  known: Attached,
  object: string | undefined,
  before?: View,
): Promise<View> {
  const attached = await attachedNow(tools, known);
  const live = await readTables(tools.bpftool, attached.maps);
  // On the host the copy shares the tables, so it is up to date.
  const isUsable = attached === before?.attached && attached.mode !== 'xdpoffload';
  const copy = isUsable
    ? before.copy
    : await PrivateCopy.make(tools, pins, attached, object);
  return { attached, live, copy };
}

/** Whether the tables are as they were, and still those of the device's program. */
async function isCurrent({ bpftool }: Tools, { attached, live }: View): Promise<boolean> {
  const [net, entry] = await bpftool.queries([
    `net show dev ${attached.link.name}`,
    lookupLine(attached.maps.device, encodeKey(0)),
  ]);
  const { generation } = decodeDevice(valueOf(decodeEntry(entry)));
  return (
    stillRuns(net, attached.link.name, attached.program) &&
    generation === live.device.generation
  );
}

async function explain(tools: Tools, view: View, frame: Buffer): Promise<Explained> {
  const { attached, live, copy } = view;
  const senders = live.exits?.size ? await tools.ip.senders() : [];
  const exits = asExits(live, senders);
  const asked = await askModel(tools, attached, live, frame, exits);
  const { answer, isKeyNew, ...remembered } = asked;
  const program = await copy.run(frame, remembered, answer.id);
  const differences = [
    ...differencesOf(program, answer),
    ...wrongSums(frame, program.frame, program.verdict),
  ];
  const exit = nameOfExit(live, senders, program.id);
  return { frame, live, program, model: answer, exit, differences, isKeyNew };
}

/** Undefined for a packet that stays on its device. */
function nameOfExit(
  { destinations, exits }: Live,
  senders: readonly Sender[],
  id: number | undefined,
): string | undefined {
  const number = id === undefined ? 0 : (destinations.get(id)?.exit ?? 0);
  const exit = exits?.get(number);
  if (number === 0 || !exit) return undefined;
  return senderOf(senders, exit)?.name ?? `device ${exit.ifindex}, which is gone`;
}

const ETHERNET = 14;
/** Bytes in one buffer: a page without the headroom of XDP and struct skb_shared_info. */
const BUFFER = 4096 - 256 - 320;

/**
 * Checks that the kernel can run a program on these frames: it would cut one that is
 * longer than a buffer.
 */
export function checkLengths(frames: readonly Buffer[], takesBuffers: boolean): void {
  frames.forEach(({ length }, index) => {
    if (length < ETHERNET) {
      throw new UsageFailure(`packet ${index + 1} has ${many(length, 'byte')}`, {
        cause: `a frame begins with an Ethernet header of ${ETHERNET} bytes`,
        next: 'capture on the device itself, so that all of the frame is in the file',
      });
    }
    if (length > BUFFER && !takesBuffers) {
      throw new UsageFailure(`packet ${index + 1} has ${many(length, 'byte')}`, {
        cause: `a frame of more than ${formatCount(BUFFER)} bytes lies in several buffers, and this program takes one`,
        next: 'ask about a shorter packet, or name --obj l4lb_xdp_frags.o, which is for jumbo frames',
      });
    }
  });
}

export function differencesOf(
  program: Ran,
  said: Pick<Answer, 'verdict' | 'action' | 'frame' | 'id'>,
): string[] {
  const isSent = program.verdict === 'answer sent' && said.verdict === 'answer passed';
  const answer = isSent ? asSent(program, said) : said;
  const differences: string[] = [];
  const tell = (what: string, one: string | number, other: string | number): void => {
    if (one !== other) differences.push(`${what}: program ${one}, model ${other}`);
  };
  tell('verdict', program.verdict, answer.verdict);
  tell('action', program.action, answer.action);
  tell('destination', program.id ?? 'none', answer.id ?? 'none');
  const at = program.frame.findIndex((byte, index) => byte !== answer.frame[index]);
  if (at >= 0) differences.push(`frame: they differ from byte ${at} on`);
  else tell('bytes of the frame', program.frame.length, answer.frame.length);
  return differences;
}

/**
 * The model knows no routes, so where an answer leaves is the kernel's word. All of the
 * packet behind its link header is compared, with one hop less.
 */
function asSent(
  { verdict, action, frame }: Ran,
  said: Pick<Answer, 'frame' | 'id'>,
): Pick<Answer, 'verdict' | 'action' | 'frame' | 'id'> {
  const ip = Buffer.from(said.frame.subarray(linkLength(said.frame)));
  if (ip.readUInt8(0) >> 4 === 6) ip.writeUInt8(ip.readUInt8(7) - 1, 7);
  else {
    ip.writeUInt8(ip.readUInt8(8) - 1, 8);
    ip.writeUInt16BE((ip.readUInt16BE(10) + 0x100) % 0xffff, 10);
  }
  const link = frame.subarray(0, linkLength(frame));
  return { ...said, verdict, action, frame: Buffer.concat([link, ip]) };
}

function linkLength(frame: Buffer): number {
  let at = ETHERNET;
  while ([0x8100, 0x88a8].includes(frame.readUInt16BE(at - 2))) at += 4;
  return at;
}

/** Notes the keys that were asked for but are missing, so that they can be read. */
class Asks<V> extends Map<number, V> {
  readonly missing = new Set<number>();

  override get(key: number): V | undefined {
    if (!this.has(key)) this.missing.add(key);
    return super.get(key);
  }
}

/** The exits, and which of their devices are still there. */
function asExits({ exits }: Live, senders: readonly Sender[]): Tables['exits'] {
  const there = new Set(senders.map(({ ifindex }) => ifindex));
  return (
    exits &&
    new Map(
      [...exits].map(([number, exit]) => [
        number,
        { ...exit, isThere: there.has(exit.ifindex) },
      ]),
    )
  );
}

/** The key that program and model take while there is none. */
const STAND_IN = Buffer.from('0100000000000001', 'hex');

/** The limits never apply, since the copy has done nothing yet. */
const UNLIMITED = { mayTell: true, mayRecord: true, mayEcho: true };

/** Reads only the slot and the set of records that the model says it needs. */
async function askModel(
  { bpftool }: Pick<Tools, 'bpftool'>,
  { build, maps }: Attached,
  live: Live,
  frame: Buffer,
  exits: Tables['exits'],
): Promise<Remembered & Pick<Explained, 'isKeyNew'> & { answer: Answer }> {
  const found = maps.secret && (await readValue(bpftool, maps.secret, 0));
  const isKeyNew = found !== undefined && decodeSecret(found) === 0n;
  const secret = isKeyNew ? STAND_IN : found;
  const slots = new Asks<Slot>();
  const flows = new Asks<readonly FlowRecord[]>();
  const claimed = new Asks<readonly Claim[]>();
  const known = new Asks<Port>();
  const sets = new Map<number, Buffer>();
  const claims = new Map<number, Buffer>();
  const ports = new Map<number, Buffer>();
  const tables: Tables = {
    build,
    device: live.device,
    secret: secret ? decodeSecret(secret) : 0n,
    cells: [...reachable(live).values()],
    destinations: live.destinations,
    exits,
    ...answersOf(live),
    pools: live.pools?.filter((pool) => pool !== undefined),
    claimSets: maps.claims?.entries,
    slots,
  };
  for (;;) {
    const now = kernelNanoseconds();
    const state = { flows, claims: claimed, ports: known, now, ...UNLIMITED };
    const answer = model(tables, state, frame);
    const asks = [slots, flows, claimed, known];
    if (asks.every(({ missing }) => missing.size === 0)) {
      return { answer, sets, secret, claims, ports, isKeyNew };
    }
    for (const key of slots.missing) {
      const one = await readSlots(bpftool, maps, { firstSlot: key, log2Slots: 0 });
      slots.set(key, must(one.get(key), `slot ${key}`));
    }
    const read = async <V>(
      asked: Asks<V>,
      map: MapInfo | undefined,
      values: Map<number, Buffer>,
      decode: (value: Buffer) => V,
    ): Promise<void> => {
      for (const key of asked.missing) {
        if (!map) throw new Error('the model wants a map of another build');
        const value = await readValue(bpftool, map, key);
        values.set(key, value);
        asked.set(key, decode(value));
      }
    };
    await read(flows, maps.flows, sets, decodeRecords);
    await read(claimed, maps.claims, claims, decodeClaims);
    await read(known, maps.ports, ports, decodePort);
    for (const { missing } of asks) missing.clear();
  }
}

function answersOf({ answers }: Live): Pick<Tables, 'answers' | 'senders'> {
  const all = [...(answers ?? [])].map(
    ([hex, value]) => [decodeAnswerKey(Buffer.from(hex, 'hex')), value] as const,
  );
  return {
    answers: all.flatMap(([key, value]) => ('mac' in key ? [] : [{ key, value }])),
    senders: all.flatMap(([key, { id }]) => ('mac' in key ? [{ key, id }] : [])),
  };
}

/** Reads a value that may be too long for lookup(), which reads values on one line. */
async function readValue(
  bpftool: Tools['bpftool'],
  map: MapInfo,
  key: number,
): Promise<Buffer> {
  const [answer] = await bpftool.queries([lookupLine(map, encodeKey(key))]);
  return valueOf(decodeEntry(answer));
}
