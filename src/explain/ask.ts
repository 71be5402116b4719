// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Asks the program and the model what they do with a frame, and changes nothing by it:
 * what runs is a private copy of the program. It shares the tables that tools write,
 * and has counters, records and all else that a program writes for itself alone.
 */

import { PrivateCopy } from '../program/private-copy.js';
import type { Ran } from '../program/private-copy.js';
import { decodeEntry } from '../system/bpftool-text.js';
import { lookupLine } from '../system/bpftool-text.js';
import { UsageFailure } from '../text/failure.js';
import { formatCount, many } from '../text/format.js';
import { reachable } from '../plan/cells.js';
import { decodeRecords } from '../abi/record.js';
import type { FlowRecord } from '../abi/record.js';
import { EMPTY_SLOT } from '../abi/slot.js';
import type { Slot } from '../abi/slot.js';
import { encodeKey } from '../abi/bytes.js';
import type { Tools } from '../program/tools.js';
import type { Attached, Maps } from '../program/find.js';
import { mapsNow } from '../program/find.js';
import type { Live } from '../plan/state.js';
import { model } from '../model/model.js';
import { wrongSums } from '../model/sums.js';
import type { Answer, Tables } from '../model/types.js';
import type { Pins } from '../program/pins.js';
import { kernelNanoseconds } from '../system/clock.js';
import { readSlots, readTables } from '../program/read.js';

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
      const line = lookupLine(maps.flows, encodeKey(key));
      const [answer] = await bpftool.queries([line]);
      const set = decodeEntry(answer).values[0] ?? Buffer.alloc(maps.flows.valueSize);
      sets.set(key, set);
      flows.set(key, decodeRecords(set));
    }
    slots.missing.clear();
    flows.missing.clear();
  }
}
