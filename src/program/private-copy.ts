// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A copy of a loaded program that can be run without a trace: it shares the tables that
 * tools write, and has counters, records and all else that a program writes for itself.
 */
import { basename } from 'node:path';

import { decodeKey, encodeKey } from '../abi/bytes.js';
import { sumCounters } from '../abi/counter.js';
import type { Action, VerdictName } from '../abi/verdicts.js';
import { VERDICTS } from '../abi/verdicts.js';
import type { MapInfo } from '../system/bpftool-text.js';
import { updateLine } from '../system/bpftool-text.js';
import { packaged } from '../system/package.js';
import { at, must } from '../text/must.js';
import type { Attached, Maps } from './find.js';
import { mapNamed } from './find.js';
import type { Loaded } from './objects.js';
import { fragsObjectFor, loadObject, takesBuffers } from './objects.js';
import type { Pins } from './pins.js';
import type { Tools } from './tools.js';

/** What the program did with the frame. */
export interface Ran {
  verdict: VerdictName;
  action: Action;
  frame: Buffer;
  /** Of the destination that was counted, where the frame was balanced. */
  id: number | undefined;
}

/** What only tools write. */
const SHARED = ['device', 'services', 'slots', 'destinations'] as const;
const ACTIONS = new Map<number, Action>([
  [1, 'DROP'],
  [2, 'PASS'],
  [3, 'TX'],
]);

export interface CopyRequest {
  attached: Attached;
  maps: Maps;
  /** None: the one that comes with the package. */
  object: string | undefined;
  lock: number;
}

export class PrivateCopy {
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
    const records = [...sets].map(([key, value]) =>
      updateLine(mapNamed(this.#loaded.maps, 'flows'), encodeKey(key), value),
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
    return {
      verdict,
      id,
      action: must(ACTIONS.get(action), `action ${action}`),
      frame: out,
    };
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
  const lines = (await bpftool.dump(map.id)).map(({ key, values }) =>
    updateLine(copy, key, at(values, 0)),
  );
  await bpftool.write(lines, lock);
  return copy;
}
