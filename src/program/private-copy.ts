// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A copy of a loaded program that can be run without a trace. It shares the tables that
 * tools write, and has its own counters, records and all else that a program writes.
 */
import { basename } from 'node:path';

import { SET_SIZE, loadObject, makeMaps } from './load.js';
import type { Loaded } from './load.js';
import { decodeKey, encodeKey } from '../abi/bytes.js';
import { sumCounters } from '../abi/counter.js';
import { CLAIM_SETS, USUAL_BLOCKS } from '../abi/pool.js';
import { CLAIMS, PORT_SIZE } from '../abi/port.js';
import type { Action, VerdictName } from '../abi/verdicts.js';
import { LOCAL_SERVER, VERDICTS } from '../abi/verdicts.js';
import type { MapInfo } from '../system/bpftool-text.js';
import { decodeEntries, decodeEntry, lookupLine } from '../system/bpftool-text.js';
import { packaged } from '../system/package.js';
import { append } from '../text/lists.js';
import { at, must } from '../text/must.js';
import type { Attached, Maps } from './find.js';
import { mapNamed } from './find.js';
import { fragsObjectFor, takesBuffers } from './objects.js';
import type { Pins } from './pins.js';
import type { Tools } from './tools.js';
import type { Change } from '../system/entries.js';
import { remove, update } from '../system/entries.js';

/** What the program did with the frame. */
export interface Ran {
  verdict: VerdictName;
  action: Action;
  frame: Buffer;
  /** Id of the destination that was counted, if the frame was balanced. */
  id: number | undefined;
}

/** The maps that only tools write. */
const SHARED = ['device', 'services', 'slots', 'destinations'] as const;
/** Those that not every build has. */
const OF_SOME = [
  'names',
  'memories',
  'exits',
  'exit_numbers',
  'answers',
  'pools',
] as const;
const ACTIONS = new Map<number, Action>([
  [1, 'DROP'],
  [2, 'PASS'],
  [3, 'TX'],
  [4, 'REDIRECT'],
]);

/** What the live program remembers of connections: values of its maps. */
export interface Remembered {
  /** The sets of records that a frame needs. */
  sets: ReadonlyMap<number, Buffer>;
  secret: Buffer | undefined;
  /** Who has ports of full-nat: sets, and entries of the ports in them. */
  claims: ReadonlyMap<number, Buffer>;
  ports: ReadonlyMap<number, Buffer>;
}

export class PrivateCopy {
  readonly object: string;
  readonly isOther: boolean;
  readonly takesBuffers: boolean;
  readonly #bpftool: Tools['bpftool'];
  readonly #loaded: Loaded;
  #ran = 0;
  readonly #counted = new Map<string, bigint>();
  /** The changes that remove what the frame before needed. */
  readonly #gone: Change[] = [];

  private constructor(
    { bpftool }: Pick<Tools, 'bpftool'>,
    loaded: Loaded,
    object: string,
    isOther: boolean,
  ) {
    this.#bpftool = bpftool;
    this.#loaded = loaded;
    this.object = basename(object);
    this.takesBuffers = takesBuffers(object);
    this.isOther = isOther;
  }

  /** Makes the copy of an object that comes with the package, unless another is named. */
  static async make(
    tools: Tools,
    pins: Pins,
    attached: Attached,
    object: string | undefined,
  ): Promise<PrivateCopy> {
    const { bpftool } = tools;
    const { maps } = attached;
    const isCard = attached.mode === 'xdpoffload';
    const reuse: MapInfo[] = [];
    for (const name of [...SHARED, ...OF_SOME] as const) {
      const map = maps[name];
      // A program of the host cannot use a card's maps.
      if (map) reuse.push(isCard ? await copyMap(tools, pins, map) : map);
    }
    append(reuse, await makeMaps(bpftool, pins, { sets: maps.flows?.entries }));
    if (hasOtherBlocks(maps)) append(reuse, await makePorts(bpftool, pins));
    const { tag } = await bpftool.program('id', attached.program);
    const usual = packaged(attached.build === 'host' ? 'l4lb_xdp_host.o' : 'l4lb_xdp.o');
    const candidates = object === undefined ? [usual, fragsObjectFor(usual)] : [object];
    let first: PrivateCopy | undefined;
    for (const candidate of candidates) {
      if (candidate === undefined) continue;
      const loaded = await loadObject(bpftool, pins, candidate, { reuse });
      const copy = new PrivateCopy(tools, loaded, candidate, loaded.tag !== tag);
      if (!copy.isOther) return copy;
      first ??= copy;
    }
    return first as PrivateCopy;
  }

  /**
   * Runs the copy on a frame, with the live records that it will look at. The
   * counter that is expected to grow is read first, since there are many in all.
   */
  async run(
    frame: Buffer,
    { sets, secret, claims, ports }: Remembered,
    expected: number | undefined,
  ): Promise<Ran> {
    const { maps } = this.#loaded;
    const own = maps.some(({ name, kind }) => name === 'ports' && kind === 'hash');
    const all = { flows: sets, claims, ports: own ? withSets(claims, ports) : ports };
    const records = this.#gone.splice(0);
    for (const [name, values] of Object.entries(all)) {
      for (const [key, value] of values) {
        const map = mapNamed(maps, name);
        records.push(update(map, encodeKey(key), value));
        if (map.kind === 'hash') this.#gone.push(remove(map, encodeKey(key)));
      }
    }
    if (secret) records.push(update(mapNamed(maps, 'secret'), encodeKey(0), secret));
    await this.#bpftool.write(records, undefined);
    const { action, frame: out } = await this.#bpftool.runOnce(this.#loaded.pin, frame);
    this.#ran++;
    const likely = await this.#grown(expected === undefined ? [] : [expected]);
    const counted = likely.length > 0 ? likely : await this.#grown();
    const id = counted.find(({ map }) => map === 'counters')?.key;
    // Balanced, which is 0, is not counted as a verdict, but by the destination. What is for
    // a server on this host is counted as both.
    const number = counted.find(({ map }) => map === 'verdicts')?.key ?? 0;
    const verdict = VERDICTS.find((one) => one.number === number)?.name;
    const times = number === LOCAL_SERVER ? 2 : 1;
    if (counted.length !== times || verdict === undefined) {
      throw new Error(`one packet was counted ${counted.length} times`);
    }
    return {
      verdict,
      id,
      action: must(ACTIONS.get(action), `action ${action}`),
      frame: out,
    };
  }

  /** Throws unless all counters together say that each packet was counted once. */
  async check(): Promise<void> {
    await this.#grown();
    const sum = [...this.#counted.values()].reduce((all, packets) => all + packets, 0n);
    const all = sum - (this.#counted.get(`verdicts ${LOCAL_SERVER}`) ?? 0n);
    if (all !== BigInt(this.#ran)) {
      throw new Error(`${this.#ran} packets were counted ${all} times`);
    }
  }

  /**
   * Finds what has grown since the last look: verdicts, and the counters of these ids or
   * of all.
   */
  async #grown(ids?: readonly number[]): Promise<{ map: string; key: number }[]> {
    const verdicts = mapNamed(this.#loaded.maps, 'verdicts');
    const counters = mapNamed(this.#loaded.maps, 'counters');
    const [dumped, ...found] = await this.#bpftool.queries([
      `map dump id ${verdicts.id}`,
      ...(ids
        ? ids.map((id) => lookupLine(counters, encodeKey(id)))
        : [`map dump id ${counters.id}`]),
    ]);
    const entries = [
      ...decodeEntries(dumped).map((entry) => ({ map: 'verdicts', entry })),
      ...(ids ? found.map(decodeEntry) : decodeEntries(found[0])).map((entry) => ({
        map: 'counters',
        entry,
      })),
    ];
    return entries.flatMap(({ map, entry: { key: bytes, values } }) => {
      const key = decodeKey(bytes);
      const { packets } = sumCounters(values);
      const place = `${map} ${key}`;
      const before = this.#counted.get(place) ?? 0n;
      this.#counted.set(place, packets);
      return packets === before ? [] : [{ map, key }];
    });
  }
}

function hasOtherBlocks({ claims }: Maps): boolean {
  return claims !== undefined && claims.entries !== USUAL_BLOCKS * CLAIM_SETS;
}

/** A frame looks at two sets of claims and their ports, or at those of one that it names. */
const MOST_ENTRIES = 256;

/**
 * Maps for the ports of full-nat that a frame looks at. As arrays they would have to be as
 * large as those of the loaded program, which can take 2.3 GB.
 */
async function makePorts(bpftool: Tools['bpftool'], pins: Pins): Promise<MapInfo[]> {
  const made: MapInfo[] = [];
  for (const [name, valueSize] of [
    ['claims', SET_SIZE],
    ['ports', PORT_SIZE],
  ] as const) {
    const pin = pins.next();
    await bpftool.createHash(pin, name, valueSize, MOST_ENTRIES);
    made.push(await bpftool.mapPinned(pin));
  }
  return made;
}

/** The program also looks at ports that a set of claims has, and whose value does not matter. */
function withSets(
  claims: ReadonlyMap<number, Buffer>,
  ports: ReadonlyMap<number, Buffer>,
): Map<number, Buffer> {
  const all = new Map<number, Buffer>();
  for (const set of claims.keys()) {
    for (let place = 0; place < CLAIMS; place++) {
      all.set(set * CLAIMS + place, Buffer.alloc(PORT_SIZE));
    }
  }
  return new Map([...all, ...ports]);
}

async function copyMap(
  { bpftool }: Pick<Tools, 'bpftool'>,
  pins: Pins,
  map: MapInfo,
): Promise<MapInfo> {
  const pin = pins.next();
  await bpftool.createArray(pin, map.name, map.valueSize, map.entries);
  const copy = await bpftool.mapPinned(pin);
  const changes = (await bpftool.dump(map.id)).map(({ key, values }) =>
    update(copy, key, at(values, 0)),
  );
  await bpftool.write(changes, undefined);
  return copy;
}
