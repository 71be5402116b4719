// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Asks the program and the model what they do with a frame, and changes nothing by it:
 * what runs is a private copy of the program. It shares the tables that tools write,
 * and has counters, records and all else that a program writes for itself alone.
 */
import { basename } from 'node:path';

import { UsageFailure } from '../text/failure.js';
import { formatCount, many } from '../text/format.js';
import { reachable } from '../plan/cells.js';
import { sumCounters } from '../abi/counter.js';
import { decodeRecords } from '../abi/record.js';
import type { FlowRecord } from '../abi/record.js';
import { EMPTY_SLOT } from '../abi/slot.js';
import type { Slot } from '../abi/slot.js';
import { decodeKey, encodeKey } from '../abi/bytes.js';
import { VERDICTS } from '../abi/verdicts.js';
import type { Action, VerdictName } from '../abi/verdicts.js';
import type { Tools } from '../program/tools.js';
import type { Attached, Maps } from '../program/find.js';
import { mapsNow } from '../program/find.js';
import type { MapInfo } from '../system/bpftool.js';
import { decodeEntry, hex } from '../system/bpftool.js';
import type { Live } from '../plan/state.js';
import { model } from '../model/model.js';
import { wrongSums } from '../model/sums.js';
import type { Answer, Tables } from '../model/types.js';
import type { Loaded } from '../program/objects.js';
import type { Pins } from '../program/pins.js';
import { fragsObjectFor, loadObject, takesBuffers } from '../program/objects.js';
import { kernelNanoseconds } from '../system/clock.js';
import { packaged } from '../system/package.js';
import { readSlots, readTables } from '../program/read.js';

/** What the program did with the frame. */
export interface Ran {
  verdict: VerdictName;
  action: Action;
  frame: Buffer;
  /** Of the destination that was counted, where the frame was balanced. */
  id: number | undefined;
}

export interface Explained {
  frame: Buffer;
  program: Ran;
  model: Answer;
  /** What they do not agree on; none where all is well. */
  differences: string[];
}

export interface Asked {
  explained: Explained[];
  live: Live;
  object: string;
  /** The program that is loaded was compiled from other sources than the copy. */
  isOther: boolean;
}

export interface Asking {
  frames: (live: Live) => readonly Buffer[];
  /** None: the one that comes with the package. */
  object: string | undefined;
  lock: number;
}

/** The caller holds the lock, so that the tables do not change meanwhile. */
export async function ask(
  tools: Tools,
  pins: Pins,
  attached: Attached,
  { frames, object, lock }: Asking,
): Promise<Asked> {
  const maps = await mapsNow(tools, attached);
  const live = await readTables(tools.bpftool, maps);
  const copy = await PrivateCopy.make(tools, pins, { attached, maps, object, lock });
  const asked = frames(live);
  checkLengths(asked, copy.takesBuffers);
  const explained: Explained[] = [];
  for (const frame of asked) {
    const { answer, sets } = await askModel(tools, maps, attached, live, frame);
    const program = await copy.run(frame, sets);
    explained.push({
      frame,
      program,
      model: answer,
      differences: [
        ...differencesOf(program, answer),
        ...wrongSums(frame, program.frame, program.verdict),
      ],
    });
  }
  return { explained, live, object: copy.object, isOther: copy.isOther };
}

const ETHERNET = 14;
/** Of one buffer: a page without the headroom of XDP and struct skb_shared_info. */
const BUFFER = 4096 - 256 - 320;

/** What the kernel runs a program on: whatever is longer than a buffer it would cut. */
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
  answer: Pick<Answer, 'verdict' | 'action' | 'frame' | 'id'>,
): string[] {
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

/** Notes which keys were asked for and are not there, to be read for the next time. */
class Asks<V> extends Map<number, V> {
  readonly missing = new Set<number>();

  override get(key: number): V | undefined {
    if (!this.has(key)) this.missing.add(key);
    return super.get(key);
  }
}

/** A copy has done nothing yet. */
const UNLIMITED = { mayTell: true, mayRecord: true, mayEcho: true };

/** The model says which slot and which set of records it needs; only these are read. */
async function askModel(
  { bpftool }: Pick<Tools, 'bpftool'>,
  maps: Maps,
  attached: Attached,
  live: Live,
  frame: Buffer,
): Promise<{ answer: Answer; sets: Map<number, Buffer> }> {
  const slots = new Asks<Slot>();
  const flows = new Asks<readonly FlowRecord[]>();
  const sets = new Map<number, Buffer>();
  const tables: Tables = {
    build: attached.build,
    device: live.device,
    cells: [...reachable(live).values()],
    destinations: live.destinations,
    slots,
  };
  for (;;) {
    const now = kernelNanoseconds();
    const answer = model(tables, { flows, now, ...UNLIMITED }, frame);
    if (slots.missing.size + flows.missing.size === 0) return { answer, sets };
    for (const key of slots.missing) {
      const one = await readSlots(bpftool, maps, { firstSlot: key, log2Slots: 0 });
      slots.set(key, one.get(key) ?? EMPTY_SLOT);
    }
    for (const key of flows.missing) {
      if (!maps.flows) throw new Error('the model wants records of a build without any');
      // Too long for lookup(), which reads values that stand on one line.
      const line = `map lookup id ${maps.flows.id} key hex ${hex(encodeKey(key))}`;
      const [answer] = await bpftool.queries([line]);
      const set = decodeEntry(answer).values[0] ?? Buffer.alloc(maps.flows.valueSize);
      sets.set(key, set);
      flows.set(key, decodeRecords(set));
    }
    slots.missing.clear();
    flows.missing.clear();
  }
}

/** What only tools write. */
const SHARED = ['device', 'services', 'slots', 'destinations'] as const;
const ACTIONS: Record<number, Action> = { 1: 'DROP', 2: 'PASS', 3: 'TX' };

interface CopyRequest extends Pick<Asking, 'object' | 'lock'> {
  attached: Attached;
  maps: Maps;
}

class PrivateCopy {
  readonly object: string;
  readonly isOther: boolean;
  readonly takesBuffers: boolean;
  readonly #bpftool: Tools['bpftool'];
  readonly #loaded: Loaded;
  readonly #lock: number;
  #before = new Map<string, bigint>();

  private constructor(
    { bpftool }: Pick<Tools, 'bpftool'>,
    loaded: Loaded,
    object: string,
    isOther: boolean,
    lock: number,
  ) {
    this.#bpftool = bpftool;
    this.#loaded = loaded;
    this.object = basename(object);
    this.takesBuffers = takesBuffers(object);
    this.isOther = isOther;
    this.#lock = lock;
  }

  static async make(
    tools: Tools,
    pins: Pins,
    { attached, maps, object, lock }: CopyRequest,
  ): Promise<PrivateCopy> {
    const { bpftool } = tools;
    const isCard = attached.mode === 'xdpoffload';
    const reuse: MapInfo[] = [];
    for (const name of SHARED) {
      // A card's maps cannot be used by a program of the host.
      reuse.push(isCard ? await copyMap(tools, pins, maps[name], lock) : maps[name]);
    }
    if (maps.memories) reuse.push(maps.memories);
    if (maps.flows) {
      const pin = pins.next();
      const { valueSize, entries } = maps.flows;
      await bpftool.createArray(pin, 'flows', valueSize, entries);
      reuse.push(await bpftool.mapPinned(pin));
    }
    const { tag } = await bpftool.program('id', attached.program);
    const usual = packaged(attached.build === 'host' ? 'l4lb_xdp_host.o' : 'l4lb_xdp.o');
    const candidates = object === undefined ? [usual, fragsObjectFor(usual)] : [object];
    let first: PrivateCopy | undefined;
    for (const candidate of candidates) {
      if (candidate === undefined) continue;
      const loaded = await loadObject(bpftool, pins, candidate, { reuse });
      const copy = new PrivateCopy(tools, loaded, candidate, loaded.tag !== tag, lock);
      if (!copy.isOther) return copy;
      first ??= copy;
    }
    return first as PrivateCopy;
  }

  /** With the live records of the sets that it will look at. */
  async run(frame: Buffer, sets: ReadonlyMap<number, Buffer>): Promise<Ran> {
    const flows = this.#loaded.maps.find(({ name }) => name === 'flows');
    const records = [...sets].map(
      ([key, value]) =>
        `map update id ${flows?.id ?? 0} key hex ${hex(encodeKey(key))} value hex ${hex(value)}`,
    );
    await this.#bpftool.write(records, this.#lock);
    const { action, frame: out } = await this.#bpftool.runOnce(this.#loaded.pin, frame);
    const counted = await this.#counted();
    const id = counted.find(({ map }) => map === 'counters')?.key;
    const number = counted.find(({ map }) => map === 'verdicts')?.key ?? 0;
    const verdict = VERDICTS.find((one) => one.number === number)?.name;
    if (counted.length !== 1 || verdict === undefined) {
      throw new Error(`one packet was counted ${counted.length} times`);
    }
    return { verdict, id, action: ACTIONS[action] ?? 'DROP', frame: out };
  }

  /** The one counter that has grown since the last time. */
  async #counted(): Promise<{ map: string; key: number }[]> {
    const grown: { map: string; key: number }[] = [];
    for (const { name, id } of this.#loaded.maps) {
      if (name !== 'counters' && name !== 'verdicts') continue;
      for (const { key, values } of await this.#bpftool.dump(id)) {
        const { packets } = sumCounters(values);
        const place = `${name} ${decodeKey(key)}`;
        if (packets !== (this.#before.get(place) ?? 0n)) {
          grown.push({ map: name, key: decodeKey(key) });
        }
        this.#before.set(place, packets);
      }
    }
    return grown;
  }
}

async function copyMap(
  { bpftool }: Pick<Tools, 'bpftool'>,
  pins: Pins,
  map: MapInfo,
  lock: number,
): Promise<MapInfo> {
  const pin = pins.next();
  await bpftool.createArray(pin, map.name, map.valueSize, map.entries);
  const copy = await bpftool.mapPinned(pin);
  const lines = (await bpftool.dump(map.id)).map(
    ({ key, values }) =>
      `map update id ${copy.id} key hex ${hex(key)} value hex ${hex(values[0] ?? Buffer.alloc(map.valueSize))}`,
  );
  await bpftool.write(lines, lock);
  return copy;
}
