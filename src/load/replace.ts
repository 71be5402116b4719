// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Swaps a program for another, so that the device is never without one.
 *
 * If the new program's maps have the same kinds and sizes, it takes over the old maps,
 * and only the code changes. If only the size of `flows` differs, it takes over all
 * other maps: see carry-flows.ts. The maps of an earlier release first get the form of
 * today: see earlier.ts. Otherwise it gets maps of its own. They are filled like
 * the old ones, the programs are swapped, and then the old counters' sums are added.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { declaredBy } from '../program/declared.js';
import type { MapShape } from '../program/declared.js';
import { loadObject } from '../program/load.js';
import type { LoadOptions, Loaded } from '../program/load.js';
import { changesOf } from '../program/write.js';
import { BpftoolFailure } from '../system/bpftool-text.js';
import type { MapInfo } from '../system/bpftool-text.js';
import { reachable } from '../plan/cells.js';
import type { Slot } from '../abi/slot.js';
import { CELL_MINIMAL_TABLE } from '../abi/cell.js';
import { CLAIM_SETS } from '../abi/pool.js';
import type { Context, Tools } from '../program/tools.js';
import { parseMac } from '../wire/address.js';
import type { Maps } from '../program/find.js';
import { isDecap, isEarlier, isOurs, notOurs, severalPrograms } from '../program/find.js';
import type { Bpftool } from '../system/bpftool.js';
import { carryTables } from '../plan/carry-tables.js';
import { renewMaps } from './earlier.js';
import { SumCarrier } from './carry-sums.js';
import {
  GRACE_MS,
  makeFlows,
  mapsWithFlows,
  onlyFlowsDiffer,
  swapFlows,
} from './carry-flows.js';
import { Failure } from '../text/failure.js';
import { many } from '../text/format.js';
import type { AttachedProgram } from '../system/ip/links.js';
import type { State, Tables } from '../plan/state.js';
import {
  attach,
  planLoaded,
  mapsOfLoaded,
  noBlocks,
  noFlows,
  notTaken,
  optionsFor,
  steer,
} from './attach.js';
import type { Attachment, LoadRequest, LoadResult } from './attach.js';
import { swapShared } from './share.js';
import { isHot } from '../plan/hot-slots.js';
import type { Pins } from '../program/pins.js';
import { objectFor } from '../program/objects.js';
import { servicesIn } from '../plan/services.js';
import { readAllSlots, readState, readTables, sizesOf } from '../program/read.js';

export async function replaceProgram(
  tools: Context,
  pins: Pins,
  request: LoadRequest,
  there: AttachedProgram,
): Promise<LoadResult> {
  const { bpftool } = tools;
  const { link, lock } = request;
  checkReplaceable(request, there);
  const object = request.object ?? objectFor(there.mode, isDecap(there.name));
  const before = await bpftool.programWithMaps('id', there.id);
  const options = optionsFor(request, there.mode);
  const fit = fitOf(request, there, object, before.maps);
  if (fit === 'but for flows') {
    const maps = await makeFlows(bpftool, pins, before.maps, options);
    const flows = { object, options, old: before.maps, fresh: { maps } };
    return replaceFlows(tools, pins, request, there, flows);
  }
  const fresh =
    fit === 'whole'
      ? undefined
      : await loadFresh(tools, pins, { request, there, object, options, before });
  const old = fresh ? await renewMaps(bpftool, before, fresh.maps, lock) : before.maps;

  const allSame = !fresh || sameMaps(old, fresh.maps);
  const otherFlows = !allSame && onlyFlowsDiffer(old, fresh.maps, sameMaps);
  if (otherFlows && request.sets !== undefined) {
    return replaceFlows(tools, pins, request, there, { object, options, old, fresh });
  }
  // Without --flows, the map `flows` keeps its present size.
  const keptMaps = allSame || otherFlows;
  const loaded = keptMaps
    ? await loadObject(bpftool, pins, object, { ...options, reuse: old })
    : fresh;
  // The pin keeps the old program's maps until their sums are read.
  if (!keptMaps) await bpftool.pin(there.id, pins.next());
  const carried = keptMaps
    ? undefined
    : await carryContent(tools, request, before, loaded);
  const { plan, write } = await planLoaded(tools, request, loaded);
  // Maps that are kept are in use, so they are written only after the swap succeeds.
  if (!keptMaps) await write(loaded);
  const isCard = there.mode === 'xdpoffload';
  const sums = carried && new SumCarrier(bpftool, pins, lock, old, loaded, carried.ids);

  // The host cannot add to a card's maps, so the sums are set before the swap.
  if (isCard) await sums?.set();
  const swap = { loaded, object, mode: there.mode, link, overwrite: true };
  const attached = await swapIn(tools, pins, swap);
  const kept = await swapShared(tools, link, there.id, attached.loaded.pin);
  // Packets for servers on this host must find these before the tables lead there.
  if (keptMaps && plan) await steer(tools, request, attached.loaded, plan.after);
  if (keptMaps) await write(attached.loaded);
  const servers = await steer(tools, request, attached.loaded);
  if (sums && !isCard) {
    await sleep(GRACE_MS);
    await sums.add();
  }
  return {
    mode: there.mode,
    program: attached.loaded.id,
    object: attached.object,
    keptMaps,
    // With the maps kept, nothing is lost.
    warnings: [...(carried?.losses ?? []), ...kept],
    plan,
    maps: loaded.maps,
    servers,
  };
}

/**
 * Which of the maps that are there the object says that its program can take, in the sizes
 * that are kept: undefined if not all others. An earlier release's maps have another form.
 */
function fitOf(
  { sets, blocks }: LoadRequest,
  { name }: AttachedProgram,
  object: string,
  maps: readonly MapInfo[],
): 'whole' | 'but for flows' | undefined {
  const flows = maps.find((map) => map.name === 'flows');
  const declared = declaredBy(object, {
    sets: sets ?? flows?.entries,
    blocks: blocks ?? blocksOf(maps),
  });
  if (declared?.name !== name) return undefined;
  if (sameMaps(declared.maps, maps)) return 'whole';
  return onlyFlowsDiffer(maps, declared.maps, sameMaps) ? 'but for flows' : undefined;
}

/** Loads the new program with maps of its own, to see what it has. */
async function loadFresh(
  { bpftool }: Tools,
  pins: Pins,
  { request, there, object, options, before }: Unloaded,
): Promise<Loaded> {
  const usual = await loadObject(bpftool, pins, object, options);
  const blocks = blocksToKeep(request, before.maps, usual.maps);
  const fresh =
    blocks === undefined
      ? usual
      : await loadObject(bpftool, pins, object, { ...options, blocks });
  const isNext = isEarlier(there.name) && !isDecap(fresh.name);
  if (fresh.name !== there.name && !isNext) throw cannotFollow(request, there, fresh);
  return fresh;
}

interface Unloaded {
  request: LoadRequest;
  there: AttachedProgram;
  object: string;
  options: LoadOptions;
  before: { maps: MapInfo[] };
}

/** Replaces the program and `flows`. Fills the maps after the swap, as l4lb-map would. */
async function replaceFlows(
  tools: Context,
  pins: Pins,
  request: LoadRequest,
  there: AttachedProgram,
  { object, options, old, fresh }: FreshProgram,
): Promise<LoadResult> {
  const { bpftool } = tools;
  const { mode } = there;
  const reuse = mapsWithFlows(old, fresh.maps);
  const loaded = await loadObject(bpftool, pins, object, { ...options, reuse });
  const [before, after] = [mapsOfLoaded({ maps: old }), mapsOfLoaded(loaded)];
  // `device` still has its entry in the old map; swapFlows() copies it to the new one.
  const current = loaded.maps.map((map) => (map === after.device ? before.device : map));
  const { plan, write } = await planLoaded(tools, request, { ...loaded, maps: current });
  const tables = await readTables(bpftool, before);
  const hot = await readHot(bpftool, before, tables);
  const { lock } = request;
  const device = request.link.name;
  // The pin keeps the old program's records until all are copied.
  await bpftool.pin(there.id, pins.next());
  const swap = {
    mode,
    link: device,
    loaded,
    before,
    after,
    device: tables.device,
    hot,
    lock,
  };
  const flows = await swapFlows(bpftool, pins, swap);
  const kept = await swapShared(tools, request.link, there.id, loaded.pin);
  await write(loaded);
  const servers = await steer(tools, request, loaded);
  const warnings = flows?.lost
    ? [
        `${many(flows.lost, 'record')} did not fit; their connections break if their slot has moved since`,
        ...kept,
      ]
    : kept;
  return {
    mode,
    program: loaded.id,
    object,
    keptMaps: true,
    flows,
    warnings,
    plan,
    maps: loaded.maps,
    servers,
  };
}

interface FreshProgram {
  object: string;
  options: LoadOptions;
  old: MapInfo[];
  fresh: { maps: MapInfo[] };
}

/** Attaches the new program. If the kernel refuses it, the old one stays. */
async function swapIn(
  tools: Tools,
  pins: Pins,
  swap: Attachment,
): ReturnType<typeof attach> {
  try {
    return await attach(tools, pins, swap);
  } catch (error) {
    if (!(error instanceof BpftoolFailure)) throw error;
    throw notTaken(swap.link, swap.mode, error.reason);
  }
}

function checkReplaceable(
  { link, mode, sets, blocks }: LoadRequest,
  there: AttachedProgram,
): void {
  if (mode === 'auto' && link.programs.length > 1) {
    throw severalPrograms(link.name, link.programs);
  }
  if (!isOurs(there.name)) throw notOurs(link.name, there);
  if (there.mode === 'xdpoffload' && sets !== undefined) throw noFlows();
  if (there.mode === 'xdpoffload' && blocks !== undefined) throw noBlocks();
  if (mode !== 'auto' && mode !== there.mode) {
    throw new Failure(`${link.name} has its program in mode ${there.mode}, not ${mode}`, {
      cause: 'a change of mode leaves a moment without a program',
      next: `l4lb-load -i ${link.name} --off, and then load in the other mode`,
    });
  }
}

/**
 * The blocks of ports that the new program needs, unless it has as many anyway. Ports cannot
 * move, since destinations know their numbers.
 */
function blocksToKeep(
  { link, blocks }: LoadRequest,
  old: readonly MapInfo[],
  fresh: readonly MapInfo[],
): number | undefined {
  const [there, its] = [blocksOf(old), blocksOf(fresh)];
  if (there === undefined || its === undefined || its === there) return undefined;
  if (blocks === undefined) return there;
  throw new Failure(`${link.name} has ${many(there, 'block')} of ports, not ${blocks}`, {
    cause: 'the connections of full-nat stay in the maps that they are in',
    next: `l4lb-load -i ${link.name} --off, and then load with --blocks ${blocks}: that ends connections`,
  });
}

function blocksOf(maps: readonly MapInfo[]): number | undefined {
  const claims = maps.find(({ name }) => name === 'claims');
  return claims && claims.entries / CLAIM_SETS;
}

function cannotFollow(
  { link }: LoadRequest,
  there: AttachedProgram,
  fresh: Loaded,
): Failure {
  const isOther = isDecap(there.name) !== isDecap(fresh.name);
  return new Failure(
    `${link.name} has ${there.name}, and ${fresh.name} cannot replace it`,
    {
      cause: isOther
        ? 'one is the balancer, the other is the decapsulation program'
        : 'they have different ABI versions, so the tables cannot be carried over',
      next: `l4lb-load -i ${link.name} --off, and then load without --replace`,
    },
  );
}

/** Compares kinds and sizes, because the kernel does not check them. */
function sameMaps(one: readonly MapShape[], other: readonly MapShape[]): boolean {
  const describe = (maps: readonly MapShape[]): string =>
    maps
      .map(({ name, kind, keySize, valueSize, entries }) =>
        [name, kind, keySize, valueSize, entries].join(' '),
      )
      .sort()
      .join('\n');
  return describe(one) === describe(other);
}

/** Fills new maps like the old ones. The decapsulation program has no tables. */
async function carryContent(
  { bpftool }: Tools,
  { link, lock }: LoadRequest,
  old: { name: string; maps: MapInfo[] },
  loaded: Loaded,
): Promise<{ ids: Map<number, number>; losses: string[] }> {
  if (isDecap(loaded.name)) return { ids: new Map(), losses: [] };
  const maps = mapsOfLoaded(loaded);
  const oldMaps = mapsOfLoaded(old, old.name);
  const live = await readCarried(bpftool, oldMaps);
  const mac = parseMac(link.mac) ?? live.device.mac;
  const { writes, ids, losses } = carryTables(live, sizesOf(maps), {
    mac,
    mtu: link.mtu,
    ifindex: link.ifindex,
  });
  await bpftool.write(changesOf(maps, writes, new Map()), lock);
  const hot = (await readHot(bpftool, oldMaps, live)).length;
  if (hot > 0) {
    losses.push(
      `${many(hot, 'slot')} forgot the previous destination; older connections on them break`,
    );
  }
  return { ids, losses };
}

/** Reads the tables, and the slots of services with a minimal table: it has a history. */
async function readCarried(bpftool: Bpftool, maps: Maps): Promise<State> {
  const tables = await readState(bpftool, maps);
  const services = [...servicesIn(reachable(tables)).values()].filter(
    ({ flags }) => (flags & CELL_MINIMAL_TABLE) !== 0,
  );
  const slots = await readAllSlots(bpftool, maps, services);
  return { ...tables, slots };
}

/** Returns the hot slots. If the ids change, their memory is lost. */
async function readHot(bpftool: Bpftool, maps: Maps, live: Tables): Promise<Slot[]> {
  if (!maps.kept) return [];
  const slots = await readAllSlots(bpftool, maps, servicesIn(reachable(live)).values());
  return [...slots.values()].filter(isHot);
}
