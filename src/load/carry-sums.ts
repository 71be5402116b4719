// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Carries counts from the maps of a program to the maps of its successor. */
import { carryFrames } from '../abi/carry.js';
import type { Counter } from '../abi/counter.js';
import { encodeCounter, retiredCounter, sumCounters } from '../abi/counter.js';
import { decodeKey, encodeKey } from '../abi/bytes.js';
import { carrySums } from '../plan/carry-tables.js';
import { isDecap, mapNamed } from '../program/find.js';
import type { Loaded } from '../program/load.js';
import type { Pins } from '../program/pins.js';
import type { Bpftool } from '../system/bpftool.js';
import type { MapInfo } from '../system/bpftool-text.js';
import { packaged } from '../system/package.js';
import { update } from '../system/entries.js';

/** Brings the sums of old counters into new maps, under the new ids. */
export class SumCarrier {
  readonly #bpftool: Bpftool;
  readonly #pins: Pins;
  readonly #lock: number;
  readonly #pairs: readonly { from: MapInfo; to: MapInfo }[];
  readonly #ids: ReadonlyMap<number, number>;

  /**
   * Fails where a map is missing: when the programs are swapped it would be too late. Not
   * every build counts what destinations return.
   */
  constructor(
    bpftool: Bpftool,
    pins: Pins,
    lock: number,
    old: readonly MapInfo[],
    fresh: Pick<Loaded, 'name' | 'maps'>,
    ids: ReadonlyMap<number, number>,
  ) {
    const has = (maps: readonly MapInfo[]): boolean =>
      maps.some(({ name }) => name === 'returned');
    const names = isDecap(fresh.name)
      ? ['verdicts']
      : ['counters', ...(has(old) && has(fresh.maps) ? ['returned'] : []), 'verdicts'];
    this.#bpftool = bpftool;
    this.#pins = pins;
    this.#lock = lock;
    this.#pairs = names.map((name) => ({
      from: mapNamed(old, name),
      to: mapNamed(fresh.maps, name),
    }));
    this.#ids = ids;
  }

  /** Adds the sums while the new program is counting. */
  async add(): Promise<void> {
    for (const { map, sums } of await this.#all()) {
      const retired = sums.get(0);
      if (isByDestination(map)) {
        sums.delete(0);
        if (retired) await this.#write(map, new Map([[0, retired]]));
      }
      const frames = carryFrames(sums);
      if (frames.length === 0) continue;
      const reuse = [{ ...map, name: 'counters' }];
      const pin = this.#pins.next();
      await this.#bpftool.load(packaged('l4lb_carry.o'), pin, { reuse });
      await this.#bpftool.runOn(pin, frames);
    }
  }

  /** Sets the sums while nobody counts in the new maps yet. */
  async set(): Promise<void> {
    for (const { map, sums } of await this.#all()) await this.#write(map, sums);
  }

  /** Returns the new counter maps, each with the sums that belong there. */
  async #all(): Promise<{ map: MapInfo; sums: Map<number, Counter> }[]> {
    const all: { map: MapInfo; sums: Map<number, Counter> }[] = [];
    for (const { from, to } of this.#pairs) {
      const counters = await this.#read(from);
      const sums = isByDestination(to) ? carrySums(counters, this.#ids) : counters;
      all.push({ map: to, sums });
    }
    return all;
  }

  async #read(map: MapInfo): Promise<Map<number, Counter>> {
    const entries = await this.#bpftool.dump(map.id);
    return new Map(
      entries.map(({ key, values }) => {
        const id = decodeKey(key);
        const isRetired = isByDestination(map) && id === 0;
        return [id, isRetired ? retiredCounter(values) : sumCounters(values)];
      }),
    );
  }

  async #write(map: MapInfo, sums: ReadonlyMap<number, Counter>): Promise<void> {
    const changes = [...sums].map(([key, counter]) =>
      update(map, encodeKey(key), encodeCounter(counter)),
    );
    await this.#bpftool.write(changes, this.#lock);
  }
}

/** Whether a map counts by the ids of destinations, and not by verdicts. */
function isByDestination({ name }: MapInfo): boolean {
  return name !== 'verdicts';
}
